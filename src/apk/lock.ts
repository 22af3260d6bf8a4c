/**
 * A lock file: a world as it was resolved once, in text that a person can read. What is signed comes first:
 *
 *     diskless lock 1
 *     made: 2026-11-21T20:15:03Z by diskless 0.1.0
 *     arch: x86_64
 *     world: alpine-base openssh@edge
 *     repository: apks|http://mirror.example.org/apks
 *     repository: @edge http://edge.example.org/apks
 *     packages: 2
 *
 *     C:Q1…
 *     P:musl
 *     from: 1
 *     sha256: …
 *
 *     …
 *
 *     signature: KEY BASE64
 *
 * Packages are in the order of their installation, each with its stanza as the index has it (what the installer writes
 * into the database comes from there), followed by lines of ours: `from`, the numbers of the repositories that have it;
 * `tag`, by which tag it was had; `sha256`, that of the whole file, where the maker saw it. A repository has mirrors
 * between `|`; one that is no URL is relative to the URL of the lock. The last line is no part of what is signed: RSA,
 * PKCS #1 v1.5, over SHA-256.
 */

import { BootError } from '../sys/index.ts'
import { formatDependency } from './dependency.ts'
import type { MirroredRepository } from './index.ts'
import type { SelectedPackage } from './select.ts'
import { field, numberField } from './stanza.ts'
import { makeWorld, type World, worldWords } from './world.ts'

export interface Lock {
  /** When and with what, for a person. */
  readonly made: string
  readonly arch: string
  readonly world: World
  /** `urls` may be relative. */
  readonly repositories: readonly MirroredRepository[]
  /** In the order of installation. */
  readonly packages: readonly SelectedPackage[]
}

/** Of the format. */
const version = 1
const firstLine = 'diskless lock '

/** What the signature is of. */
export function formatLock({ made, arch, world, repositories, packages }: Lock): string {
  const header = [
    `${firstLine}${version}`,
    `made: ${made}`,
    `arch: ${arch}`,
    `world: ${formatEntries(world).join(' ')}`,
    ...repositories.map(
      ({ urls, tag }) => `repository: ${tag === undefined ? '' : `@${tag} `}${urls.join('|')}`,
    ),
    `packages: ${packages.length}`,
  ]
  return `${[header.join('\n'), ...packages.map(formatPackage)].join('\n\n')}\n\n`
}

export function formatEntries({ entries }: World): readonly string[] {
  return entries.map((entry) => formatDependency(entry, 'tags'))
}

function formatPackage({ stanza, repositories, tag, sha256 }: SelectedPackage): string {
  return [
    // An index has no others.
    ...stanza.split('\n').filter((line) => /^[A-Za-z]:/.test(line)),
    `from: ${repositories.map((n) => n + 1).join(' ')}`,
    ...(tag === undefined ? [] : [`tag: ${tag}`]),
    ...(sha256 === undefined ? [] : [`sha256: ${sha256}`]),
  ].join('\n')
}

/** `signature`: base64. */
export function formatSignature(keyName: string, signature: string): string {
  return `signature: ${keyName} ${signature}\n`
}

export interface SignedText {
  /** What is signed. */
  readonly text: string
  /** What the signer calls his key, which proves nothing. */
  readonly keyName: string
  /** Base64. */
  readonly signature: string
}

/** Throws a BootError for what is no lock, is of another format, or ends without a signature. `shown`: where it is from. */
export function splitLock(file: string, shown: string): SignedText {
  const [, format] = /^diskless lock (\S+)\n/.exec(file) ?? []
  if (format === undefined) {
    throw new BootError(`${shown} is no lock file: it does not begin with \`diskless lock ${version}\``, {
      advice: [
        'make it with diskless lock; an error page that is served with status 200 looks like this too',
      ],
    })
  }
  if (format !== String(version)) {
    throw new BootError(
      `${shown} is a lock file of format ${format}; this diskless reads format ${version}`,
      {
        advice: [
          'make the lock and the initrd with the same diskless: diskless build, or diskless lock, again',
        ],
      },
    )
  }
  const end = file.lastIndexOf('\nsignature: ') + 1
  const [, keyName, signature] = /^signature: (\S+) ([\w+/=]+)\n$/.exec(file.slice(end)) ?? []
  if (keyName !== undefined && signature !== undefined)
    return { text: file.slice(0, end), keyName, signature }
  throw new BootError(`${shown} has no signature at its end: it is cut short, or was never signed`, {
    advice: ['compare its size with that of the file on the server; diskless lock --sign KEY signs it'],
  })
}

