/** The real apk, run as Alpine's init runs it: on a root with /proc, /sys and /dev of its own. */

import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** A program and what goes before its own arguments. */
export type Apk = readonly [program: string, ...before: readonly string[]]

/** What apk-tools of Alpine 3.19 links to. */
const needed = ['apk-tools', 'musl', 'zlib', 'libcrypto3', 'libssl3']

/** The apk that is itself on the media, unpacked into `directory`. */
export function apkOfMedia(repository: string, directory: string): Apk {
  const names = readdirSync(repository)
  for (const name of needed) {
    const file = names.find((each) => each.endsWith('.apk') && each.replace(/-[^-]*-r\d+\.apk$/, '') === name)
    if (file === undefined)
      throw new Error(`${repository} has no ${name}, so there is no apk to compare with`)
    mkdirSync(directory, { recursive: true })
    // Its exit status tells of pax records that it does not know.
    spawnSync('tar', ['-xzf', join(repository, file), '-C', directory], { stdio: 'ignore' })
  }
  return [
    join(directory, 'lib/ld-musl-x86_64.so.1'),
    '--library-path',
    `${directory}/lib:${directory}/usr/lib`,
    join(directory, 'sbin/apk'),
  ]
}

/** Of the packages in a repository's directory for x86_64. */
export function namesIn(repository: string): string[] {
  const files = readdirSync(join(repository, 'x86_64')).filter((name) => name.endsWith('.apk'))
  return files.map((name) => name.replace(/-[^-]*-r\d+\.apk$/, ''))
}

/** `APK=path`, which may be linked to Alpine's libraries beside it. */
export function apkAt(path: string): Apk {
  const root = path.replace(/\/sbin\/apk$/, '')
  const loader = join(root, 'lib/ld-musl-x86_64.so.1')
  if (!existsSync(loader)) return [path]
  return [loader, '--library-path', `${root}/lib:${root}/usr/lib`, path]
}

export interface ApkRun {
  readonly root: string
  readonly arch: string
  readonly repositories: readonly { readonly url: string; readonly tag?: string }[]
  readonly world: readonly string[]
  /** The overlay's listing; undefined where there is no overlay. */
  readonly listing: string | undefined
  /** Takes the file that names the repositories. */
  readonly directory: string
}

/** `apk add --initramfs-diskless-boot --clean-protected`; its status and everything that it said. */
export function runApk(apk: Apk, wanted: ApkRun): { readonly status: number; readonly said: string } {
  const repositories = join(wanted.directory, 'repositories')
  const line = ({ url, tag }: ApkRun['repositories'][number]) => (tag === undefined ? url : `@${tag} ${url}`)
  writeFileSync(repositories, `${wanted.repositories.map(line).join('\n')}\n`)
  const [program, ...before] = apk
  const ended = spawnSync(
    program,
    [
      ...before,
      ...['--root', wanted.root, '--arch', wanted.arch, '--no-network', '--no-progress'],
      ...['--repositories-file', repositories],
      ...['add', '--initramfs-diskless-boot', '--clean-protected'],
      ...(wanted.listing === undefined ? [] : ['--overlay-from-stdin']),
      ...wanted.world,
    ],
    { input: wanted.listing ?? '', encoding: 'utf8', maxBuffer: 1 << 26 },
  )
  if (ended.error !== undefined) throw ended.error
  return { status: ended.status ?? -1, said: ended.stdout + ended.stderr }
}

export function versionOf(apk: Apk): string {
  const [program, ...before] = apk
  return execFileSync(program, [...before, '--version'], { encoding: 'utf8' }).trim()
}
