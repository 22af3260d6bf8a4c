/**
 * Installs a system into a directory of this machine, by the code of a boot: the host that is in an initrd as PID 1 runs here
 * as a program. Packages' scripts run in the new system, so this needs root.
 */

import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { CommandError, errnoOf } from '../../../build/error.ts'
import { buildHost, type Profile } from '../../../build/host.ts'
import { readInput, readKeys } from '../../../build/inputs.ts'
import { install, makeInstaller } from '../../../build/installer.ts'
import { worldWords } from '../../apk/world.ts'
import type { InstallAnswer } from '../../init/install-wire.ts'
import { formatOf } from '../../overlay/name.ts'
import { UsageError } from '../command.ts'
import { readOverlay } from '../lock/overlay.ts'
import { Tree } from './tree.ts'

export interface Wanted {
  /** New, or empty. */
  readonly directory: string
  /** Directories or URLs, as in etc/apk/repositories. */
  readonly repositories: readonly string[]
  readonly world: readonly string[]
  readonly keys: readonly string[]
  readonly arch: string
  readonly apkovl: string | undefined
  readonly profile: Profile
}

/** Packages come over a network, perhaps. */
const deadlineMs = 30 * 60_000

/** What OpenRC starts in a root that comes by NFS, as far as it is there: Alpine's defaults, without what is about a modloop. */
const services = {
  sysinit: ['devfs', 'dmesg', 'mdev', 'hwdrivers'],
  boot: ['modules', 'sysctl', 'hostname', 'bootmisc', 'syslog'],
  shutdown: ['mount-ro', 'killprocs', 'savecache'],
} as const

/**
 * Scripts of packages want /proc, /sys and a /dev; this machine's own are no business of theirs. In a mount namespace of its
 * own, nothing of it is left behind.
 */
const ground = `
set -e
mkdir -p "$1/proc" "$1/sys" "$1/dev"
mount -t proc -o nosuid,nodev,noexec proc "$1/proc"
mount --rbind /sys "$1/sys"
mount -o remount,bind,ro "$1/sys"
mount -t tmpfs -o mode=0755,nosuid dev "$1/dev"
mknod -m 666 "$1/dev/null" c 1 3
mknod -m 666 "$1/dev/zero" c 1 5
mknod -m 666 "$1/dev/random" c 1 8
mknod -m 666 "$1/dev/urandom" c 1 9
mknod -m 666 "$1/dev/tty" c 5 0
program=$2
shift 2
exec "$program" "$@"`

/** Resolves with the packages, `NAME-VERSION`. Rejects with a `CommandError`, and has then left nothing. */
export async function installTree(wanted: Wanted, tell: (line: string) => void): Promise<InstallAnswer> {
  const { directory } = wanted
  if (existsSync(directory) && readdirSync(directory).length > 0) {
    throw new CommandError(`${directory} is there, and not empty: nothing is installed over it`, {
      advice: ['Without --install it is prepared as it is.'],
    })
  }
  if (process.getuid?.() !== 0) {
    throw new CommandError(
      'only root can give files to others and run the packages’ scripts in the new system',
      {
        advice: ['Run it as root: sudo diskless prepare-nfsroot …'],
      },
    )
  }
  const overlay = wanted.apkovl === undefined ? undefined : readOverlay(wanted.apkovl)
  const repositories = repositoriesOf(wanted, overlay?.repositories ?? [])
  const keys = new Map([...(overlay?.keys ?? []), ...readKeys(wanted.keys)])
  if (keys.size === 0) throw new UsageError('--keys is missing: whose repositories are trusted?')
  const scratch = mkdtempSync(join(tmpdir(), 'diskless-install-'))
  const partial = `${resolve(directory)}.installing`
  rmSync(partial, { recursive: true, force: true })
  try {
    for (const place of [join(scratch, 'keys'), join(partial, 'etc/apk/keys')]) {
      mkdirSync(place, { recursive: true })
      for (const [name, bytes] of keys) writeFileSync(join(place, name), bytes)
    }
    const host = await buildHost(wanted.profile, tell)
    const program = await makeInstaller(join(scratch, 'program'), host)
    const answer = await install(
      program,
      join(scratch, 'request'),
      {
        ...{ root: partial, arch: wanted.arch, repositories, keep: [] },
        keys: Object.fromEntries([...keys.keys()].map((name) => [name, join(scratch, 'keys', name)])),
        world: [...worldWords(overlay?.world ?? ''), ...wordsOf(wanted.world), 'alpine-base'],
        whole: true,
        ...(wanted.apkovl === undefined ? {} : { overlay: overlayOf(wanted.apkovl) }),
      },
      {
        deadlineMs,
        words: ['unshare', '--mount', '--propagation', 'private', 'sh', '-c', ground, 'sh', partial, program],
      },
    ).catch(explainFailure)
    if (answer.failure !== undefined) {
      throw new CommandError(`the system could not be installed into ${directory}`, {
        cause: chainOfTexts(answer.failure),
      })
    }
    finish(partial, repositories, wanted.apkovl !== undefined)
    if (existsSync(directory)) rmSync(directory, { recursive: true })
    renameSync(partial, directory)
    return answer
  } finally {
    rmSync(scratch, { recursive: true, force: true })
    rmSync(partial, { recursive: true, force: true })
  }
}

