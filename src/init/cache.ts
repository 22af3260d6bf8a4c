/** The cache: opened before anything is fetched, and, once the boot is good, told so. */
import type { CachePlan } from '../boot/cache-plan.ts'
import type { Cache } from '../cache/fetch.ts'
import { openCache } from '../cache/open.ts'
import type { Mac } from '../sys/index.ts'
import { BootError, chainOf, type Sys } from '../sys/index.ts'
import { count, size } from './format.ts'
import type { Report } from './story.ts'

/** Undefined: there is none, which does not stop a boot. */
export async function prepareCache(sys: Sys, plan: CachePlan, report: Report): Promise<Cache | undefined> {
  const { notice: onNotice, warn: onWarning, signal } = report
  try {
    const { device, cache } = await openCache(sys, plan, { onNotice, onWarning, signal })
    const { state } = cache
    report.detail(
      `${device}: ${state === undefined ? 'empty' : `${count(state.entries.size, 'file')} of the last good boot`}`,
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
    `${count(reused, 'file')} from the cache, ${kept} new in it (${size(keptBytes)})${complete ? '' : '; the last good state stays as it was'}`,
  )
}
