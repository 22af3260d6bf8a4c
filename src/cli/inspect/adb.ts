/** Files of apk-tools 3 (ADB): recognised and named, not read; this diskless installs what apk-tools 2 makes. */

import { constants, inflateRawSync } from 'node:zlib'
import type { Bytes } from './bytes.ts'

export interface AdbFacts {
  readonly format: 'apk 3'
  readonly size: number
  readonly schema: 'package' | 'index' | 'database' | 'unknown'
}

const schemas: Readonly<Record<string, AdbFacts['schema']>> = {
  pckg: 'package',
  indx: 'index',
  'idb\0': 'database',
}

export function inspectAdb(bytes: Bytes): AdbFacts {
  const start = bytes.slice(0, 4096)
  const plain = start.toString('latin1', 3, 4) === 'd' ? inflated(start.subarray(4)) : start
  return {
    format: 'apk 3',
    size: bytes.size,
    schema: schemas[plain.toString('latin1', 4, 8)] ?? 'unknown',
  }
}

function inflated(bytes: Buffer): Buffer {
  try {
    return inflateRawSync(bytes, { finishFlush: constants.Z_SYNC_FLUSH, maxOutputLength: 1 << 24 })
  } catch {
    return Buffer.alloc(0)
  }
}
