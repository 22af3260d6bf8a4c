/** The root phase: a place in memory for the new system. */
import type { RamBootPlan } from '../boot/plan.ts'
import { mountRamRoot } from '../root/ram.ts'
import type { Sys } from '../sys/index.ts'
import { size } from './format.ts'
import { pauseInShell } from './shells.ts'
import type { Report } from './story.ts'

export async function makeRoot(sys: Sys, plan: RamBootPlan, report: Report): Promise<void> {
  if (plan.single) await pauseInShell(sys, plan)
  const { bytes } = await mountRamRoot(sys, plan)
  report.detail(`tmpfs, up to ${size(bytes)}`)
}
