/**
 * Compressed inputs: gzip and zstd by Node itself; xz, which Node does not have, by the program `xz`.
 * Output: the initrd's zstd.
 */

import { spawnSync } from 'node:child_process'
import { promisify } from 'node:util'
import { constants, gunzipSync, type ZstdOptions, zstdCompress, zstdDecompressSync } from 'node:zlib'
import { CommandError, errnoOf } from './error.ts'

export type Compression = 'none' | 'gz' | 'xz' | 'zst'

/** What a name's ending says, and the name without it. */
export function splitCompression(name: string): {
  readonly plain: string
  readonly compression: Compression
} {
  for (const compression of ['gz', 'xz', 'zst'] as const) {
    if (name.endsWith(`.${compression}`)) {
      return { plain: name.slice(0, -compression.length - 1), compression }
    }
  }
  return { plain: name, compression: 'none' }
}

/** `limit`: bytes that the result may have. `subject`: whose bytes these are, for the error. */
export function decompress(
  bytes: Buffer,
  compression: Compression,
  subject: string,
  limit = 256 * 1024 * 1024,
): Buffer {
  try {
    switch (compression) {
      case 'none':
        return bytes
      case 'gz':
        return gunzipSync(bytes, { maxOutputLength: limit })
      case 'zst':
        return zstdDecompressSync(bytes, { maxOutputLength: limit })
      case 'xz':
        return unxz(bytes, limit)
    }
  } catch (error) {
    if (error instanceof CommandError) throw error
    throw new CommandError(`${subject} could not be decompressed (${compression})`, { cause: error })
  }
}

function unxz(bytes: Buffer, limit: number): Buffer {
  const result = spawnSync('xz', ['--decompress', '--stdout'], { input: bytes, maxBuffer: limit })
  if (result.error !== undefined) throw missingProgram('xz', 'xz-utils', 'xz', result.error)
  if (result.status !== 0) throw new Error(result.stderr.toString().trim())
  return result.stdout
}

/** What to say when a program that the builder needs is not there; other errors pass as they are. */
export function missingProgram(program: string, debian: string, alpine: string, error: Error): Error {
  if (errnoOf(error) !== 'ENOENT') return error
  return new CommandError(`this input needs the program '${program}', which is not installed`, {
    advice: [`Install it: 'apt-get install ${debian}' on Debian, 'apk add ${alpine}' on Alpine.`],
  })
}

/** zstd's own scale. What is beyond 19 gains from larger windows only. */
export type Level = 1 | 3 | 9 | 19

/**
 * The kernel's decoder (lib/decompress_unzstd.c) allocates a window of this size while memory is scarcest: packed and unpacked
 * initrd are both there. 2 MiB instead of level 19's own 8 cost the initrd one per cent, and boot with 112 MiB instead of 128.
 */
const windowLog = 21

const zstd: (bytes: Buffer, options: ZstdOptions) => Promise<Buffer> = promisify(zstdCompress)

export function compressInitrd(archive: Buffer, level: Level): Promise<Buffer> {
  return zstd(archive, {
    params: {
      [constants.ZSTD_c_compressionLevel]: level,
      [constants.ZSTD_c_windowLog]: windowLog,
      [constants.ZSTD_c_checksumFlag]: 1,
    },
    pledgedSrcSize: archive.length,
  })
}
