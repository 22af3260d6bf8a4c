/** What somebody wants an overlay to have or to have no longer, from the command line. */

import { parseDependency } from '../../apk/dependency.ts'
import { UsageError } from '../command.ts'
import { parseUser, type UserWish } from './accounts.ts'
import { insidePath } from './entry.ts'

export interface PlacedFile {
  readonly source: string
  /** As `Contents` has it. */
  readonly path: string
  /** Undefined: that of the source. */
  readonly mode: number | undefined
  /** Names or numbers. */
  readonly user: string
  readonly group: string
}

export interface Service {
  readonly runlevel: string
  readonly name: string
}

/** Of a user: root's unless one is named. */
export interface OfUser {
  readonly file: string
  readonly user: string
}

export interface Wishes {
  readonly hostname: string | undefined
  readonly world: readonly string[]
  readonly services: readonly Service[]
  readonly users: readonly UserWish[]
  readonly passwords: readonly OfUser[]
  readonly sshKeys: readonly OfUser[]
  readonly files: readonly PlacedFile[]
  readonly repositories: readonly string[]
  /** Public keys of repositories: files or directories. */
  readonly keys: readonly string[]
  /** A file, or how a card gets its address. */
  readonly interfaces: Interfaces | undefined
  readonly removed: {
    readonly paths: readonly string[]
    readonly world: readonly string[]
    readonly services: readonly Service[]
    readonly users: readonly string[]
    readonly sshKeys: readonly OfUser[]
    readonly repositories: readonly string[]
  }
}

export type Interfaces =
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'dhcp'; readonly card: string }

/** The options as they are given; those that are missing are empty. */
export type Given = { readonly [Key in 'hostname' | 'interface']?: string | undefined } & {
  readonly [Key in
    | 'world'
    | 'service'
    | 'user'
    | 'password-file'
    | 'ssh-key'
    | 'file'
    | 'repository'
    | 'keys'
    | 'remove'
    | 'remove-world'
    | 'remove-service'
    | 'remove-user'
    | 'remove-ssh-key'
    | 'remove-repository']?: readonly string[] | undefined
}

const runlevelName = /^[a-z][a-z0-9_-]*$/

/** Throws a `UsageError`. */
export function parseWishes(given: Given): Wishes {
  const { hostname } = given
  // RFC 1123, a label or several: udhcpc and the resolver take nothing else.
  if (
    hostname !== undefined &&
    !/^(?!-)[a-z0-9-]{1,63}(?<!-)(\.(?!-)[a-z0-9-]{1,63}(?<!-))*$/i.test(hostname)
  ) {
    throw new UsageError(`--hostname ${hostname}: a name has letters, digits and dashes`)
  }
  return {
    hostname,
    world: worldOf('--world', given.world),
    services: (given.service ?? []).flatMap((text) => servicesOf('--service', text)),
    users: (given.user ?? []).map((text) => {
      const user = parseUser(text)
      if (user !== undefined) return user
      throw new UsageError(`--user ${text}: write it as NAME[:UID[:GROUP,GROUP]]`)
    }),
    passwords: (given['password-file'] ?? []).map(ofUser),
    sshKeys: (given['ssh-key'] ?? []).map(ofUser),
    files: (given.file ?? []).map(placedFile),
    repositories: (given.repository ?? []).map((text) => repositoryOf('--repository', text)),
    keys: given.keys ?? [],
    interfaces: interfacesOf(given.interface),
    removed: {
      paths: (given.remove ?? []).map((text) => pathOf('--remove', text)),
      world: worldOf('--remove-world', given['remove-world']),
      services: (given['remove-service'] ?? []).flatMap((text) => servicesOf('--remove-service', text)),
      users: given['remove-user'] ?? [],
      sshKeys: (given['remove-ssh-key'] ?? []).map(ofUser),
      repositories: given['remove-repository'] ?? [],
    },
  }
}

function worldOf(option: string, texts: readonly string[] = []): string[] {
  const words = texts.flatMap((text) => text.split(/[\s,]+/)).filter((word) => word !== '')
  for (const word of words) {
    if (parseDependency(word) === undefined) {
      throw new UsageError(
        `${option}: no package can be called ${word}`,
        'An entry is name, name=1.2, name~1, name>1, !name or name@tag.',
      )
    }
  }
  return words
}

/** `sshd`, `boot:syslog`, several with commas. */
function servicesOf(option: string, text: string): Service[] {
  return text
    .split(',')
    .filter((each) => each !== '')
    .map((each) => {
      const [, runlevel = 'default', name] = /^(?:([^:]+):)?([^:/]+)$/.exec(each) ?? []
      if (name !== undefined && runlevelName.test(runlevel) && !name.startsWith('.'))
        return { runlevel, name }
      throw new UsageError(`${option} ${text}: write it as [RUNLEVEL:]NAME, as in boot:syslog`)
    })
}

/** `FILE=USER`; a file's own name may have `=` in it, a user's has not. */
function ofUser(text: string): OfUser {
  const [, file, user] = /^(.+)=([a-z_][a-z0-9_-]*)$/i.exec(text) ?? []
  return file === undefined || user === undefined ? { file: text, user: 'root' } : { file, user }
}

function placedFile(text: string): PlacedFile {
  const equals = text.lastIndexOf('=/')
  const place = /^(\/[^:]*?)(?::([0-7]{3,4}))?(?::([\w-]+):([\w-]+))?$/.exec(text.slice(equals + 1))
  const [, path, mode, user = '0', group = '0'] = place ?? []
  if (equals < 1 || path === undefined) {
    throw new UsageError(
      `--file ${text}: write it as FILE=/PATH[:MODE[:USER:GROUP]]`,
      'For example: --file motd=/etc/motd, --file secret=/etc/secret:0640:root:shadow',
    )
  }
  return {
    source: text.slice(0, equals),
    path: pathOf('--file', path),
    mode: mode === undefined ? undefined : Number.parseInt(mode, 8),
    user,
    group,
  }
}

function pathOf(option: string, text: string): string {
  const path = insidePath(text, option)
  if (path !== '') return path
  throw new UsageError(`${option} ${text}: name a path in the overlay, not all of it`)
}

function repositoryOf(option: string, text: string): string {
  // apk's etc/apk/repositories: [@TAG ]URL or path.
  if (/^(@\S+\s+)?(\/|[a-z][a-z0-9+.-]*:\/\/)\S+$/i.test(text)) return text
  throw new UsageError(`${option} ${text}: write it as [@TAG ]URL or [@TAG ]/PATH`)
}

/** `dhcp` (of eth0), `CARD=dhcp`, or a file. */
function interfacesOf(text: string | undefined): Interfaces | undefined {
  if (text === undefined) return undefined
  const [, card = 'eth0'] = /^(?:([\w.-]{1,15})=)?dhcp$/.exec(text) ?? []
  return /^(?:[\w.-]{1,15}=)?dhcp$/.test(text) ? { kind: 'dhcp', card } : { kind: 'file', path: text }
}
