/**
 * Waits until no more disks are likely to come. No event says so: SCSI, USB, NVMe and card readers scan on their own
 * after their driver has loaded, so quiet on those buses is what there is to go by.
 */
import type { Sys } from '../sys/index.ts'

const slowBuses = new Set(['usb', 'scsi', 'nvme', 'mmc', 'block'])
/** USB storage waits a second before it asks a stick what it is (delay_use). */
const quietMs = 1500
const longestMs = 15_000

/** Resolves at once on a machine that has none of these buses. */
export async function settleDisks(sys: Pick<Sys, 'clock' | 'devices'>, signal: AbortSignal): Promise<void> {
  const slow = (await sys.devices.list()).some(
    ({ subsystem }) => subsystem !== undefined && subsystem !== 'block' && slowBuses.has(subsystem),
  )
  if (!slow) return
  const end = sys.clock.now() + longestMs
  for (;;) {
    const watched = new AbortController()
    const quiet = sys.clock.sleep(Math.min(quietMs, Math.max(0, end - sys.clock.now())), watched.signal)
    const events = sys.devices.watch(AbortSignal.any([signal, watched.signal]))
    const came = nextOf(events)
    const first = await Promise.race([quiet.then(() => 'quiet' as const), came])
    watched.abort()
    quiet.catch(() => undefined)
    signal.throwIfAborted()
    if (first !== 'came' || sys.clock.now() >= end) return
  }
}

async function nextOf(events: ReturnType<Sys['devices']['watch']>): Promise<'came' | 'ended'> {
  for await (const { action, subsystem } of events) {
    if (action === 'add' && slowBuses.has(subsystem)) return 'came'
  }
  return 'ended'
}
