/** How much of the memory a copy of the overlay may take, and what passes to a pipeline of one. */

import { availableMemoryOf } from '../boot/memory.ts'
import type { FetchOptions } from '../network/fetch.ts'
import type { PipelineOptions, Sys } from '../sys/index.ts'

/** Bytes: half of what is free, as it is there twice while it is unpacked. */
export async function memoryForCopy(sys: Pick<Sys, 'files'>): Promise<number> {
  return Math.floor(availableMemoryOf(await sys.files.readText('/proc/meminfo')) / 2)
}

export function pipelineOptions({ signal }: FetchOptions): PipelineOptions {
  return signal === undefined ? {} : { signal }
}
