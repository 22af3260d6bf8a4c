/**
 * A lease while the boot is still under way: renewed at T1, by any server at T2 (RFC 2131, 4.4.5; RFC 8415, 18.2.4), for as
 * long as the boot takes. What a renewal changes besides its times is the keeper's to apply, to the new system; and who is
 * refused an extension boots on with the address that it has, as nothing of a boot survives another one.
 */

import type { Sys } from '../sys/index.ts'
import type { DhcpConfig } from './dhcp-config.ts'
import { type DhcpEvents, nextArrival, sendOrTell } from './dhcp-exchange.ts'
import { renewMessage } from './dhcp-messages.ts'
import { nextWait } from './dhcp6.ts'
import { SERVERS } from './dhcp6-client.ts'
import { elapsedOf, type Lease6, lease6Of, newXid } from './dhcp6-lease.ts'
import { type Dhcp6Message, decodeDhcp6, encodeDhcp6 } from './dhcp6-message.ts'
import { expiryOf, type Lease, parseLease } from './lease.ts'

type RenewalSys = Pick<Sys, 'clock' | 'network'>

/** Where the lease stands: milliseconds of clock.now. */
interface Times {
  readonly renewAt: number
  readonly rebindAt: number
  readonly endAt: number
}

/** One question and what came of it: `undefined` until the next one is due. */
type Ask<L> = (
  alone: boolean,
  deadline: number,
) => Promise<
  | { readonly kind: 'renewed'; readonly lease: L }
  | { readonly kind: 'refused'; readonly why: string }
  | undefined
>

/** Until the signal fires, the lease cannot be extended any more, or has no end. `onRenewed` gets each lease. */
export async function renewLease(
  sys: RenewalSys,
  config: DhcpConfig,
  first: Lease,
  onRenewed: (lease: Lease) => void,
  events: DhcpEvents,
  signal: AbortSignal,
): Promise<void> {
  let lease = first
  for (;;) {
    const { renewalTime, rebindingTime, obtainedAt } = lease
    const endAt = expiryOf(lease)
    if (endAt === undefined || renewalTime === undefined || rebindingTime === undefined) return
    const times = { ...timesOf(sys, obtainedAt, renewalTime, rebindingTime), endAt }
    const pause = Math.min(60_000, Math.max(2000, (endAt - obtainedAt) / 32))
    const renewed = await extend(sys, config.link, lease.address, times, events, signal, async () => {
      const socket = await sys.network.openDhcp(config.link)
      const xid = Math.floor(sys.clock.random() * 2 ** 32)
      const startedAt = sys.clock.now()
      const current = lease
      const ask: Ask<Lease> = async (alone, deadline) => {
        const now = sys.clock.now()
        const secs = Math.floor((now - startedAt) / 1000)
        const message = renewMessage(config, current, { xid, secs })
        await sendOrTell(config.link, 'DHCP request', events, () =>
          socket.send(message, alone ? current.serverId : undefined),
        )
        const wakeAt = Math.min(deadline, now + Math.max((deadline - now) / 2, pause))
        for (;;) {
          const wait = { link: config.link, wakeAt, events, signal }
          const next = await nextArrival(sys, wait, () => socket.receive(wakeAt, signal))
          if (next.kind === 'timer') return undefined
          const { message } = next
          if (message.xid !== xid) continue
          const { messageType, message: words } = message.options
          if (messageType === 'nak') return { kind: 'refused', why: words ?? 'it gives no reason' }
          if (messageType !== 'ack') continue
          const parsed = parseLease(message, config.link, now)
          if (parsed.kind === 'lease' && parsed.lease.address === current.address) {
            return { kind: 'renewed', lease: parsed.lease }
          }
        }
      }
      return { ask, close: () => socket.close() }
    })
    if (renewed === undefined) return
    lease = renewed
    onRenewed(lease)
  }
}

