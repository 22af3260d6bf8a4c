/** The cache: opened before anything is fetched, and, once the boot is good, told so. */
import type { CachePlan } from '../boot/cache-plan.ts'
import { showBytes, showCount } from '../boot/format.ts'
import { showNfsShare } from '../boot/nfs.ts'
import type { RamBootPlan } from '../boot/plan.ts'
import type { Cache } from '../cache/fetch.ts'
import { openCache } from '../cache/open.ts'
import { type Medium, mediumTarget } from '../media/media.ts'
import type { Mac } from '../sys/index.ts'
import { BootError, chainOf, type Sys } from '../sys/index.ts'
import { modloopsOn } from './modloop.ts'
import { fetchOptions, type Report } from './story.ts'

/** Undefined: there is none, which does not stop a boot. */
export async function prepareCache(
  sys: Sys,
  { root }: RamBootPlan,
  wanted: CachePlan,
  report: Report,
): Promise<Cache | undefined> {
  const { notice: onNotice, warn: onWarning, signal } = report
  try {
    const { device, cache } = await openCache(sys, wanted, mediumOf(root), { onNotice, onWarning, signal })
    const { state } = cache
    report.detail(
      `${device}: ${state === undefined ? 'empty' : `${showCount(state.entries.size, 'file')} of the last good boot`}`,
    )
    return cache
  } catch (error) {
    if (!(error instanceof BootError)) throw error
    report.detail('none')
    report.warn(`this boot has no cache: ${[...chainOf(error), ...error.advice].join('; ')}`)
    return undefined
  }
}

export async function commitCache(
  sys: Sys,
  cache: Cache,
  mac: Mac | undefined,
  report: Report,
): Promise<void> {
  const { reused, kept, keptBytes, complete } = await cache.commit(sys.clock.wall(), mac)
  report.detail(
    `${showCount(reused, 'file')} from the cache, ${kept} new in it (${showBytes(keptBytes)})${complete ? '' : '; the last good state stays as it was'}`,
  )
}

/** A disk at hand needs no copy on another. */
function mediumOf({ medium }: RamBootPlan['root']) {
  return medium?.kind === 'nfs' ? { target: mediumTarget, name: showNfsShare(medium.share) } : undefined
}

/** The new system reads the modloop where it is: on a share, whose server may not be there the next time. */
export async function keepModloops(
  sys: Sys,
  { root }: RamBootPlan,
  cache: Cache,
  media: readonly Medium[],
  report: Report,
): Promise<void> {
  if (root.modules.kind !== 'modloop') return
  if (mediumOf(root) === undefined || cache.standsIn) return
  for (const medium of media.filter(({ target }) => target === mediumTarget)) {
    for (const path of await modloopsOn(sys, medium)) {
      const status = await sys.files.status(path)
      if (status?.kind === 'file') {
        await cache.keepFile(sys, path, status.size, fetchOptions(report, 'the modloop'))
      }
    }
  }
}
