/** How much memory is left, from /proc/meminfo (proc(5)). Pure. */
import { BootError } from '../sys/error.ts'

/** Bytes that programs may still take. Throws a BootError where the kernel does not say. */
export function availableMemoryOf(meminfo: string): number {
  const kilobytes = /^MemAvailable:\s+(\d+) kB/m.exec(meminfo)?.[1]
  if (kilobytes === undefined) throw new BootError('/proc/meminfo does not say how much memory is available')
  return Number(kilobytes) * 1024
}