/** The same by DHCPv6. */
export async function renewLease6(
  sys: RenewalSys,
  { link, hostname }: { readonly link: string; readonly hostname?: string | undefined },
  first: Lease6,
  onRenewed: (lease: Lease6) => void,
  events: DhcpEvents,
  signal: AbortSignal,
): Promise<void> {
  let lease = first
  for (;;) {
    const { renewalTime, rebindingTime, obtainedAt, validLifetime } = lease
    if (renewalTime === undefined || rebindingTime === undefined) return
    const endAt = validLifetime === undefined ? Number.POSITIVE_INFINITY : obtainedAt + validLifetime * 1000
    const times = { ...timesOf(sys, obtainedAt, renewalTime, rebindingTime), endAt }
    const renewed = await extend(sys, link, lease.address, times, events, signal, async () => {
      const socket = await sys.network.openDhcp6(link)
      const current = lease
      let exchange = { alone: true, xid: newXid(sys.clock.random()), startedAt: sys.clock.now(), wait: 0 }
      const ask: Ask<Lease6> = async (alone, deadline) => {
        const now = sys.clock.now()
        if (alone !== exchange.alone) {
          exchange = { alone, xid: newXid(sys.clock.random()), startedAt: now, wait: 0 }
        }
        const { clientId, serverId, iaid, address } = current
        const { xid, startedAt } = exchange
        const question = encodeDhcp6({
          ...{ type: alone ? ('renew' as const) : ('rebind' as const), xid, clientId, iaid, address },
          elapsed: elapsedOf(startedAt, now),
          ...(alone ? { serverId } : {}),
          ...(hostname === undefined ? {} : { hostname }),
        })
        await sendOrTell(link, 'DHCPv6 renew', events, () => socket.send(question, SERVERS))
        const wait = nextWait(exchange.wait, 10_000, 600_000, false, sys.clock.random())
        exchange = { ...exchange, wait }
        const wakeAt = Math.min(deadline, now + wait)
        for (;;) {
          const next = await nextArrival(sys, { link, wakeAt, events, signal }, async () => {
            const datagram = await socket.receive(wakeAt, signal)
            return datagram && { message: decodeDhcp6(datagram.bytes) }
          })
          if (next.kind === 'timer') return undefined
          const { message } = next.message
          if (message === undefined || message.xid !== xid || message.clientId !== clientId) continue
          if (message.type !== 'reply' || (alone && message.serverId !== serverId)) continue
          const found = judge6(message, current, sys.clock.now())
          if (found !== undefined) return found
        }
      }
      return { ask, close: () => socket.close() }
    })
    if (renewed === undefined) return
    lease = renewed
    onRenewed(lease)
  }
}

/** Undefined for an answer that says nothing of this address. */
function judge6(message: Dhcp6Message, lease: Lease6, now: number): Awaited<ReturnType<Ask<Lease6>>> {
  const { code, message: words } = message.status
  if (code === 3 || code === 4) return { kind: 'refused', why: words === '' ? `status ${code}` : words }
  const renewed = code === 0 ? lease6Of(message, lease, now) : undefined
  return renewed?.address === lease.address ? { kind: 'renewed', lease: renewed } : undefined
}

/** T1 up to a twentieth earlier: what booted together shall not renew together. */
function timesOf(
  { clock }: RenewalSys,
  obtainedAt: number,
  renewal: number,
  rebinding: number,
): Pick<Times, 'renewAt' | 'rebindAt'> {
  const early = 1 - 0.05 * clock.random()
  return { renewAt: obtainedAt + renewal * 1000 * early, rebindAt: obtainedAt + rebinding * 1000 }
}

/** Waits for T1, and asks until there is an answer. Undefined, with a word, where there is none in time, or it is no. */
async function extend<L>(
  sys: RenewalSys,
  link: string,
  address: string,
  { renewAt, rebindAt, endAt }: Times,
  events: DhcpEvents,
  signal: AbortSignal,
  open: () => Promise<{ readonly ask: Ask<L>; readonly close: () => Promise<void> }>,
): Promise<L | undefined> {
  await sys.clock.sleep(Math.max(0, renewAt - sys.clock.now()), signal)
  const { ask, close } = await open()
  try {
    while (sys.clock.now() < endAt) {
      const alone = sys.clock.now() < rebindAt
      const outcome = await ask(alone, alone ? rebindAt : endAt)
      if (outcome?.kind === 'renewed') return outcome.lease
      if (outcome?.kind === 'refused') {
        events.onNotice(`${link}: ${address} is not extended (${outcome.why}): the boot goes on with it`)
        return undefined
      }
    }
    events.onNotice(`${link}: the lease of ${address} is over, no server answered: the boot goes on with it`)
    return undefined
  } finally {
    await close()
  }
}
