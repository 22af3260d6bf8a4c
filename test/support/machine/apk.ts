/** The formats of apk v2 as bytes: gzip members one after the other, the index and the package in them. */

import { createHash } from 'node:crypto'
import { GzipError, type GzipMember, gzipMembers } from '../../../build/gzip.ts'
import { refusal } from './faults.ts'
import { readTar, type TarEntry } from './tar.ts'

export interface Signature {
  readonly keyName: string
  readonly algorithm: 'RSA' | 'RSA256'
  readonly bytes: Buffer
}

export interface ApkIndex {
  readonly stanzas: readonly string[]
  readonly description: string
  readonly signatures: readonly Signature[]
  /** What the signatures are of. */
  readonly signed: Buffer
}

export interface ApkPackage {
  readonly checksum: string
  readonly pkginfo: string
  readonly scripts: ReadonlyMap<string, Buffer>
  readonly entries: readonly TarEntry[]
}

/** What Node's own gunzip glues together. */
function members(bytes: Buffer, operation: string, subject: string): readonly GzipMember[] {
  try {
    const found = [...gzipMembers(bytes)]
    if (found.length > 0) return found
  } catch (error) {
    if (!(error instanceof GzipError)) throw error
    throw refusal(error.truncated ? 'TRUNCATED' : 'FORMAT', operation, subject, error.message)
  }
  throw refusal('TRUNCATED', operation, subject, 'empty')
}

function signaturesOf(entries: readonly TarEntry[]): Signature[] {
  return entries.flatMap((entry) => {
    const match = /^\.SIGN\.(RSA|RSA256)\.(.+)$/.exec(entry.name)
    if (match === null) return []
    return [
      { algorithm: match[1] === 'RSA' ? 'RSA' : 'RSA256', keyName: match[2] ?? '', bytes: entry.content },
    ]
  })
}

export function readIndex(bytes: Buffer, subject: string): ApkIndex {
  const operation = 'pipeline.apk-index'
  const parts = members(bytes, operation, subject)
  const first = readTar(parts[0]?.content ?? Buffer.alloc(0), operation, subject)
  const signatures = signaturesOf(first)
  const signed = signatures.length > 0 ? bytes.subarray(parts[0]?.raw.length ?? 0) : bytes
  const body = Buffer.concat(parts.slice(signatures.length > 0 ? 1 : 0).map((part) => part.content))
  const entries = readTar(body, operation, subject)
  const index = entries.find((entry) => entry.name === 'APKINDEX')?.content
  if (index === undefined) throw refusal('FORMAT', operation, subject, 'no APKINDEX in it')
  const description = entries.find((entry) => entry.name === 'DESCRIPTION')?.content.toString('utf8') ?? ''
  const stanzas = index
    .toString('utf8')
    .split(/\n\n+/)
    .filter((stanza) => stanza.trim() !== '')
  return { stanzas, description: description.split('\n')[0] ?? '', signatures, signed }
}

export function readPackage(bytes: Buffer, checksum: string, subject: string): ApkPackage {
  const operation = 'pipeline.apk-stage'
  const parts = members(bytes, operation, subject)
  const signed = signaturesOf(readTar(parts[0]?.content ?? Buffer.alloc(0), operation, subject)).length > 0
  const [control, ...data] = signed ? parts.slice(1) : parts
  if (control === undefined || data.length === 0) {
    throw refusal('TRUNCATED', operation, subject, 'a package has a control and a data member')
  }
  const found = `Q1${createHash('sha1').update(control.raw).digest('base64')}`
  if (found !== checksum)
    throw refusal('DIGEST', operation, subject, `its checksum is ${found}, not ${checksum}`)
  const info = readTar(control.content, operation, subject)
  const pkginfo = info.find((entry) => entry.name === '.PKGINFO')?.content.toString('utf8')
  if (pkginfo === undefined) throw refusal('FORMAT', operation, subject, 'no .PKGINFO in it')
  const datahash = /^datahash = ([0-9a-f]{64})$/m.exec(pkginfo)?.[1]
  const hash = createHash('sha256')
    .update(Buffer.concat(data.map((part) => part.raw)))
    .digest('hex')
  if (datahash === undefined) throw refusal('FORMAT', operation, subject, '.PKGINFO has no datahash')
  if (datahash !== hash)
    throw refusal('DIGEST', operation, subject, 'its files are not those it was made with')
  const scripts = info.filter((entry) => entry.name !== '.PKGINFO' && entry.name.startsWith('.'))
  return {
    checksum,
    pkginfo,
    scripts: new Map(scripts.map((entry) => [entry.name.slice(1), entry.content])),
    entries: readTar(Buffer.concat(data.map((part) => part.content)), operation, subject),
  }
}
