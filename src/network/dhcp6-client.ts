/** Runs DHCPv6 (dhcp6.ts) on a link: its socket, its clock, duplicate address detection. */

import { BootError, type DatagramSocket, type Sys } from '../sys/index.ts'
import { type DhcpEvents, giveBack, nextArrival, sendOrTell } from './dhcp-exchange.ts'
import {
  type Dhcp6Action,
  type Dhcp6Config,
  type Dhcp6Event,
  type Dhcp6State,
  type Dhcp6Tally,
  startDhcp6,
  stepDhcp6,
} from './dhcp6.ts'
import { type Dhcp6Information, type Lease6, newXid } from './dhcp6-lease.ts'
import { decodeDhcp6, encodeDhcp6 } from './dhcp6-message.ts'
import { aborted, claimAddress } from './ipv6-address.ts'

/** RFC 8415, 7.1: all relay agents and servers of a link. */
export const SERVERS = 'ff02::1:2'

export type Dhcp6Outcome =
  | { readonly kind: 'bound'; readonly lease: Lease6 }
  | { readonly kind: 'informed'; readonly information: Dhcp6Information }
  | { readonly kind: 'failed'; readonly tally: Dhcp6Tally; readonly elapsedMs: number }

type Dhcp6Sys = Pick<Sys, 'clock' | 'network'>

/**
 * Asks on a link whose link-local address is usable. A lease’s address is on the link then, and usable. Rejects with
 * ABORTED when the signal fires, and gives back an address that was granted in that very moment.
 */
export async function runDhcp6(
  sys: Dhcp6Sys,
  config: Dhcp6Config,
  events: DhcpEvents,
  signal: AbortSignal,
): Promise<Dhcp6Outcome> {
  const socket = await sys.network.openDhcp6(config.link)
  const moment = () => ({ now: sys.clock.now(), random: sys.clock.random() })
  const startedAt = sys.clock.now()
  let { state, actions } = startDhcp6(config, moment())
  try {
    for (;;) {
      const answer = await perform(sys, config, socket, actions, events, signal)
      if (state.phase === 'bound') return { kind: 'bound', lease: state.lease }
      if (state.phase === 'informed') return { kind: 'informed', information: state.information }
      if (state.phase === 'failed') {
        return { kind: 'failed', tally: state.tally, elapsedMs: sys.clock.now() - startedAt }
      }
      const event = answer ?? (await nextEvent(sys, config, socket, state, events, signal))
      ;({ state, actions } = stepDhcp6(config, state, event, moment()))
      if (signal.aborted) throw aborted(config.link)
    }
  } catch (error) {
    if (state.phase === 'probing' || state.phase === 'bound')
      await release(sys, socket, config, state.lease, events)
    throw error
  } finally {
    await socket.close()
  }
}

/** Gives a lease back that is not going to be used. The link must still be up. */
export async function releaseLease6(
  sys: Dhcp6Sys,
  link: string,
  lease: Lease6,
  events: DhcpEvents,
): Promise<void> {
  await giveBack(link, lease.address, events, async () => {
    const socket = await sys.network.openDhcp6(link)
    await release(sys, socket, { link }, lease, events).finally(() => socket.close())
  })
}

/** Once, without waiting for the answer: the lease ends by itself, too. */
async function release(
  sys: Dhcp6Sys,
  socket: DatagramSocket,
  { link }: Pick<Dhcp6Config, 'link'>,
  lease: Lease6,
  events: DhcpEvents,
): Promise<void> {
  const { clientId, serverId, iaid, address } = lease
  const xid = newXid(sys.clock.random())
  const message = encodeDhcp6({ type: 'release', xid, clientId, serverId, iaid, address, elapsed: 0 })
  await giveBack(link, address, events, () => socket.send(message, SERVERS))
}

/** Does what a step asked for; what duplicate address detection found is the next event. */
async function perform(
  sys: Dhcp6Sys,
  config: Dhcp6Config,
  socket: DatagramSocket,
  actions: readonly Dhcp6Action[],
  events: DhcpEvents,
  signal: AbortSignal,
): Promise<Dhcp6Event | undefined> {
  let found: Dhcp6Event | undefined
  for (const action of actions) {
    switch (action.kind) {
      case 'notice':
        events.onNotice(action.text)
        break
      case 'send':
        await sendOrTell(config.link, `DHCPv6 ${action.question.type}`, events, () =>
          socket.send(encodeDhcp6(action.question), SERVERS),
        )
        break
      case 'probe': {
        // RFC 8415: what is on the link is for routers to say, so the address stands alone.
        const address = { address: action.address, prefixLength: 128 }
        const conflict = (await claimAddress(sys, config.link, address, signal)) === 'duplicate'
        if (conflict) await sys.network.flush(config.link)
        found = { kind: 'probed', conflict }
        break
      }
    }
  }
  return found
}

async function nextEvent(
  sys: Dhcp6Sys,
  config: Dhcp6Config,
  socket: DatagramSocket,
  state: Dhcp6State,
  events: DhcpEvents,
  signal: AbortSignal,
): Promise<Dhcp6Event> {
  if (!('wakeAt' in state)) throw new BootError(`DHCPv6 on ${config.link} waits for nothing (${state.phase})`)
  const { wakeAt } = state
  return nextArrival(sys, { link: config.link, wakeAt, events, signal }, async () => {
    for (;;) {
      const datagram = await socket.receive(wakeAt, signal)
      const message = datagram && decodeDhcp6(datagram.bytes)
      if (datagram === undefined || message !== undefined) return message
    }
  })
}
