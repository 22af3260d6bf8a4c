/** The cache’s device: found and mounted. */
import type { CachePlan } from '../boot/cache-plan.ts'
import { mountDevice, waitForDevice } from '../media/device.ts'
import { isMounted } from '../media/mounts.ts'
import type { Sys } from '../sys/index.ts'
import { type Cache, type CacheRequest, cacheOver } from './fetch.ts'
import { openStore } from './store.ts'

/** Only for the boot: the new system finds the device free. */
export const cacheTarget = '/run/diskless/cache'

/** A cache is a help, not a need: nobody waits for it for long. */
const patienceMs = 15_000

export interface CacheEvents {
  readonly onNotice: (text: string) => void
  readonly onWarning: (text: string) => void
  readonly signal: AbortSignal
}

export interface OpenCache {
  readonly device: string
  readonly cache: Cache
}

/** Rejects with a BootError: there is no such device, or it cannot be mounted. */
export async function openCache(
  sys: Sys,
  { place, bytes }: CachePlan,
  medium: CacheRequest['medium'],
  events: CacheEvents,
): Promise<OpenCache> {
  const { onNotice, onWarning, signal } = events
  const isOpen = await isMounted(sys, cacheTarget)
  const device = await waitForDevice(sys, place.device, {
    what: 'the cache',
    deadlineMs: patienceMs,
    onNotice,
    signal,
  })
  if (!isOpen) {
    await mountDevice(sys, device, {
      target: cacheTarget,
      fsType: place.fsType,
      options: ['ro', 'nosuid', 'nodev', 'noexec'],
    })
  }
  const store = await openStore(sys, { target: cacheTarget, bytes, onWarning })
  return { device: device.path, cache: cacheOver({ store, medium, onWarning }) }
}

export async function closeCache(sys: Pick<Sys, 'mounts'>): Promise<void> {
  if (await isMounted(sys, cacheTarget)) await sys.mounts.unmount(cacheTarget)
}
