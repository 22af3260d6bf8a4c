/**
 * DHCPv6’s client as a function of (state, event, moment): no socket, no clock, no chance of its own (RFC 8415).
 *
 *     start → soliciting → requesting → probing → bound         start → informing → informed
 *                ↑   └── rapid commit ────↑  |
 *                └──── refused, in use ──────┘                  any of them → failed, when the time is over
 *
 * Of the first message’s random delay (SOL_MAX_DELAY) the kernel has seen to: nothing can be sent before the link-local
 * address passed duplicate address detection, which it begins after a random part of a second (RFC 4862, 5.4.2).
 */

import type { IpAddress } from '../sys/index.ts'
import type { Moment } from './dhcp.ts'
import {
  type Dhcp6Information,
  describeDuid,
  elapsedOf,
  informationOf,
  type Lease6,
  lease6Of,
  newXid,
} from './dhcp6-lease.ts'
import type { Dhcp6Message, Dhcp6Question } from './dhcp6-message.ts'

export interface Dhcp6Config {
  readonly link: string
  /** A DUID in hex. */
  readonly clientId: string
  readonly iaid: number
  readonly hostname?: string
  /** An address too, or only what else there is to know. */
  readonly stateful: boolean
  /** Milliseconds until it gives up. */
  readonly totalMs: number
}

/** What was seen so far, for whoever has to say why it failed. */
export interface Dhcp6Tally {
  readonly startedAt: number
  /** Solicits, or information-requests. */
  readonly asked: number
  readonly answers: number
  /** After which a pause was made. */
  readonly disappointments: number
  readonly lastProblem: string | undefined
  /** MRT of solicits, which servers may lengthen, milliseconds. */
  readonly longestSolicit: number
}

export type Dhcp6State =
  | (Exchange & { readonly phase: 'soliciting'; readonly best: Dhcp6Message | undefined })
  | (Exchange & { readonly phase: 'requesting'; readonly offer: Dhcp6Message })
  | (Exchange & { readonly phase: 'informing' })
  | { readonly phase: 'pausing'; readonly wakeAt: number; readonly tally: Dhcp6Tally }
  | { readonly phase: 'probing'; readonly lease: Lease6; readonly tally: Dhcp6Tally }
  | { readonly phase: 'bound'; readonly lease: Lease6; readonly tally: Dhcp6Tally }
  | { readonly phase: 'informed'; readonly information: Dhcp6Information; readonly tally: Dhcp6Tally }
  | { readonly phase: 'failed'; readonly tally: Dhcp6Tally }

interface Exchange {
  readonly xid: number
  readonly startedAt: number
  /** Messages sent in it. */
  readonly sent: number
  /** RT of RFC 8415, 15: the wait that is going on, milliseconds. */
  readonly wait: number
  /** clock.now of its end. */
  readonly wakeAt: number
  readonly tally: Dhcp6Tally
}

export type Dhcp6Event =
  | { readonly kind: 'received'; readonly message: Dhcp6Message }
  | { readonly kind: 'timer' }
  /** Of duplicate address detection. */
  | { readonly kind: 'probed'; readonly conflict: boolean }

export type Dhcp6Action =
  | { readonly kind: 'send'; readonly question: Dhcp6Question }
  | { readonly kind: 'probe'; readonly address: IpAddress }
  | { readonly kind: 'notice'; readonly text: string }

export interface Dhcp6Step {
  readonly state: Dhcp6State
  readonly actions: readonly Dhcp6Action[]
}

/**
 * Milliseconds, for every message. The first is IRT of RFC 8415, 7.6. The longest is DHCPv4’s here (dhcp.ts), where the RFC has
 * an hour for solicits, unless a server says so (SOL_MAX_RT): a lost packet must not cost half a minute. The rate is far from
 * what section 14.1 forbids, 20 packets in 20 s.
 */
const FIRST_WAIT_MS = 1000
const LONGEST_WAIT_MS = 8000
/** REQ_MAX_RC */
const REQUESTS_PER_OFFER = 10
const BEST_PREFERENCE = 255
const LONGEST_PAUSE_MS = 16_000
/** Status codes of RFC 8415, 21.13. */
const STATUS: ReadonlyMap<number, string> = new Map([
  [1, 'it failed, for a reason that it does not tell'],
  [2, 'it has no address left'],
  [3, 'it does not know this client'],
  [4, 'the address is not of this link'],
  [5, 'it wants to be asked by multicast, which it was'],
])

export function startDhcp6(config: Dhcp6Config, moment: Moment): Dhcp6Step {
  const tally = {
    startedAt: moment.now,
    asked: 0,
    answers: 0,
    disappointments: 0,
    lastProblem: undefined,
    longestSolicit: LONGEST_WAIT_MS,
  }
  return begin(config, tally, moment)
}

export function stepDhcp6(
  config: Dhcp6Config,
  state: Dhcp6State,
  event: Dhcp6Event,
  moment: Moment,
): Dhcp6Step {
  switch (event.kind) {
    case 'received':
      return received(config, state, event.message, moment)
    case 'timer':
      return timer(config, state, moment)
    case 'probed':
      return probed(config, state, event.conflict, moment)
  }
}

