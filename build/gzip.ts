/** gzip members (RFC 1952) one by one: apk's checksums and signatures are about the compressed bytes of each. */

import { crc32, inflateRawSync } from 'node:zlib'

export interface GzipMember {
  readonly raw: Buffer
  readonly content: Buffer
}

export class GzipError extends Error {
  override readonly name = 'GzipError'
  /** More was to come. */
  readonly truncated: boolean
  /** It unpacks to more than was allowed. */
  readonly tooBig: boolean

  constructor(
    message: string,
    truncated: boolean,
    options: { readonly cause?: unknown; readonly tooBig?: boolean } = {},
  ) {
    super(message, options)
    this.truncated = truncated
    this.tooBig = options.tooBig ?? false
  }
}

/** An index or a package of any distribution unpacks to less. */
const usualLimit = 1 << 30

/** Throws a GzipError at what is none. A member is inflated when it is asked for; `limit`: the bytes that it may have then. */
export function* gzipMembers(bytes: Buffer, limit = usualLimit): Generator<GzipMember, undefined> {
  for (let at = 0; at < bytes.length; ) {
    const member = bytes.subarray(at)
    if (member[0] !== 0x1f || member[1] !== 0x8b) throw new GzipError('not gzip', false)
    const start = headerLength(member)
    const { content, length } = inflate(member.subarray(start), limit)
    const end = start + length + 8
    if (end > member.length) throw new GzipError('unexpected end of file', true)
    if (member.readUInt32LE(end - 8) !== crc32(content)) throw new GzipError('incorrect data check', false)
    yield { raw: member.subarray(0, end), content }
    at += end
  }
}

/** With `info`, Node's types know the buffer only. */
function inflate(bytes: Buffer, limit: number): { readonly content: Buffer; readonly length: number } {
  let result: unknown
  try {
    result = inflateRawSync(bytes, { info: true, maxOutputLength: limit })
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause)
    const code = cause instanceof Error && 'code' in cause ? cause.code : undefined
    const tooBig = code === 'ERR_BUFFER_TOO_LARGE'
    throw new GzipError(message, message.includes('end of file'), { cause, tooBig })
  }
  if (typeof result !== 'object' || result === null || !('buffer' in result) || !('engine' in result)) {
    throw new Error('zlib gave no info')
  }
  const { buffer, engine } = result
  if (
    !Buffer.isBuffer(buffer) ||
    typeof engine !== 'object' ||
    engine === null ||
    !('bytesWritten' in engine)
  ) {
    throw new Error('zlib gave no info')
  }
  return { content: buffer, length: Number(engine.bytesWritten) }
}

function headerLength(member: Buffer): number {
  const flags = member[3] ?? 0
  let at = 10
  if (flags & 4) at += 2 + (at + 2 <= member.length ? member.readUInt16LE(at) : 0)
  if (flags & 8) at = member.indexOf(0, at) + 1
  if (flags & 16) at = member.indexOf(0, at) + 1
  if (flags & 2) at += 2
  return at
}
