/** The filters of the fake machine's pipelines, over whole buffers. */

import { createHash, createPublicKey, verify } from 'node:crypto'
import { gunzipSync, zstdDecompressSync } from 'node:zlib'
import { type Filter, hasCode, type SysError } from '../../../src/sys/index.ts'
import { refusal } from './faults.ts'
import type { FakeFiles } from './files.ts'
import { decrypt } from './openssl.ts'

/** What a filter works on, for whose errors. */
export interface Filtering {
  readonly files: FakeFiles
  readonly subject: string
  /** The filters after this one. */
  readonly after: readonly Filter[]
}

export function tooBig(operation: string, subject: string, bytes: number): SysError {
  return refusal('TOO_BIG', operation, subject, `more than ${bytes} bytes`)
}

/** The least that a limit before any change of the length allows. */
export function announcedLimit(filters: readonly Filter[]): number | undefined {
  const changes = ({ kind }: Filter) => kind === 'gunzip' || kind === 'unzstd' || kind === 'decrypt'
  const end = filters.findIndex(changes)
  const limits = filters
    .slice(0, end === -1 ? undefined : end)
    .flatMap((filter) => (filter.kind === 'limit' ? [filter.bytes] : []))
  return limits.length === 0 ? undefined : Math.min(...limits)
}

export function applyFilter(filter: Filter, bytes: Buffer, filtering: Filtering): Buffer {
  const operation = `pipeline.${filter.kind}`
  const { subject } = filtering
  switch (filter.kind) {
    case 'gunzip':
    case 'unzstd':
      return decompress(filter.kind, bytes, filtering)
    case 'decrypt': {
      const plain = decrypt(bytes, filter)
      if (plain !== undefined) return plain
      throw refusal('FORMAT', operation, subject, `a wrong password, or not ${filter.cipher} by openssl enc`)
    }
    case 'digest': {
      const found = createHash(filter.algorithm).update(bytes).digest('hex')
      if (found === filter.expected.toLowerCase()) return bytes
      const message = `its ${filter.algorithm} is ${found}, not ${filter.expected}`
      throw refusal('DIGEST', operation, subject, message)
    }
    case 'signature':
      if (signedBy(filter, bytes, filtering)) return bytes
      throw refusal('SIGNATURE', operation, subject, `${filter.signature} is by none of the keys`)
    case 'limit':
      if (bytes.length > filter.bytes) throw tooBig(operation, subject, filter.bytes)
      return bytes
  }
}

function decompress(kind: 'gunzip' | 'unzstd', bytes: Buffer, { subject, after }: Filtering): Buffer {
  const limit = after.find((other) => other.kind === 'limit')?.bytes
  try {
    const options = limit === undefined ? {} : { maxOutputLength: limit + 1 }
    return kind === 'gunzip' ? gunzipSync(bytes, options) : zstdDecompressSync(bytes, options)
  } catch (error) {
    const { code, message } =
      error instanceof Error ? { code: '', ...error, message: error.message } : { code: '', message: '' }
    if (code === 'ERR_BUFFER_TOO_LARGE') throw tooBig('pipeline.limit', subject, limit ?? 0)
    const truncated = code === 'Z_BUF_ERROR' || bytes.length === 0
    throw refusal(truncated ? 'TRUNCATED' : 'FORMAT', `pipeline.${kind}`, subject, message)
  }
}

/** RSA with SHA-256 or SHA-512, or Ed25519, by any of the keys. */
function signedBy(
  filter: Extract<Filter, { kind: 'signature' }>,
  bytes: Buffer,
  { files, subject }: Filtering,
): boolean {
  const operation = 'pipeline.signature'
  const signature = readSignature(files, filter.signature, subject)
  return Object.values(filter.keys).some((path) => {
    const pem = files.read(path, operation)
    let key: ReturnType<typeof createPublicKey>
    try {
      key = createPublicKey(pem)
    } catch (error) {
      throw refusal('FORMAT', operation, path, error instanceof Error ? error.message : String(error))
    }
    const algorithms = key.asymmetricKeyType === 'ed25519' ? [null] : ['sha256', 'sha512']
    return algorithms.some((algorithm) => verify(algorithm, bytes, key, signature))
  })
}

function readSignature(files: FakeFiles, path: string, subject: string): Buffer {
  try {
    const bytes = files.read(path, 'pipeline.signature')
    const text = bytes.toString('latin1')
    return /^[A-Za-z\d+/=\s]+$/.test(text) ? Buffer.from(text, 'base64') : bytes
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) throw error
    throw refusal('SIGNATURE', 'pipeline.signature', subject, `its signature ${path} is not there`)
  }
}
