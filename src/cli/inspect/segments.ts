/**
 * An initrd is a row of cpio archives, each compressed or not, with zeros between them (the kernel's buffer-format.rst): early
 * microcode, the archive itself, an image behind it. This finds where each begins and ends.
 */

import { crc32 } from 'node:zlib'
import { decompress } from '../../../build/compression.ts'
import { CommandError } from '../../../build/error.ts'
import { GzipError, gzipMembers } from '../../../build/gzip.ts'
import { type Bytes, bytesOf } from './bytes.ts'
import { type CpioEntry, readCpio } from './cpio.ts'

export type Packing = 'none' | 'gzip' | 'zstd' | 'xz'

export interface Segment {
  /** In the file. */
  readonly offset: number
  readonly size: number
  readonly packing: Packing
  /** What the entries lie in. */
  readonly archive: Bytes
  readonly entries: readonly CpioEntry[]
}

/** A distribution's largest initrd, with all firmware, unpacks to half of it. */
const mostUnpacked = 1 << 30

/** Formats that kernels unpack and nothing here does. */
const foreign: readonly (readonly [magic: string, name: string])[] = [
  ['425a68', 'bzip2'],
  ['5d0000', 'lzma'],
  ['894c5a4f000d0a1a0a', 'lzo'],
  ['02214c18', 'lz4'],
  ['04224d18', 'lz4'],
]

/** Throws a CommandError that says where it is damaged or cut short. */
export function readSegments(file: Bytes, subject: string): readonly Segment[] {
  const segments: Segment[] = []
  for (let at = skipZeros(file, 0); at < file.size; ) {
    const segment = readSegment(file, at, subject)
    segments.push(segment)
    at = skipZeros(file, at + segment.size)
  }
  return segments
}

function readSegment(file: Bytes, offset: number, subject: string): Segment {
  const where = offset === 0 ? subject : `${subject}, at byte ${offset},`
  const packing = packingOf(file.slice(offset, 16))
  if (packing === 'none') {
    const { entries, end } = readCpio(file, offset, subject)
    return { offset, size: end - offset, packing, archive: file, entries }
  }
  if (packing === undefined) {
    const name = foreignPacking(file.slice(offset, 16))
    throw new CommandError(
      name === undefined
        ? `${where} is neither a cpio archive nor a compressed one`
        : `${where} is compressed with ${name}, which is not unpacked here`,
      name === undefined ? {} : { advice: [`Unpack it first: ${name} -d, and inspect what comes out.`] },
    )
  }
  const { size, content } = unpack[packing](file, offset, where)
  const archive = bytesOf(content)
  const entries: CpioEntry[] = []
  for (let at = 0; at < archive.size; ) {
    const inner = readCpio(archive, at, `${subject}, unpacked from byte ${offset},`)
    entries.push(...inner.entries)
    at = skipZeros(archive, inner.end)
  }
  return { offset, size, packing, archive, entries }
}

/** Undefined: none that is known here. */
export function packingOf(start: Buffer): Packing | undefined {
  const magic = start.toString('hex')
  if (/^30373037303[12]/.test(magic)) return 'none'
  if (magic.startsWith('1f8b08')) return 'gzip'
  if (magic.startsWith('28b52ffd')) return 'zstd'
  if (magic.startsWith('fd377a585a00')) return 'xz'
  return undefined
}

/** Of an initrd’s first bytes: one that a kernel unpacks, and nothing here does. */
export function foreignPacking(start: Buffer): string | undefined {
  const magic = start.toString('hex', 0, 16)
  return foreign.find(([begins]) => magic.startsWith(begins))?.[1]
}

interface Unpacked {
  /** Bytes that it took in the file. */
  readonly size: number
  readonly content: Buffer
}

/** One compressed stream, whatever follows it. */
export const unpack: Readonly<
  Record<Exclude<Packing, 'none'>, (file: Bytes, offset: number, where: string, limit?: number) => Unpacked>
