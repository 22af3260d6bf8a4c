/** What is in an overlay (apkovl): what it makes of a machine, as lbu wrote it or somebody by hand. */

import { CommandError } from '../../../build/error.ts'
import { isUrl } from '../../boot/root-plan.ts'
import { redactUrl } from '../../network/url.ts'
import { parseFstab } from '../../overlay/fstab.ts'
import { bytesOf, type Entry, textOf } from '../overlay/entry.ts'
import { readTar } from '../overlay/tar-read.ts'
import { clean } from './bytes.ts'
import { describeKey, type KeyFacts } from './keys.ts'
import { countsOf } from './packages.ts'

export type OverlayFacts = ReturnType<typeof inspectOverlay>

export interface UserFacts {
  readonly name: string
  readonly uid: number
  readonly gid: number
  readonly home: string
  readonly shell: string
  /** How it can log in, by etc/shadow. */
  readonly password: 'set' | 'none' | 'locked' | 'not told'
  /** Of ~/.ssh/authorized_keys: types and comments. */
  readonly sshKeys: readonly string[]
}

export function inspectOverlay(archive: Buffer, size: number, packing: 'gzip' | 'zstd', subject: string) {
  const contents = readTar(archive, subject)
  if (
    ![...contents.keys()].some((path) => /^(?:etc|root|home|usr|var|srv|opt|\.apk|boot|lib)\b/.test(path))
  ) {
    throw new CommandError(
      `${subject} is a tar archive, but no overlay: it has nothing of a system’s directories`,
      {
        advice: ['An overlay begins at the root of the file system: etc/…'],
      },
    )
  }
  const lines = (path: string) => (textOf(contents, path) ?? '').split('\n').map((line) => line.trim())
  const said = (path: string) => lines(path).filter((line) => line !== '' && !line.startsWith('#'))
  return {
    size,
    packing,
    unpacked: archive.length,
    ...countsOf(contents),
    hostname: said('etc/hostname').map(clean)[0],
    world:
      textOf(contents, 'etc/apk/world') === undefined ? undefined : words(textOf(contents, 'etc/apk/world')),
    repositories: said('etc/apk/repositories').map((line) => clean(redacted(line))),
    keys: namesIn(contents, 'etc/apk/keys/').map(
      (name): KeyFacts => describeKey(name, bytesOf(contents, `etc/apk/keys/${name}`) ?? Buffer.alloc(0)),
    ),
    services: servicesOf(contents),
    /** Alpine’s own services are added to these. */
    defaultServices: contents.has('etc/.default_boot_services'),
    users: usersOf(contents),
    fstab: parseFstab(textOf(contents, 'etc/fstab') ?? '').map(({ device, mountPoint, type, options }) =>
      clean(`${device} at ${mountPoint}, ${type}${options.length === 0 ? '' : `, ${options.join(',')}`}`),
    ),
    /** Where lbu and apk keep what they keep. */
    cache: linkOf(contents.get('etc/apk/cache')),
    warnings: warningsOf(contents),
  }
}

function words(text: string | undefined): readonly string[] {
  return (text ?? '')
    .split(/\s+/)
    .filter((word) => word !== '')
    .map(clean)
}

function redacted(line: string): string {
  return line
    .split(/\s+/)
    .map((word) => (isUrl(word) ? redactUrl(word) : word))
    .join(' ')
}

function namesIn(contents: ReadonlyMap<string, Entry>, directory: string): readonly string[] {
  return [...contents.keys()].flatMap((path) => {
    const rest = path.startsWith(directory) ? path.slice(directory.length) : ''
    return rest === '' || rest.includes('/') ? [] : [rest]
  })
}

/** By runlevel. */
function servicesOf(contents: ReadonlyMap<string, Entry>): Readonly<Record<string, readonly string[]>> {
  const services = new Map<string, string[]>()
  for (const [path, { kind }] of contents) {
    const [, runlevel, name] = /^etc\/runlevels\/([^/]+)\/([^/]+)$/.exec(path) ?? []
    if (runlevel === undefined || name === undefined || kind === 'directory') continue
    services.set(clean(runlevel), [...(services.get(clean(runlevel)) ?? []), clean(name)].sort())
  }
  return Object.fromEntries(services)
}

/** Those of etc/passwd; else those of whom etc/shadow has a password. */
function usersOf(contents: ReadonlyMap<string, Entry>): readonly UserFacts[] {
  const rows = (path: string) =>
    (textOf(contents, path) ?? '')
      .split('\n')
      .map((line) => line.split(':').map(clean))
      .filter(([name]) => name)
  const shadow = new Map(rows('etc/shadow').map(([name = '', password = '']) => [name, password]))
  const listed = rows('etc/passwd')
  const told = listed.length > 0 ? listed : [...shadow.keys()].map((name) => [name])
  return told.map(([name = '', , uid, gid, , home, shell]) => {
    const directory = home ?? (name === 'root' ? '/root' : `/home/${name}`)
    const place = `${directory.replace(/^\/+/, '')}/.ssh/authorized_keys`
    return {
      name,
      uid: Number(uid ?? (name === 'root' ? 0 : Number.NaN)),
      gid: Number(gid ?? (name === 'root' ? 0 : Number.NaN)),
      home: directory,
      shell: shell ?? '',
      password: passwordState(shadow.get(name)),
      sshKeys: (textOf(contents, place) ?? '').split('\n').flatMap((line) => {
        const [, type, comment = ''] =
          /(?:^|\s)((?:ssh|ecdsa|sk-)[\w@.-]+)\s+[\w+/=]{40,}\s*(.*)$/.exec(line) ?? []
        return type === undefined || line.startsWith('#') ? [] : [clean(`${type} ${comment}`.trim())]
      }),
    }
  })
}

/** shadow(5). */
function passwordState(field: string | undefined): UserFacts['password'] {
  if (field === undefined) return 'not told'
  if (field === '') return 'none'
  return /^[!*]/.test(field) ? 'locked' : 'set'
}

function linkOf(entry: Entry | undefined): string | undefined {
  if (entry === undefined) return undefined
  return entry.kind === 'symlink' ? clean(entry.target) : entry.kind
}

/** What is allowed and yet hardly meant. */
function warningsOf(contents: ReadonlyMap<string, Entry>): readonly string[] {
  const open = [...contents].filter(
    ([path, { kind, mode }]) =>
      kind === 'file' &&
      (/^etc\/shadow-?$/.test(path) || /^etc\/ssh\/ssh_host_.*_key$/.test(path)) &&
      (mode & 0o004) !== 0,
  )
  const host = [...contents.keys()].filter((path) => /^etc\/ssh\/ssh_host_.*_key$/.test(path))
  const empty = usersOf(contents).filter(({ password }) => password === 'none')
  return [
    ...open.map(([path]) => `/${clean(path)} can be read by everybody`),
    ...empty.map(({ name }) => `${name} logs in without a password`),
    ...(host.length > 0
      ? ['it has SSH host keys: whoever can fetch the overlay can pretend to be this machine']
      : []),
  ]
}
