/** What apk 2 makes: an index of packages, and a package. Both are gzip members one after the other, the first a signature. */

import { createHash } from 'node:crypto'
import { CommandError } from '../../../build/error.ts'
import type { GzipMember } from '../../../build/gzip.ts'
import { field, numberField } from '../../apk/stanza.ts'
import { membersLazily, signaturesIn } from '../lock/apk-file.ts'
import { type Entry, textOf } from '../overlay/entry.ts'
import { readTar } from '../overlay/tar-read.ts'
import { clean } from './bytes.ts'
import { type OwnerFacts, ownersOf } from './owners.ts'
import { checkSignatures, type SignatureFacts } from './signatures.ts'

export interface IndexFacts {
  readonly size: number
  readonly description: string
  readonly signatures: readonly SignatureFacts[]
  readonly packages: readonly IndexedPackage[]
  readonly architectures: readonly string[]
  /** Source packages. */
  readonly origins: number
  /** Of all package files, and of what they hold. */
  readonly bytes: number
  readonly installedBytes: number
  /** ISO 8601: of the newest package; undefined: none says. */
  readonly newest: string | undefined
}

export interface IndexedPackage {
  readonly name: string
  readonly version: string
  readonly size: number
  readonly installedSize: number
  readonly description: string
}

/** What an archive unpacks to. */
export interface Counts {
  readonly files: number
  readonly links: number
  readonly directories: number
  /** Of the files. */
  readonly bytes: number
  readonly owners: readonly OwnerFacts[]
  /** Programs that run as their owner or group. */
  readonly setuid: readonly string[]
  readonly largest: readonly { readonly path: string; readonly bytes: number }[]
}

export interface PackageFacts extends Counts {
  readonly size: number
  readonly name: string
  readonly version: string
  readonly signatures: readonly SignatureFacts[]
  /** `Q1…`: what an index calls it. */
  readonly checksum: string
  /** Whether the files are those that the control member means: undefined where it does not say. */
  readonly dataIsRight: boolean | undefined
  /** Lines of .PKGINFO, in order. */
  readonly fields: readonly (readonly [name: string, value: string])[]
  /** Names and bytes. */
  readonly scripts: readonly { readonly name: string; readonly bytes: number }[]
}

interface Opened {
  readonly signatures: readonly SignatureFacts[]
  /** The members behind the signature. */
  readonly members: readonly GzipMember[]
}

function open(
  bytes: Buffer,
  subject: string,
  keys: ReadonlyMap<string, Buffer>,
  covers: 'all' | 'control',
): Opened {
  const [first, ...rest] = [...membersLazily(bytes, subject)]
  if (first === undefined) throw new CommandError(`${subject} is empty`)
  const signatures = signaturesIn(first, subject)
  if (signatures.length === 0) return { signatures: [], members: [first, ...rest] }
  const signed = covers === 'all' ? bytes.subarray(first.raw.length) : (rest[0]?.raw ?? Buffer.alloc(0))
  return { signatures: checkSignatures(signatures, signed, keys), members: rest }
}

/** Whoever signed it: what it says. Throws a CommandError. */
export function readIndex(
  bytes: Buffer,
  subject: string,
  keys: ReadonlyMap<string, Buffer>,
): {
  readonly signatures: readonly SignatureFacts[]
  readonly description: string
  readonly stanzas: readonly string[]
} {
  const { signatures, members } = open(bytes, subject, keys, 'all')
  const contents = readTar(Buffer.concat(members.map(({ content }) => content)), subject)
  const text = textOf(contents, 'APKINDEX')
  if (text === undefined) throw new CommandError(`${subject} is no index: there is no APKINDEX in it`)
  return {
    signatures,
    description: clean((textOf(contents, 'DESCRIPTION') ?? '').trim()),
    stanzas: text.split(/\n{2,}/).filter((stanza) => stanza.trim() !== ''),
  }
}

