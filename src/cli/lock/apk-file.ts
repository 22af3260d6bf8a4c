/** Packages and indexes of apk v2 as files on the server: their gzip members, checked as init checks them. */

import { createHash, createVerify } from 'node:crypto'
import { readTar } from '../../../build/archive.ts'
import { CommandError } from '../../../build/error.ts'
import { GzipError, type GzipMember, gzipMembers } from '../../../build/gzip.ts'

export interface Signature {
  readonly keyName: string
  readonly algorithm: 'sha1' | 'sha256'
  readonly bytes: Buffer
}

/** The text of a repository's index, of which one of `keys` (PEM, by name) signed every byte. Throws a CommandError. */
export function readSignedIndex(bytes: Buffer, keys: ReadonlyMap<string, Buffer>, shown: string): string {
  const [first, ...rest] = membersOf(bytes, shown)
  const signatures = first === undefined ? [] : signaturesIn(first, shown)
  if (first === undefined || signatures.length === 0) {
    throw new CommandError(`${shown} is not signed, so nothing in it can be trusted`, {
      advice: ['Sign it: abuild-sign -k KEY APKINDEX.tar.gz'],
    })
  }
  const signed = bytes.subarray(first.raw.length)
  const known = signatures.filter(({ keyName }) => keys.has(keyName))
  if (known.length === 0) {
    throw new CommandError(
      `${shown} is signed with ${signatures.map(({ keyName }) => keyName).join(', ')}, which is none of the keys given`,
      { advice: [`--keys has ${[...keys.keys()].join(', ') || 'none'}.`] },
    )
  }
  const good = known.some(({ keyName, algorithm, bytes: signature }) =>
    createVerify(algorithm)
      .update(signed)
      .verify(keys.get(keyName) ?? '', signature),
  )
  if (!good) {
    throw new CommandError(`${shown} does not match its signature: it is damaged, or somebody changed it`, {
      advice: ['Make and sign it again.'],
    })
  }
  const archive = Buffer.concat(rest.map(({ content }) => content))
  for (const member of readTar(archive, shown)) {
    if (member.kind === 'file' && member.name === 'APKINDEX') return member.bytes.toString('utf8')
  }
  throw new CommandError(`${shown} is no index: there is no APKINDEX in it`)
}

/**
 * Throws a CommandError unless these bytes are the package that the index means: its checksum is that of the control
 * member, which has the SHA-256 of the data. Gives the SHA-256 of the whole.
 */
export function digestOfPackage(bytes: Buffer, checksum: string, shown: string): string {
  const members = membersLazily(bytes, shown)
  let control = members.next().value
  let start = control?.raw.length ?? 0
  if (control !== undefined && signaturesIn(control, shown).length > 0) {
    control = members.next().value
    start += control?.raw.length ?? 0
  }
  const found = `Q1${hash('sha1', control?.raw ?? Buffer.alloc(0)).toString('base64')}`
  if (control === undefined || found !== checksum) {
    throw new CommandError(
      `${shown} is not the package of the index: its checksum is ${found}, not ${checksum}`,
      {
        advice: ['Make the index of the repository again: apk index.'],
      },
    )
  }
  const info = [...readTar(control.content, shown)].find(({ name }) => name === '.PKGINFO')
  const text = info?.kind === 'file' ? info.bytes.toString('utf8') : ''
  const expected = /^datahash = ([\da-f]{64})$/im.exec(text)?.[1]?.toLowerCase()
  if (hash('sha256', bytes.subarray(start)).toString('hex') !== expected) {
    throw new CommandError(`${shown} is damaged: its files are not those that it was made with`, {
      advice: ['Fetch or build it again.'],
    })
  }
  return hash('sha256', bytes).toString('hex')
}

function hash(algorithm: 'sha1' | 'sha256', bytes: Buffer): Buffer {
  return createHash(algorithm).update(bytes).digest()
}

/** Of a gzip member: those that it has for what follows it. */
export function signaturesIn({ content }: GzipMember, shown: string): readonly Signature[] {
  return [...readTar(content, shown)].flatMap((member) => {
    const [, kind, keyName] = /^\.SIGN\.(RSA|RSA256)\.(.+)$/.exec(member.name) ?? []
    if (member.kind !== 'file' || keyName === undefined) return []
    return [{ keyName, algorithm: kind === 'RSA' ? 'sha1' : 'sha256', bytes: member.bytes }]
  })
}

function membersOf(bytes: Buffer, shown: string): readonly GzipMember[] {
  return [...membersLazily(bytes, shown)]
}

/** Throws a CommandError where it is cut short, or no gzip. */
export function* membersLazily(bytes: Buffer, shown: string): Generator<GzipMember, undefined> {
  if (bytes.toString('latin1', 0, 3) === 'ADB') {
    throw new CommandError(`${shown} is of apk-tools 3 (ADB); only the format of apk-tools 2 is read here`)
  }
  try {
    yield* gzipMembers(bytes)
  } catch (cause) {
    if (!(cause instanceof GzipError)) throw cause
    throw new CommandError(
      `${shown} is ${cause.truncated ? 'cut short' : 'neither an index nor a package'}`,
      {
        cause,
      },
    )
  }
}
