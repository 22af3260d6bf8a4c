/** The overlay phase: the apkovl, found or fetched, checked, and unpacked into the root. */

import { showBytes, showCount } from '../boot/format.ts'
import type { RamBootPlan } from '../boot/plan.ts'
import type { Fetch } from '../network/fetch.ts'
import type { NetworkUp } from '../network/network-up.ts'
import { type MediaOfOverlay, type Overlay, unpackOverlay } from '../overlay/apkovl.ts'
import { sysroot } from '../root/ram.ts'
import type { Sys } from '../sys/index.ts'
import { shellConsoles } from './shells.ts'
import { fetchOptions, type Report } from './story.ts'

export async function fetchOverlay(
  sys: Sys,
  plan: RamBootPlan,
  { mac, fetch }: { readonly mac: NetworkUp['mac'] | undefined; readonly fetch: Fetch },
  media: MediaOfOverlay,
  report: Report,
): Promise<Overlay | undefined> {
  const target = {
    root: sysroot,
    mac,
    uuid: plan.machine.uuid,
    fetch,
    consoles: async () => (await shellConsoles(sys, plan)).map(({ device }) => device),
    onWarning: report.warn,
  }
  const options = fetchOptions(report, 'the overlay')
  const overlay = await unpackOverlay(sys, plan.root.overlay, target, media, options)
  report.detail(
    overlay === undefined
      ? 'none: the default services'
      : `${overlay.from}  ${showBytes(overlay.bytes)}, ${showCount(overlay.paths.length, 'path')}`,
  )
  return overlay
}