export function inspectIndex(bytes: Buffer, subject: string, keys: ReadonlyMap<string, Buffer>): IndexFacts {
  const { signatures, description, stanzas } = readIndex(bytes, subject, keys)
  const packages = stanzas.map((stanza) => ({
    name: clean(field(stanza, 'P') ?? '?'),
    version: clean(field(stanza, 'V') ?? '?'),
    size: numberField(stanza, 'S'),
    installedSize: numberField(stanza, 'I'),
    description: clean(field(stanza, 'T') ?? ''),
  }))
  const sum = (of: 'size' | 'installedSize') => packages.reduce((total, pkg) => total + pkg[of], 0)
  const words = (letter: 'A' | 'o') => [...new Set(stanzas.flatMap((stanza) => field(stanza, letter) ?? []))]
  const newest = stanzas.reduce((latest, stanza) => Math.max(latest, numberField(stanza, 't')), 0)
  return {
    size: bytes.length,
    description,
    signatures,
    packages,
    architectures: words('A').map(clean).sort(),
    origins: words('o').length,
    bytes: sum('size'),
    installedBytes: sum('installedSize'),
    newest: newest === 0 ? undefined : dateOf(newest),
  }
}

/** Undefined: a number that is no date. */
function dateOf(seconds: number): string | undefined {
  const date = new Date(seconds * 1000)
  return Number.isNaN(date.getTime()) ? undefined : date.toISOString().replace('.000Z', 'Z')
}

export function inspectPackage(
  bytes: Buffer,
  subject: string,
  keys: ReadonlyMap<string, Buffer>,
): PackageFacts {
  const { signatures, members } = open(bytes, subject, keys, 'control')
  const [control, ...data] = members
  if (control === undefined)
    throw new CommandError(`${subject} is cut short: there is nothing behind its signature`)
  const inside = readTar(control.content, subject)
  const info = textOf(inside, '.PKGINFO')
  if (info === undefined) throw new CommandError(`${subject} is no package: there is no .PKGINFO in it`)
  const fields = info.split('\n').flatMap((line): (readonly [string, string])[] => {
    const [, name, value] = /^(\w+) = (.*)$/.exec(line) ?? []
    return name === undefined || value === undefined ? [] : [[name, clean(value)]]
  })
  const one = (name: string) => fields.find(([field]) => field === name)?.[1]
  const expected = one('datahash')
  const found = createHash('sha256')
  for (const { raw } of data) found.update(raw)
  const contents =
    data.length === 0
      ? new Map<string, Entry>()
      : readTar(Buffer.concat(data.map(({ content }) => content)), subject)
  return {
    size: bytes.length,
    name: one('pkgname') ?? '?',
    version: one('pkgver') ?? '?',
    signatures,
    checksum: `Q1${createHash('sha1').update(control.raw).digest('base64')}`,
    dataIsRight: expected === undefined ? undefined : found.digest('hex') === expected.toLowerCase(),
    fields,
    scripts: [...inside].flatMap(([name, entry]) =>
      name === '.PKGINFO' || entry.kind !== 'file'
        ? []
        : [{ name: clean(name.replace(/^\./, '')), bytes: entry.bytes.length }],
    ),
    ...countsOf(contents),
  }
}

export function countsOf(contents: ReadonlyMap<string, Entry>): Counts {
  const all = [...contents].filter(([path]) => path !== '')
  const of = (...kinds: readonly Entry['kind'][]) => all.filter(([, { kind }]) => kinds.includes(kind)).length
  const files = all.flatMap(([path, entry]) =>
    entry.kind === 'file' ? [{ path: `/${clean(path)}`, bytes: entry.bytes.length }] : [],
  )
  return {
    files: files.length,
    links: of('symlink', 'hardlink'),
    directories: of('directory'),
    bytes: files.reduce((sum, { bytes }) => sum + bytes, 0),
    owners: ownersOf(all.map(([, entry]) => entry)),
    setuid: all
      .filter(([, { kind, mode }]) => kind === 'file' && (mode & 0o6000) !== 0)
      .map(([path]) => `/${clean(path)}`),
    largest: files.toSorted((a, b) => b.bytes - a.bytes).slice(0, 8),
  }
}
