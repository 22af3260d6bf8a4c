/**
 * DHCPv4's client as a function of (state, event, moment): no socket, no clock, no chance of its own.
 *
 *     start → selecting → requesting → probing → bound
 *                ↑  ↑______ NAK ___|       |
 *                └───────── conflict ──────┘        any of them → failed, when the time is over
 *
 * RFC 2131 with rapid commit (RFC 4039) and the address conflict test of RFC 5227. It starts quicker than the RFC's
 * 4 s, because a person is waiting, and goes on for two minutes, because a switch port may learn for thirty seconds
 * and a server may boot along with its clients.
 */

import type { DhcpMessage, IpAddress } from '../sys/index.ts'
import type { DhcpConfig } from './dhcp-config.ts'
import { declineMessage, discoverMessage, requestMessage } from './dhcp-messages.ts'
import { type Lease, parseLease } from './lease.ts'

/** The time and the chance of a step. `random` is in [0, 1). */
export interface Moment {
  readonly now: number
  readonly random: number
}

/** What was seen so far, for whoever has to say why it failed. */
export interface DhcpTally {
  readonly startedAt: number
  readonly discovers: number
  readonly offers: number
  readonly naks: number
  /** Addresses that another machine was using. */
  readonly conflicts: readonly IpAddress[]
  /** The last thing that went wrong, in words. */
  readonly lastProblem: string | undefined
}

/** An offer that was taken. */
interface Offer {
  readonly address: IpAddress
  readonly serverId: IpAddress
}

export type DhcpState =
  | (Waiting & { readonly phase: 'selecting' })
  | (Waiting & { readonly phase: 'requesting'; readonly offer: Offer })
  | { readonly phase: 'probing'; readonly xid: number; readonly lease: Lease; readonly tally: DhcpTally }
  /** After a NAK or a conflict: a little later, from the beginning. */
  | { readonly phase: 'pausing'; readonly wakeAt: number; readonly tally: DhcpTally }
  | { readonly phase: 'bound'; readonly lease: Lease; readonly tally: DhcpTally }
  | { readonly phase: 'failed'; readonly tally: DhcpTally }

interface Waiting {
  readonly xid: number
  /** Messages sent in this phase. */
  readonly sent: number
  /** clock.now of the next retransmission. */
  readonly wakeAt: number
  readonly tally: DhcpTally
}

export type DhcpEvent =
  | { readonly kind: 'received'; readonly message: DhcpMessage }
  /** `wakeAt` has come. */
  | { readonly kind: 'timer' }
  | { readonly kind: 'probed'; readonly conflict: boolean }

export type DhcpAction =
  | { readonly kind: 'send'; readonly message: DhcpMessage }
  | { readonly kind: 'probe'; readonly address: IpAddress }
  | { readonly kind: 'notice'; readonly text: string }

export interface DhcpStep {
  readonly state: DhcpState
  readonly actions: readonly DhcpAction[]
}

const TOTAL_MS = 120_000
const MINIMUM_TRIES = 3
const FIRST_WAIT_MS = 1000
/**
 * RFC 2131 goes on to 64 s, for hosts with time. With 30 % of packets lost, a hundredth of all boots waits 45 s so, 61 s with
 * 16 s; and a server that comes late is noticed after 8 s, not 18. A thousand clients ask 125 times a second then. iPXE stops
 * at 10 s, udhcpc asks every 3 s three times in 26 s.
 */
const LONGEST_WAIT_MS = 8000
/** A server that answers, and refuses. */
const LONGEST_PAUSE_MS = 16_000
/** Of a wait: each is between 0.8 and 1.2 of its length, as RFC 2131 wants clients to drift apart. */
const JITTER = 0.2
/** A server that offered and does not acknowledge: after so many requests the search begins anew. */
const REQUESTS_PER_OFFER = 4

export function startDhcp(config: DhcpConfig, moment: Moment): DhcpStep {
  return discover(config, moment, {
    startedAt: moment.now,
    discovers: 0,
    offers: 0,
    naks: 0,
    conflicts: [],
    lastProblem: undefined,
  })
}

export function stepDhcp(config: DhcpConfig, state: DhcpState, event: DhcpEvent, moment: Moment): DhcpStep {
  switch (event.kind) {
    case 'received':
      return received(config, state, event.message, moment)
    case 'timer':
      return timer(config, state, moment)
    case 'probed':
      return probed(config, state, event.conflict, moment)
  }
}

