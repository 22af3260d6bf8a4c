/** Waiting for IPv6 addresses: one may be used only when the kernel has asked the neighbours for it (RFC 4862, 5.4). */

import type { Address, LinkAddress, Sys } from '../sys/index.ts'
import { hasCode, SysError } from '../sys/index.ts'

type AddressSys = Pick<Sys, 'network' | 'clock'>

/** RFC 4862: a random part of a second, then RetransTimer, a second unless a router says otherwise; and some patience. */
const DETECTION_MS = 10_000

/** The first that `pick` finds in the link’s addresses, now or later; undefined when `deadlineMs` (clock.now) passes. */
export async function untilAddress<T>(
  sys: AddressSys,
  link: string,
  deadlineMs: number,
  pick: (addresses: readonly LinkAddress[]) => T | undefined,
  signal?: AbortSignal,
): Promise<T | undefined> {
  const over = new AbortController()
  const stop = () => over.abort()
  signal?.addEventListener('abort', stop, { once: true })
  if (signal?.aborted) stop()
  const rest = Math.max(0, deadlineMs - sys.clock.now())
  // It rejects when the watch is over first, and ends it otherwise.
  sys.clock.sleep(rest, over.signal).then(stop, () => {})
  try {
    for await (const addresses of sys.network.watchAddresses(link, over.signal)) {
      const found = pick(addresses)
      if (found !== undefined) return found
    }
  } catch (error) {
    if (!hasCode(error, 'ABORTED')) throw error
  } finally {
    stop()
    signal?.removeEventListener('abort', stop)
  }
  if (signal?.aborted) throw aborted(link)
  return undefined
}

/**
 * Gives the link an address and waits until it is known to be nobody else’s. One that is there already stays as it is. A
 * duplicate stays, unusable, for the caller to flush. Rejects with TIMEOUT when the kernel does not decide.
 */
export async function claimAddress(
  sys: AddressSys,
  link: string,
  address: Address,
  signal?: AbortSignal,
): Promise<'usable' | 'duplicate'> {
  const stateOf = (all: readonly LinkAddress[]) => all.find((each) => each.address === address.address)?.state
  const now = await untilAddress(
    sys,
    link,
    sys.clock.now() + DETECTION_MS,
    (all) => stateOf(all) ?? 'none',
    signal,
  )
  if (now === 'none') await sys.network.addAddress(link, address)
  const decided = (all: readonly LinkAddress[]) => {
    const state = stateOf(all)
    return state === 'tentative' ? undefined : state
  }
  const state = await untilAddress(sys, link, sys.clock.now() + DETECTION_MS, decided, signal)
  if (state !== undefined) return state === 'duplicate' ? 'duplicate' : 'usable'
  throw new SysError({
    code: 'TIMEOUT',
    operation: 'network.addAddress',
    subject: link,
    message: `the kernel did not find out within ${DETECTION_MS / 1000} s whether ${address.address} is free`,
  })
}

/** What a link is reached by from elsewhere, and may be used. */
export function isUsable({ scope, state }: LinkAddress): boolean {
  return scope === 'global' && state === 'preferred'
}

export function aborted(link: string): SysError {
  return new SysError({
    code: 'ABORTED',
    operation: 'network.ipv6',
    subject: link,
    message: 'IPv6 was given up',
  })
}