/** A new exchange from its first message. */
function begin(config: Dhcp6Config, tally: Dhcp6Tally, moment: Moment): Dhcp6Step {
  const exchange = { xid: newXid(moment.random), startedAt: moment.now, sent: 0, wait: 0, wakeAt: 0, tally }
  return send(
    config,
    config.stateful
      ? { ...exchange, phase: 'soliciting', best: undefined }
      : { ...exchange, phase: 'informing' },
    moment,
  )
}

function received(config: Dhcp6Config, state: Dhcp6State, message: Dhcp6Message, moment: Moment): Dhcp6Step {
  if (state.phase !== 'soliciting' && state.phase !== 'requesting' && state.phase !== 'informing')
    return stay(state)
  if (message.xid !== state.xid || message.serverId === undefined) return stay(state)
  // An answer to an information-request need not name the client.
  const stateless = state.phase === 'informing'
  if (message.clientId !== config.clientId && !(stateless && message.clientId === undefined))
    return stay(state)
  if (stateless) return message.type === 'reply' ? informed(config, state, message) : stay(state)
  if (state.phase === 'soliciting') {
    if (message.type === 'advertise') return advertised(config, state, message, moment)
    return message.rapidCommit ? replied(config, state, message, moment) : stay(state)
  }
  if (message.type !== 'reply' || message.serverId !== state.offer.serverId) return stay(state)
  return replied(config, state, message, moment)
}

function advertised(
  config: Dhcp6Config,
  state: Extract<Dhcp6State, { phase: 'soliciting' }>,
  message: Dhcp6Message,
  moment: Moment,
): Dhcp6Step {
  const tally = answered(state.tally, message)
  const problem = problemOf(config, message, moment)
  if (problem !== undefined) {
    const text = `${nameOf(message)} offers nothing usable: ${problem}`
    // RFC 8415, 18.2.9: it is ignored; told once, as it will be repeated with every solicit.
    const actions = text === tally.lastProblem ? [] : [notice(config, text)]
    return { state: { ...state, tally: { ...tally, lastProblem: text } }, actions }
  }
  const better = state.best === undefined || message.preference > state.best.preference
  const best = better ? message : state.best
  // RFC 8415, 18.2.1: others may answer until the first wait is over; after it the first that comes is taken.
  if (best.preference < BEST_PREFERENCE && state.sent === 1) {
    return { state: { ...state, best, tally }, actions: [] }
  }
  return request(config, best, tally, moment)
}

/** RFC 8415, 18.2.9: how seldom a server wants to be asked counts even where its message does not. */
function answered(tally: Dhcp6Tally, { longestSolicit = tally.longestSolicit }: Dhcp6Message): Dhcp6Tally {
  return { ...tally, answers: tally.answers + 1, longestSolicit }
}

function request(config: Dhcp6Config, offer: Dhcp6Message, tally: Dhcp6Tally, moment: Moment): Dhcp6Step {
  const exchange = { xid: newXid(moment.random), startedAt: moment.now, sent: 0, wait: 0, wakeAt: 0, tally }
  return send(config, { ...exchange, phase: 'requesting', offer }, moment)
}

function replied(
  config: Dhcp6Config,
  state: Extract<Dhcp6State, { phase: 'soliciting' | 'requesting' }>,
  message: Dhcp6Message,
  moment: Moment,
): Dhcp6Step {
  const lease = lease6Of(message, config, moment.now)
  const problem = problemOf(config, message, moment)
  if (lease === undefined || problem !== undefined) {
    const text = `${nameOf(message)} gives no address: ${problem ?? 'there is none in its reply'}`
    return pause(config, answered(state.tally, message), text, moment)
  }
  return {
    state: { phase: 'probing', lease, tally: answered(state.tally, message) },
    actions: [
      ...lease.warnings.map((text) => notice(config, text)),
      { kind: 'probe', address: lease.address },
    ],
  }
}

function informed(
  config: Dhcp6Config,
  state: Extract<Dhcp6State, { phase: 'informing' }>,
  message: Dhcp6Message,
): Dhcp6Step {
  const information = informationOf(message)
  return {
    state: { phase: 'informed', information, tally: answered(state.tally, message) },
    actions: information.warnings.map((text) => notice(config, text)),
  }
}

function probed(config: Dhcp6Config, state: Dhcp6State, conflict: boolean, moment: Moment): Dhcp6Step {
  if (state.phase !== 'probing') return stay(state)
  const { lease, tally } = state
  if (!conflict) return { state: { phase: 'bound', lease, tally }, actions: [] }
  const next = pause(config, tally, `declined ${lease.address}: another machine has it`, moment)
  const question: Dhcp6Question = {
    type: 'decline',
    xid: newXid(moment.random),
    clientId: config.clientId,
    serverId: lease.serverId,
    iaid: config.iaid,
    address: lease.address,
    elapsed: 0,
  }
  return { ...next, actions: [{ kind: 'send', question }, ...next.actions] }
}