function received(config: DhcpConfig, state: DhcpState, message: DhcpMessage, moment: Moment): DhcpStep {
  if (state.phase !== 'selecting' && state.phase !== 'requesting') return stay(state)
  if (message.op !== 'reply' || message.xid !== state.xid || message.chaddr !== config.mac) return stay(state)
  const { messageType, serverId, rapidCommit } = message.options
  if (state.phase === 'selecting') {
    if (messageType === 'offer') return offered(config, state, message, moment)
    if (messageType === 'ack' && rapidCommit === true) return acknowledged(config, state, message, moment)
    return stay(state)
  }
  // Another server's word is not the answer to this request.
  if (serverId !== undefined && serverId !== state.offer.serverId) return stay(state)
  if (messageType === 'ack') return acknowledged(config, state, message, moment)
  if (messageType === 'nak') return refused(config, state, message, moment)
  return stay(state)
}

function offered(
  config: DhcpConfig,
  state: Extract<DhcpState, { phase: 'selecting' }>,
  message: DhcpMessage,
  moment: Moment,
): DhcpStep {
  const tally = { ...state.tally, offers: state.tally.offers + 1 }
  const parsed = parseLease(message, config.link, moment.now)
  const problem =
    parsed.kind === 'unusable'
      ? parsed.reason
      : tally.conflicts.includes(parsed.lease.address)
        ? `${parsed.lease.address} is in use by another machine`
        : undefined
  if (parsed.kind === 'unusable' || problem !== undefined) {
    const from = message.options.serverId ?? 'a server without identifier'
    const text = `ignored the offer of ${from}: ${problem}`
    return { state: { ...state, tally: { ...tally, lastProblem: text } }, actions: [notice(config, text)] }
  }
  const { address, serverId } = parsed.lease
  return request(
    config,
    { phase: 'requesting', xid: state.xid, sent: 0, wakeAt: 0, tally, offer: { address, serverId } },
    moment,
  )
}

function acknowledged(
  config: DhcpConfig,
  state: Extract<DhcpState, { phase: 'selecting' | 'requesting' }>,
  message: DhcpMessage,
  moment: Moment,
): DhcpStep {
  const parsed = parseLease(withServerId(message, state), config.link, moment.now)
  if (parsed.kind === 'unusable') {
    return pause(config, state.tally, `an acknowledgement is not usable: ${parsed.reason}`, moment)
  }
  const { lease } = parsed
  return {
    state: { phase: 'probing', xid: state.xid, lease, tally: state.tally },
    actions: [
      ...lease.warnings.map((text) => notice(config, text)),
      { kind: 'probe', address: lease.address },
    ],
  }
}

/** An ACK must name its server; one that forgets is that of the offer. */
function withServerId(message: DhcpMessage, state: DhcpState): DhcpMessage {
  if (message.options.serverId !== undefined || state.phase !== 'requesting') return message
  return { ...message, options: { ...message.options, serverId: state.offer.serverId } }
}

function refused(
  config: DhcpConfig,
  state: Extract<DhcpState, { phase: 'requesting' }>,
  message: DhcpMessage,
  moment: Moment,
): DhcpStep {
  const reason = message.options.message ? ` (${JSON.stringify(message.options.message)})` : ''
  const text = `${state.offer.serverId} offered ${state.offer.address} and then refused it${reason}`
  return pause(config, { ...state.tally, naks: state.tally.naks + 1 }, text, moment)
}

function probed(config: DhcpConfig, state: DhcpState, conflict: boolean, moment: Moment): DhcpStep {
  if (state.phase !== 'probing') return stay(state)
  const { lease, tally } = state
  if (!conflict) return { state: { phase: 'bound', lease, tally }, actions: [] }
  const text = `declined ${lease.address} from ${lease.serverId}: another machine answers for it`
  const next = pause(config, { ...tally, conflicts: [...tally.conflicts, lease.address] }, text, moment)
  return {
    ...next,
    actions: [{ kind: 'send', message: declineMessage(config, lease, state.xid) }, ...next.actions],
  }
}

