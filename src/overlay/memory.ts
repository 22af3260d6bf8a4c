/** How much of the memory a copy of the overlay may take, and what passes to a pipeline of one. */

import type { FetchOptions } from '../network/fetch.ts'
import { BootError, type PipelineOptions, type Sys } from '../sys/index.ts'

/** Bytes: half of what is free, as it is there twice while it is unpacked. */
export async function memoryForCopy(sys: Pick<Sys, 'files'>): Promise<number> {
  const text = await sys.files.readText('/proc/meminfo')
  const kibibytes = /^MemAvailable:\s*(\d+) kB$/m.exec(text)?.[1]
  if (kibibytes === undefined) throw new BootError('/proc/meminfo does not say how much memory is free')
  return Math.floor((Number(kibibytes) * 1024) / 2)
}

export function pipelineOptions({ signal }: FetchOptions): PipelineOptions {
  return signal === undefined ? {} : { signal }
}