/** `[@TAG ]DIR|URL`, or those of the overlay. */
function repositoriesOf(
  { repositories, arch }: Wanted,
  ofOverlay: readonly string[],
): { url: string; tag?: string }[] {
  const lines = repositories.length > 0 ? repositories : ofOverlay
  if (lines.length === 0) throw new UsageError('--repo is missing: packages from where?')
  return lines.map((line) => {
    const [, tag, place = ''] = /^(?:@(\S+)\s+)?(.+)$/.exec(line.trim()) ?? []
    const isUrl = /^[a-z][a-z\d+.-]*:\/\//i.test(place)
    const url = isUrl ? place : resolve(place)
    if (!isUrl && statSync(join(url, arch, 'APKINDEX.tar.gz'), { throwIfNoEntry: false }) === undefined) {
      throw new CommandError(`${place} is no repository: it has no ${arch}/APKINDEX.tar.gz`)
    }
    return tag === undefined ? { url } : { url, tag }
  })
}

/** Of `--world`: words, or a file of them. */
function wordsOf(texts: readonly string[]): string[] {
  return texts.flatMap((text) =>
    worldWords((text.includes('/') ? readInput(text).toString('utf8') : text).replaceAll(',', ' ')),
  )
}

function overlayOf(path: string): { readonly path: string; readonly format: 'gunzip' | 'unzstd' } {
  return { path: resolve(path), format: formatOf(resolve(path), path).unpack.kind }
}

/** What a boot into memory would have written besides, each only where there is none. */
function finish(partial: string, repositories: readonly { url: string }[], hasOverlay: boolean): void {
  const tree = new Tree(partial)
  const list = tree.at(tree.place('etc/apk/repositories'))
  if (!existsSync(list)) writeFileSync(list, repositories.map(({ url }) => `${url}\n`).join(''))
  const marker = tree.at(tree.place('etc/.default_boot_services'))
  if (hasOverlay && !existsSync(marker)) return
  rmSync(marker, { force: true })
  for (const [runlevel, names] of Object.entries(services)) {
    const directory = tree.at(tree.place(`etc/runlevels/${runlevel}`))
    mkdirSync(directory, { recursive: true })
    for (const name of names) {
      if (!tree.has(`etc/init.d/${name}`) || tree.look(`etc/runlevels/${runlevel}/${name}`) !== undefined)
        continue
      symlinkSync(`/etc/init.d/${name}`, join(directory, name))
    }
  }
}

function chainOfTexts([first = 'no reason was given', ...rest]: readonly string[]): Error {
  return new Error(first, rest.length === 0 ? {} : { cause: chainOfTexts(rest) })
}

function explainFailure(cause: unknown): never {
  if (errnoOf(cause) === 'ENOENT') {
    throw new CommandError("the program 'unshare' is missing", {
      advice: ['It is in the package util-linux.'],
    })
  }
  throw new CommandError('the installer could not be run', { cause })
}
