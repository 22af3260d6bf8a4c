/** What is mounted where. */
import type { Sys } from '../sys/index.ts'

export async function isMounted(sys: Pick<Sys, 'mounts'>, target: string): Promise<boolean> {
  return (await sys.mounts.list()).some((entry) => entry.target === target)
}