function timer(config: DhcpConfig, state: DhcpState, moment: Moment): DhcpStep {
  switch (state.phase) {
    case 'probing':
    case 'bound':
    case 'failed':
      return stay(state)
    case 'pausing':
      return isOver(config, state.tally, moment)
        ? { state: { phase: 'failed', tally: state.tally }, actions: [] }
        : discover(config, moment, state.tally)
    case 'requesting': {
      if (state.sent < REQUESTS_PER_OFFER && !isOver(config, state.tally, moment)) {
        return request(config, state, moment)
      }
      const { address, serverId } = state.offer
      return pause(config, state.tally, `${serverId} offered ${address} and does not acknowledge it`, moment)
    }
    case 'selecting':
      if (isOver(config, state.tally, moment)) {
        return { state: { phase: 'failed', tally: state.tally }, actions: [] }
      }
      return discover(config, moment, state.tally, state)
  }
}

/** Sends a discover: the first of a new exchange, or the next of this one. */
function discover(
  config: DhcpConfig,
  moment: Moment,
  before: DhcpTally,
  again?: Extract<DhcpState, { phase: 'selecting' }>,
): DhcpStep {
  const xid = again?.xid ?? Math.floor(moment.random * 2 ** 32)
  const sent = (again?.sent ?? 0) + 1
  const tally = { ...before, discovers: before.discovers + 1 }
  const wakeAt = nextTry(config, tally, sent, moment)
  const send: DhcpAction = {
    kind: 'send',
    message: discoverMessage(config, { xid, secs: secondsOf(tally, moment), try: sent }),
  }
  const text = `no answer to DHCP discover ${before.discovers}, sending another`
  return {
    state: { phase: 'selecting', xid, sent, wakeAt, tally },
    actions: again ? [notice(config, text), send] : [send],
  }
}

function request(
  config: DhcpConfig,
  state: Extract<DhcpState, { phase: 'requesting' }>,
  moment: Moment,
): DhcpStep {
  const { address, serverId } = state.offer
  const sent = state.sent + 1
  const send: DhcpAction = {
    kind: 'send',
    message: requestMessage(config, state.offer, {
      xid: state.xid,
      secs: secondsOf(state.tally, moment),
      try: sent,
    }),
  }
  const text = `no answer to the request for ${address} from ${serverId}, sending another`
  return {
    state: { ...state, sent, wakeAt: nextTry(config, state.tally, sent, moment) },
    actions: state.sent > 0 ? [notice(config, text), send] : [send],
  }
}

/** Begins anew after a wait that grows with every disappointment, so that a server which always refuses is not flooded. */
function pause(config: DhcpConfig, before: DhcpTally, problem: string, moment: Moment): DhcpStep {
  const tally = { ...before, lastProblem: problem }
  const disappointments = tally.naks + tally.conflicts.length
  const wakeAt = nextTry(config, tally, Math.max(1, disappointments), moment, LONGEST_PAUSE_MS)
  return {
    state: { phase: 'pausing', wakeAt, tally },
    actions: [notice(config, problem)],
  }
}

/** When the so-manieth wait ends: 1, 2, 4, 8, 8, … s, more or less, and never past the end of all tries. */
function nextTry(
  config: DhcpConfig,
  tally: DhcpTally,
  count: number,
  { now, random }: Moment,
  longest = LONGEST_WAIT_MS,
): number {
  const length = Math.min(FIRST_WAIT_MS * 2 ** (count - 1), longest)
  const wakeAt = now + length * (1 - JITTER + 2 * JITTER * random)
  const end = endOf(config, tally)
  return now < end ? Math.min(wakeAt, end) : wakeAt
}

function isOver(config: DhcpConfig, tally: DhcpTally, { now }: Moment): boolean {
  return now >= endOf(config, tally) && tally.discovers >= MINIMUM_TRIES
}

function endOf(config: DhcpConfig, tally: DhcpTally): number {
  return tally.startedAt + (config.totalMs ?? TOTAL_MS)
}

function secondsOf(tally: DhcpTally, { now }: Moment): number {
  return Math.min(0xffff, Math.floor((now - tally.startedAt) / 1000))
}

function stay(state: DhcpState): DhcpStep {
  return { state, actions: [] }
}

function notice({ link }: DhcpConfig, text: string): DhcpAction {
  return { kind: 'notice', text: `${link}: ${text}` }
}
