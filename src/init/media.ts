/** The media phase: shares and disks that hold repositories or an overlay. */

import { showCount } from '../boot/format.ts'
import { showNfsShare } from '../boot/nfs.ts'
import type { RamBootPlan } from '../boot/plan.ts'
import type { Cache } from '../cache/fetch.ts'
import { mountStandIn, unmountStandIn } from '../cache/stand-in.ts'
import { dateOf } from '../cache/state.ts'
import { type Media, mediumTarget, openMedia } from '../media/media.ts'
import { isMounted } from '../media/mounts.ts'
import type { NetworkUp } from '../network/network-up.ts'
import { BootError, chainOf, type Sys } from '../sys/index.ts'
import type { Report } from './story.ts'

export async function findMedia(
  sys: Sys,
  plan: RamBootPlan,
  network: NetworkUp | undefined,
  cache: Cache | undefined,
  report: Report,
): Promise<Media> {
  const found = await openOrReplace(sys, plan, network, cache, report)
  const { media, repositories, overlays } = found
  const holds = [
    repositories.length > 0 ? showCount(repositories.length, 'repository', 'repositories') : '',
    overlays.length > 0 ? showCount(overlays.length, 'overlay') : '',
  ].filter((part) => part !== '')
  report.detail(
    media.length === 0
      ? 'none'
      : `${media.map(({ name, target }) => `${name} at ${target}`).join(', ')}${holds.length > 0 ? `: ${holds.join(', ')}` : ''}`,
  )
  return found
}

/** With a copy at hand no file server is waited for as long as without. */
const withCacheMs = 15_000

/** A share that cannot be had is replaced by what the cache has of it. */
async function openOrReplace(
  sys: Sys,
  { root }: RamBootPlan,
  network: NetworkUp | undefined,
  cache: Cache | undefined,
  report: Report,
): Promise<Media> {
  const { notice: onNotice, warn: onWarning, signal } = report
  const events = { onNotice, onWarning, signal }
  const open = (patience: { readonly patienceMs?: number } = {}) =>
    openMedia(sys, root, network?.server, { ...events, ...patience })
  if (cache?.state === undefined || root.medium?.kind !== 'nfs') return open()
  await unmountStandIn(sys, mediumTarget)
  try {
    if (cache.offline) throw new BootError('there is no network')
    return await open({ patienceMs: withCacheMs })
  } catch (error) {
    if (!(error instanceof BootError)) throw error
    // Its server stopped when it had just been mounted.
    if (await isMounted(sys, mediumTarget)) await sys.mounts.unmount(mediumTarget, { lazy: true })
    const standIn = await mountStandIn(sys, cache, mediumTarget, {
      signal,
      onProgress: ({ bytes, total }) => report.progress({ done: bytes, total: total ?? 0, text: '' }),
    })
    if (standIn === undefined) throw error
    report.warn(
      `${showNfsShare(root.medium.share)} cannot be had (${chainOf(error).join(': ')}): ${showCount(standIn.files, 'file')} of the last good boot${dateOf(cache.state)} stand in for it, from the cache`,
    )
    return open()
  }
}