function timer(config: Dhcp6Config, state: Dhcp6State, moment: Moment): Dhcp6Step {
  if (!('wakeAt' in state)) return stay(state)
  if (state.phase === 'soliciting' && state.best !== undefined) {
    return request(config, state.best, state.tally, moment)
  }
  if (moment.now >= endOf(config, state.tally)) {
    return { state: { phase: 'failed', tally: state.tally }, actions: [] }
  }
  if (state.phase === 'pausing') return begin(config, state.tally, moment)
  if (state.phase === 'requesting' && state.sent >= REQUESTS_PER_OFFER) {
    return pause(
      config,
      state.tally,
      `${nameOf(state.offer)} offered an address and does not give it`,
      moment,
    )
  }
  return send(config, state, moment)
}

/** The exchange’s message, for the first time or again. */
function send(
  config: Dhcp6Config,
  state: Extract<Dhcp6State, { phase: 'soliciting' | 'requesting' | 'informing' }>,
  moment: Moment,
): Dhcp6Step {
  const question = questionOf(config, state, moment)
  const isSolicit = question.type === 'solicit'
  const longest = isSolicit ? state.tally.longestSolicit : LONGEST_WAIT_MS
  const wait = nextWait(state.wait, FIRST_WAIT_MS, longest, isSolicit, moment.random)
  const asks = state.phase === 'requesting' ? 0 : 1
  const tally = { ...state.tally, asked: state.tally.asked + asks }
  const sent = state.sent + 1
  const wakeAt = Math.min(moment.now + wait, Math.max(endOf(config, tally), moment.now + 1))
  const again = notice(config, `no answer to DHCPv6 ${question.type} ${state.sent}, sending another`)
  return {
    state: { ...state, sent, wait, wakeAt, tally },
    actions: [...(state.sent > 0 ? [again] : []), { kind: 'send', question }],
  }
}

function questionOf(
  config: Dhcp6Config,
  state: Extract<Dhcp6State, { phase: 'soliciting' | 'requesting' | 'informing' }>,
  { now }: Moment,
): Dhcp6Question {
  const { clientId, iaid, hostname } = config
  const common = {
    ...{ xid: state.xid, clientId, elapsed: elapsedOf(state.startedAt, now) },
    ...(hostname === undefined ? {} : { hostname }),
  }
  switch (state.phase) {
    case 'informing':
      return { ...common, type: 'information-request' }
    case 'soliciting':
      return { ...common, type: 'solicit', iaid, rapidCommit: true }
    case 'requesting': {
      const { serverId, address } = state.offer
      const asked = address === undefined ? {} : { address: address.address }
      return { ...common, type: 'request', iaid, ...asked, ...(serverId === undefined ? {} : { serverId }) }
    }
  }
}

/** RFC 8415, 15: doubled each time, a tenth more or less; the first solicit waits never less than its second. */
export function nextWait(
  before: number,
  first: number,
  longest: number,
  neverLess: boolean,
  random: number,
): number {
  const part = 0.2 * random - 0.1
  if (before === 0) return first * (1 + (neverLess ? Math.abs(part) : part))
  const next = before * (2 + part)
  return next > longest ? longest * (1 + part) : next
}

/** Begins anew after a wait that grows with every disappointment: a server that always refuses is not flooded. */
function pause(config: Dhcp6Config, before: Dhcp6Tally, problem: string, moment: Moment): Dhcp6Step {
  const disappointments = before.disappointments + 1
  const tally = { ...before, disappointments, lastProblem: problem }
  const length = Math.min(FIRST_WAIT_MS * 2 ** (disappointments - 1), LONGEST_PAUSE_MS)
  const wakeAt = moment.now + length * (0.9 + 0.2 * moment.random)
  const end = Math.max(endOf(config, tally), moment.now + 1)
  return {
    state: { phase: 'pausing', wakeAt: Math.min(wakeAt, end), tally },
    actions: [notice(config, problem)],
  }
}

function problemOf(config: Dhcp6Config, message: Dhcp6Message, { now }: Moment): string | undefined {
  const { code, message: words } = message.status
  const said = words === '' ? '' : ` (${JSON.stringify(words)})`
  if (code !== 0) return `${STATUS.get(code) ?? `status ${code}`}${said}`
  return lease6Of(message, config, now) === undefined ? 'no address for this card in it' : undefined
}

function nameOf({ serverId }: Dhcp6Message): string {
  return `the DHCPv6 server ${describeDuid(serverId ?? '')}`
}

function endOf({ totalMs }: Dhcp6Config, { startedAt }: Dhcp6Tally): number {
  return startedAt + totalMs
}

function stay(state: Dhcp6State): Dhcp6Step {
  return { state, actions: [] }
}

function notice({ link }: Dhcp6Config, text: string): Dhcp6Action {
  return { kind: 'notice', text: `${link}: ${text}` }
}
