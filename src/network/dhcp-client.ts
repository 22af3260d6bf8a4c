/** Runs DHCP (dhcp.ts) on a link: its socket, its clock, its ARP probe. */

import { BootError, type DhcpSocket, type Sys, SysError } from '../sys/index.ts'
import {
  type DhcpAction,
  type DhcpEvent,
  type DhcpState,
  type DhcpTally,
  startDhcp,
  stepDhcp,
} from './dhcp.ts'
import type { DhcpConfig } from './dhcp-config.ts'
import { type DhcpEvents, giveBack, nextArrival, sendOrTell, wordsOf } from './dhcp-exchange.ts'
import { releaseMessage } from './dhcp-messages.ts'
import type { Lease } from './lease.ts'

/**
 * RFC 5227 probes for seconds. A neighbour on the same wire answers within a few milliseconds, and each of these every boot
 * waits for: three probes, 33 ms for each.
 */
const PROBE_MS = 100

export type DhcpOutcome =
  | { readonly kind: 'bound'; readonly lease: Lease }
  | { readonly kind: 'failed'; readonly tally: DhcpTally; readonly elapsedMs: number }

type DhcpSys = Pick<Sys, 'clock' | 'network'>

/**
 * Obtains a lease for a link that is up. Resolves with `failed` when nobody gave one in time.
 *
 * Rejects with ABORTED when the signal fires, and gives back a lease that was granted in that very moment.
 */
export async function acquireLease(
  sys: DhcpSys,
  config: DhcpConfig,
  events: DhcpEvents,
  signal: AbortSignal,
): Promise<DhcpOutcome> {
  const socket = await sys.network.openDhcp(config.link)
  const moment = () => ({ now: sys.clock.now(), random: sys.clock.random() })
  let { state, actions } = startDhcp(config, moment())
  const startedAt = sys.clock.now()
  try {
    for (;;) {
      const answer = await perform(sys, config, socket, actions, events)
      if (state.phase === 'bound') return { kind: 'bound', lease: state.lease }
      if (state.phase === 'failed') {
        return { kind: 'failed', tally: state.tally, elapsedMs: sys.clock.now() - startedAt }
      }
      const event = answer ?? (await nextEvent(sys, config, socket, state, events, signal))
      ;({ state, actions } = stepDhcp(config, state, event, moment()))
      if (signal.aborted) {
        throw new SysError({
          code: 'ABORTED',
          operation: 'network.dhcp',
          subject: config.link,
          message: 'DHCP was given up',
        })
      }
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
export async function releaseLease(
  sys: DhcpSys,
  config: DhcpConfig,
  lease: Lease,
  events: DhcpEvents,
): Promise<void> {
  await giveBack(config.link, lease.address, events, async () => {
    const socket = await sys.network.openDhcp(config.link)
    await release(sys, socket, config, lease, events).finally(() => socket.close())
  })
}

/** Broadcast: an address that was never configured cannot send to one server alone. */
async function release(
  sys: DhcpSys,
  socket: DhcpSocket,
  config: DhcpConfig,
  lease: Lease,
  events: DhcpEvents,
): Promise<void> {
  const xid = Math.floor(sys.clock.random() * 2 ** 32)
  await giveBack(config.link, lease.address, events, () => socket.send(releaseMessage(config, lease, xid)))
}

/** Does what a step asked for; what a probe found is the next event. */
async function perform(
  sys: DhcpSys,
  config: DhcpConfig,
  socket: DhcpSocket,
  actions: readonly DhcpAction[],
  events: DhcpEvents,
): Promise<DhcpEvent | undefined> {
  let found: DhcpEvent | undefined
  for (const action of actions) {
    switch (action.kind) {
      case 'notice':
        events.onNotice(action.text)
        break
      case 'send':
        await sendOrTell(config.link, `DHCP ${action.message.options.messageType}`, events, () =>
          socket.send(action.message),
        )
        break
      case 'probe':
        found = { kind: 'probed', conflict: await probe(sys, config, action.address, events) }
        break
    }
  }
  return found
}

/** A probe that cannot be made found no conflict: the address is used, as every client did before RFC 5227. */
async function probe(
  sys: DhcpSys,
  config: DhcpConfig,
  address: string,
  events: DhcpEvents,
): Promise<boolean> {
  try {
    return await sys.network.arpProbe(config.link, address, PROBE_MS)
  } catch (error) {
    events.onNotice(`${config.link}: could not probe for ${address}: ${wordsOf(error)}`)
    return false
  }
}

async function nextEvent(
  sys: DhcpSys,
  config: DhcpConfig,
  socket: DhcpSocket,
  state: DhcpState,
  events: DhcpEvents,
  signal: AbortSignal,
): Promise<DhcpEvent> {
  if (!('wakeAt' in state)) throw new BootError(`DHCP on ${config.link} waits for nothing (${state.phase})`)
  const { wakeAt } = state
  return nextArrival(sys, { link: config.link, wakeAt, events, signal }, () => socket.receive(wakeAt, signal))
}
