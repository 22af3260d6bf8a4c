/** The media phase: shares and disks that hold repositories or an overlay. */
import type { RamBootPlan } from '../boot/plan.ts'
import { type Media, openMedia } from '../media/media.ts'
import type { NetworkUp } from '../network/join.ts'
import type { Sys } from '../sys/index.ts'
import { count } from './format.ts'
import type { Report } from './story.ts'

export async function findMedia(
  sys: Sys,
  plan: RamBootPlan,
  network: NetworkUp | undefined,
  report: Report,
): Promise<Media> {
  const { notice, warn, signal } = report
  const found = await openMedia(sys, plan.root, network?.server, {
    onNotice: notice,
    onWarning: warn,
    signal,
  })
  const { media, repositories, overlays } = found
  const holds = [
    repositories.length > 0 ? count(repositories.length, 'repository', 'repositories') : '',
    overlays.length > 0 ? count(overlays.length, 'overlay') : '',
  ].filter((part) => part !== '')
  report.detail(
    media.length === 0
      ? 'none'
      : `${media.map(({ name, target }) => `${name} at ${target}`).join(', ')}${holds.length > 0 ? `: ${holds.join(', ')}` : ''}`,
  )
  return found
}