> = {
  gzip(file, offset, where, limit = mostUnpacked) {
    try {
      const [first] = [gzipMembers(restOf(file, offset), limit).next().value]
      return { size: first?.raw.length ?? 0, content: first?.content ?? Buffer.alloc(0) }
    } catch (cause) {
      if (!(cause instanceof GzipError)) throw cause
      if (cause.tooBig) throw tooBig(where, limit)
      throw cause.truncated ? cutShort(where, 'gzip', file) : damaged(where, 'gzip', cause)
    }
  },
  zstd(file, offset, where, limit = mostUnpacked) {
    const size = zstdLength(file, offset, where)
    const content = unpackWhole(file.slice(offset, size), 'zst', where, limit)
    return { size, content }
  },
  xz(file, offset, where, limit = mostUnpacked) {
    const size = xzLength(restOf(file, offset))
    if (size === undefined) throw cutShort(where, 'xz', file)
    return { size, content: unpackWhole(file.slice(offset, size), 'xz', where, limit) }
  },
}

function unpackWhole(bytes: Buffer, format: 'zst' | 'xz', where: string, limit: number): Buffer {
  try {
    return decompress(bytes, format, where, limit)
  } catch (error) {
    const { cause } = error instanceof Error ? error : { cause: undefined }
    const code = cause instanceof Error && 'code' in cause ? cause.code : undefined
    if (code === 'ERR_BUFFER_TOO_LARGE' || code === 'ENOBUFS') throw tooBig(where, limit)
    throw error
  }
}

function restOf(file: Bytes, offset: number): Buffer {
  return file.slice(offset, Math.min(file.size - offset, mostUnpacked))
}

/** RFC 8878, 3.1.1: a frame's header, its blocks, perhaps a checksum. */
function zstdLength(file: Bytes, start: number, where: string): number {
  const byte = (at: number) => {
    const [value] = file.slice(at, 1)
    if (value === undefined) throw cutShort(where, 'zstd', file)
    return value
  }
  const descriptor = byte(start + 4)
  const single = (descriptor >> 5) & 1
  const dictionary = [0, 1, 2, 4][descriptor & 3] ?? 0
  const contentSize = [single, 2, 4, 8][descriptor >> 6] ?? 0
  let at = start + 5 + (1 - single) + dictionary + contentSize
  for (let last = false; !last; ) {
    const block = byte(at) | (byte(at + 1) << 8) | (byte(at + 2) << 16)
    const type = (block >> 1) & 3
    if (type === 3) throw damaged(where, 'zstd', new Error(`no block begins at byte ${at}`))
    last = (block & 1) === 1
    at += 3 + (type === 1 ? 1 : block >> 3)
  }
  const end = at + ((descriptor >> 2) & 1) * 4
  if (end > file.size) throw cutShort(where, 'zstd', file)
  return end - start
}

/** The .xz file format, 2.1.2: a stream's footer ends in YZ, and begins with the CRC-32 of what is between. */
function xzLength(bytes: Buffer): number | undefined {
  for (let at = bytes.indexOf('YZ', 22, 'latin1'); at !== -1; at = bytes.indexOf('YZ', at + 1, 'latin1')) {
    if (bytes.readUInt32LE(at - 10) === crc32(bytes.subarray(at - 6, at))) return at + 2
  }
  return undefined
}

function skipZeros(bytes: Bytes, from: number): number {
  for (let at = from; at < bytes.size; ) {
    const piece = bytes.slice(at, 65_536)
    const first = piece.findIndex((byte) => byte !== 0)
    if (first !== -1) return at + first
    at += piece.length
  }
  return bytes.size
}

function cutShort(where: string, format: string, file: Bytes): CommandError {
  return new CommandError(
    `${where} is cut short: the file ends at byte ${file.size}, inside ${format} data`,
    {
      advice: ['Compare its size with that of the original, and copy it again.'],
    },
  )
}

function damaged(where: string, format: string, cause: Error): CommandError {
  return new CommandError(`${where} is damaged: it cannot be unpacked (${format})`, { cause })
}

function tooBig(where: string, limit: number): CommandError {
  return new CommandError(
    `${where} unpacks to more than ${Math.round(limit / 2 ** 20)} MiB, which is not read here`,
  )
}
