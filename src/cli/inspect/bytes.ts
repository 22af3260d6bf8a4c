/** Bytes to look at, of a file of any size or of what was unpacked: only what is asked for is read. */

import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { CommandError, errnoOf } from '../../../build/error.ts'

export interface Bytes {
  readonly size: number
  /** Fewer than `length` only at the end. */
  slice(offset: number, length: number): Buffer
}

export function bytesOf(buffer: Buffer): Bytes {
  return { size: buffer.length, slice: (offset, length) => buffer.subarray(offset, offset + length) }
}

/** Hands an open file to `use`, and closes it. Throws a CommandError for what is no file that can be read. */
export async function withFile<T>(path: string, use: (bytes: Bytes) => Promise<T> | T): Promise<T> {
  const descriptor = open(path)
  try {
    const status = fstatSync(descriptor)
    if (!status.isFile()) {
      throw new CommandError(`${path} is no file`, {
        advice: ['Name one: an initrd, an overlay, an index, a lock, a package, a kernel or an image.'],
      })
    }
    return await use({ size: status.size, slice: (offset, length) => read(descriptor, offset, length) })
  } finally {
    closeSync(descriptor)
  }
}

function open(path: string): number {
  try {
    return openSync(path, 'r')
  } catch (cause) {
    if (errnoOf(cause) === undefined) throw cause
    throw new CommandError(`the file ${path} could not be read`, { cause })
  }
}

function read(descriptor: number, offset: number, length: number): Buffer {
  const bytes = Buffer.alloc(length)
  let filled = 0
  while (filled < length) {
    const many = readSync(descriptor, bytes, filled, length - filled, offset + filled)
    if (many === 0) break
    filled += many
  }
  return bytes.subarray(0, filled)
}

/** Text of a stranger's on somebody's terminal: control characters would be obeyed there. */
export function clean(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, '\u{fffd}')
}
