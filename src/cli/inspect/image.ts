/** Images of file systems, by their first blocks (the kernel's squashfs.rst and fs/erofs/erofs_fs.h): a modloop, a root. */

import { CommandError } from '../../../build/error.ts'
import type { Bytes } from './bytes.ts'

export interface ImageFacts {
  readonly type: 'squashfs' | 'erofs'
  readonly size: number
  /** What its first block says that it has. */
  readonly length: number
  readonly compression: string
  readonly blockSize: number
  readonly inodes: number
  /** ISO 8601. */
  readonly made: string
}

/** Of a file's first 2 KiB; undefined: neither. */
export function imageType(start: Buffer): ImageFacts['type'] | undefined {
  if (start.length >= 96 && start.toString('latin1', 0, 4) === 'hsqs') return 'squashfs'
  if (start.length >= 1024 + 64 && start.readUInt32LE(1024) === 0xe0f5e1e2) return 'erofs'
  return undefined
}

const compressors: readonly string[] = ['?', 'gzip', 'lzma', 'lzo', 'xz', 'lz4', 'zstd']

/** Throws a CommandError for one that is cut off. */
export function inspectImage(bytes: Bytes, subject: string): ImageFacts | undefined {
  const start = bytes.slice(0, 2048)
  const type = imageType(start)
  if (type === undefined) return undefined
  const facts = type === 'squashfs' ? readSquashfs(start) : readErofs(start)
  if (bytes.size < facts.length) {
    throw new CommandError(
      `${subject} is cut short: it has ${bytes.size} bytes, and its first block says ${facts.length}`,
      { advice: ['Copy it again, and compare its digest with the original.'] },
    )
  }
  return { type, size: bytes.size, ...facts }
}

function readSquashfs(start: Buffer): Omit<ImageFacts, 'type' | 'size'> {
  return {
    length: Number(start.readBigUInt64LE(40)),
    compression: compressors[start.readUInt16LE(20)] ?? '?',
    blockSize: start.readUInt32LE(12),
    inodes: start.readUInt32LE(4),
    made: dateOf(start.readUInt32LE(8)),
  }
}

function readErofs(start: Buffer): Omit<ImageFacts, 'type' | 'size'> {
  const at = 1024
  const blockSize = 2 ** start.readUInt8(at + 12)
  const algorithms = start.readUInt16LE(at + 84)
  return {
    length: start.readUInt32LE(at + 36) * blockSize,
    compression: erofsCompression(start.readUInt32LE(at + 80), algorithms),
    blockSize,
    inodes: Number(start.readBigUInt64LE(at + 16)),
    made: dateOf(Number(start.readBigUInt64LE(at + 24))),
  }
}

/** Since 5.16 a bit each; before, and with none, LZ4 or nothing at all. */
function erofsCompression(incompatible: number, algorithms: number): string {
  const names = ['lz4', 'lzma', 'deflate', 'zstd'].filter(
    (_, bit) => (incompatible & 2) !== 0 && (algorithms >> bit) & 1,
  )
  return names.length > 0 ? names.join(', ') : 'lz4 or none'
}

function dateOf(seconds: number): string {
  const date = new Date(seconds * 1000)
  return Number.isNaN(date.getTime()) ? 'no date' : date.toISOString().replace('.000Z', 'Z')
}