/** Of a text whose first line was looked at. Throws a BootError. */
export function parseLock(text: string, shown: string): Lock {
  const [header = '', ...stanzas] = text.trimEnd().split('\n\n')
  const refuse = (what: string): never => {
    throw new BootError(`${shown} is a damaged lock file: ${what}`, {
      advice: ['make it again: diskless lock'],
    })
  }
  const values = (name: string) =>
    header.split('\n').flatMap((line) => (line.startsWith(`${name}: `) ? [line.slice(name.length + 2)] : []))
  const value = (name: string) => values(name)[0] ?? refuse(`its header has no line \`${name}:\``)

  const world = makeWorld(worldWords(value('world')))
  if (world.invalid.length > 0) refuse(`its world has ${world.invalid.join(' ')}`)
  const repositories = values('repository').map(parseRepositoryLine)
  if (value('packages') !== String(stanzas.length)) {
    refuse(`it announces ${value('packages')} packages, and ${stanzas.length} are there`)
  }
  const packages = stanzas.map(
    (stanza, n) => parsePackage(stanza, repositories.length) ?? refuse(`its package ${n + 1} is not usable`),
  )
  return { made: value('made'), arch: value('arch'), world, repositories, packages }
}

function parseRepositoryLine(line: string): MirroredRepository {
  const [, tag, places = ''] = /^(?:@(\S+) )?(.*)$/.exec(line) ?? []
  return { urls: places.split('|'), tag }
}

/** What becomes a part of paths and URLs. */
const plainWord = /^[\w.+~:-]+$/

function parsePackage(text: string, repositories: number): SelectedPackage | undefined {
  const end = text.indexOf('\nfrom: ')
  const stanza = text.slice(0, end < 0 ? undefined : end)
  const lines = text.slice(stanza.length + 1).split('\n')
  const line = (name: string) => lines.find((each) => each.startsWith(name))?.slice(name.length)
  const [name, of, checksum] = [field(stanza, 'P'), field(stanza, 'V'), field(stanza, 'C')]
  const from = line('from: ')?.split(' ').map(Number) ?? []
  const sha256 = line('sha256: ')
  const size = numberField(stanza, 'S')
  if (name === undefined || of === undefined || checksum === undefined) return undefined
  const words = [name, of, field(stanza, 'A') ?? '-']
  const known = from.length > 0 && from.every((n) => Number.isInteger(n) && n >= 1 && n <= repositories)
  const digest = sha256 === undefined || /^[\da-f]{64}$/.test(sha256)
  if (
    !words.every((word) => plainWord.test(word) && !word.startsWith('.')) ||
    !known ||
    !digest ||
    size === 0
  ) {
    return undefined
  }
  return {
    name,
    version: of,
    checksum,
    stanza,
    repositories: from.map((n) => n - 1),
    tag: line('tag: '),
    size,
    installedSize: numberField(stanza, 'I'),
    ...(sha256 === undefined ? {} : { sha256 }),
  }
}

export interface WorldDifference {
  /** Entries that the lock does not have. */
  readonly lacking: readonly string[]
  /** Entries that only the lock has. */
  readonly further: readonly string[]
}

/** What is asked for, compared with what was locked. */
export function compareWorlds(asked: World, locked: World): WorldDifference {
  const [ours, theirs] = [new Set(formatEntries(asked)), new Set(formatEntries(locked))]
  return {
    lacking: [...[...ours].filter((entry) => !theirs.has(entry)), ...asked.invalid],
    further: [...theirs].filter((entry) => !ours.has(entry)),
  }
}
