/**
 * Every card that may be the right one is tried at once, from its carrier on; the first that can be configured wins.
 * Cards that appear late join, a carrier that comes back starts its card anew, and what the losers were granted is
 * given back.
 */

import type { Link, Mac, Sys } from '../sys/index.ts'
import { BootError, SysError } from '../sys/index.ts'
import { Channel } from './channel.ts'
import type { DhcpOutcome } from './dhcp-client.ts'
import { type CardEnd, noCardError, noNetworkError, noSuchCardError } from './join-errors.ts'

export interface RaceRequest {
  /** The only link that may win, by name. */
  readonly device: string | undefined
  /** The only one, by MAC; when the machine has no such card every card races, with a word. */
  readonly bootInterface: Mac | undefined
  /** Settles when the drivers of what is there were loaded. */
  readonly coldplug: Promise<unknown>
  /** How long after that a card may take to appear. */
  readonly cardMs: number
  /** How long a card may be up without a carrier. */
  readonly carrierMs: number
  /** The end of it all, for a carrier that comes and goes for ever. */
  readonly totalMs: number
  /** Cards that no driver took, for the error when there is none. */
  readonly describeCards: () => Promise<readonly string[]>
  readonly onNotice: (text: string) => void
}

/** What a card with a carrier may end in. */
export type CardResult<T> =
  | { readonly kind: 'won'; readonly value: T }
  | Extract<DhcpOutcome, { kind: 'failed' }>

export interface Contestant<T> {
  /** Tries to configure a link that has a carrier; rejects with ABORTED when the signal fires. */
  readonly run: (link: Link, signal: AbortSignal) => Promise<CardResult<T>>
  /** Undoes a `run` that won when another had won already. The link is still up. */
  readonly giveBack: (link: Link, value: T) => Promise<void>
}

interface Winner<T> {
  readonly link: Link
  readonly value: T
}

interface Card<T> {
  link: Link
  /** clock.now since when it waits for a carrier. */
  waitsSince: number
  hadCarrier: boolean
  run: { readonly controller: AbortController; readonly done: Promise<CardResult<T> | undefined> } | undefined
  end: CardEnd | undefined
}

/** A run is known by its controller: a card may have had an earlier one. */
type Finished<T> = { readonly name: string; readonly controller: AbortController } & (
  | { readonly kind: 'result'; readonly result: CardResult<T> }
  | { readonly kind: 'broken'; readonly error: unknown }
)

type Happening<T> =
  | Finished<T>
  | { readonly kind: 'link'; readonly link: Link }
  | { readonly kind: 'watch-broken'; readonly error: unknown }
  /** Some deadline passed: look again. */
  | { readonly kind: 'look' }
  | { readonly kind: 'aborted' }

/** When a person is told what is being waited for, if it is no lease. */
const HINT_MS = 5000
/** A card that appears after this was not there when the drivers were loaded. */
const LATE_MS = 3000

/** Resolves with the winner and its link. Rejects with a `BootError` that says why each card failed, or with ABORTED. */
export async function raceCards<T>(
  sys: Pick<Sys, 'network' | 'clock'>,
  request: RaceRequest,
  contestant: Contestant<T>,
  signal: AbortSignal,
): Promise<Winner<T>> {
  const over = new AbortController()
  const stop = () => over.abort()
  signal.addEventListener('abort', stop, { once: true })
  if (signal.aborted) stop()
  const race = new Race(sys, request, contestant, over.signal)
  try {
    const winner = await race.watch()
    await race.settle(winner.link.name)
    return winner
  } catch (error) {
    await race.settle(undefined)
    throw error
  } finally {
    over.abort()
    signal.removeEventListener('abort', stop)
  }
}

class Race<T> {
  readonly #sys: Pick<Sys, 'network' | 'clock'>
  readonly #request: RaceRequest
  readonly #contestant: Contestant<T>
  readonly #over: AbortSignal
  readonly #startedAt: number
  readonly #happenings = new Channel<Happening<T>>()
  /** Every physical link, candidate or not. */
  readonly #links = new Map<string, Link>()
  readonly #cards = new Map<string, Card<T>>()
  /** BOOTIF named a card that is not here. */
  #widened = false
  #hinted = false
  /** clock.now after which no card is waited for any more. */
  #cardsDueAt = Number.POSITIVE_INFINITY

  constructor(
    sys: Pick<Sys, 'network' | 'clock'>,
    request: RaceRequest,
    contestant: Contestant<T>,
    over: AbortSignal,
  ) {
    this.#sys = sys
    this.#request = request
    this.#contestant = contestant
    this.#over = over
    this.#startedAt = sys.clock.now()
  }

  async watch(): Promise<Winner<T>> {
    this.#over.addEventListener('abort', () => this.#happenings.push({ kind: 'aborted' }), { once: true })
    if (this.#over.aborted) this.#happenings.push({ kind: 'aborted' })
    this.#forwardLinks()
    this.#lookAfter(HINT_MS)
    this.#lookAfter(this.#request.totalMs)
    const coldplugged = () => {
      this.#cardsDueAt = this.#sys.clock.now() + this.#request.cardMs
      this.#lookAfter(this.#request.cardMs)
    }
    this.#request.coldplug.then(coldplugged, coldplugged)
    for (;;) {
      const winner = await this.#take(await this.#happenings.next())
      if (winner) return winner
      this.#hint()
      await this.#giveUpIfHopeless()
    }
  }

  /** Ends every other run, gives back what they were granted meanwhile, and takes their links down. */
  async settle(winner: string | undefined): Promise<void> {
    const losers = [...this.#cards.values()].filter(({ link }) => link.name !== winner)
    for (const { run } of losers) run?.controller.abort()
    await Promise.all(
      losers.map(async ({ link, run }) => {
        const result = await run?.done
        if (result?.kind === 'won') await this.#contestant.giveBack(link, result.value)
        // After a failure they stay up: somebody may want to look, and the next try starts from there.
        if (winner !== undefined) await this.#takeDown(link)
      }),
    )
  }

  async #take(happening: Happening<T>): Promise<Winner<T> | undefined> {
    switch (happening.kind) {
      case 'aborted':
        throw new SysError({
          code: 'ABORTED',
          operation: 'network.join',
          subject: 'the network',
          message: 'given up',
        })
      case 'watch-broken':
        throw new BootError('the network cards could not be watched', { cause: happening.error })
      case 'look':
        return undefined
      case 'link':
        await this.#meet(happening.link)
        return undefined
      case 'result':
      case 'broken':
        return this.#finish(happening)
    }
  }

  #finish(happening: Finished<T>): Winner<T> | undefined {
    const card = this.#cards.get(happening.name)
    // A run that was ended by its carrier has been replaced, or has no meaning any more.
    if (card?.run?.controller !== happening.controller) return undefined
    const { link } = card
    if (happening.kind === 'broken') card.end = { kind: 'broken', link, error: happening.error }
    else if (happening.result.kind === 'won') return { link, value: happening.result.value }
    else card.end = { kind: 'no-lease', link, outcome: happening.result }
    card.run = undefined
    return undefined
  }

  async #meet(link: Link): Promise<void> {
    const isNew = !this.#links.has(link.name)
    if (link.physical || link.name === this.#request.device) this.#links.set(link.name, link)
    if (!this.#isCandidate(link)) return
    const card = this.#cards.get(link.name)
    if (!card) return this.#join(link, isNew)
    card.link = link
    const isLive = link.up && link.carrier
    if (isLive && !card.run && card.end?.kind !== 'no-lease' && card.end?.kind !== 'broken') {
      this.#start(card)
    } else if (!isLive && (card.run || card.end?.kind === 'no-lease')) {
      this.#request.onNotice(`${link.name}: its carrier is gone`)
      card.run?.controller.abort()
      card.run = undefined
      card.end = undefined
      card.waitsSince = this.#sys.clock.now()
      this.#lookAfter(this.#request.carrierMs)
    }
  }

  async #join(link: Link, isNew: boolean): Promise<void> {
    const now = this.#sys.clock.now()
    const card: Card<T> = { link, waitsSince: now, hadCarrier: false, run: undefined, end: undefined }
    this.#cards.set(link.name, card)
    if (isNew && now - this.#startedAt > LATE_MS) this.#request.onNotice(`${link.name}: appeared late, joins`)
    if (link.up && link.carrier) return this.#start(card)
    this.#lookAfter(this.#request.carrierMs)
    if (link.up) return
    try {
      await this.#sys.network.setLink(link.name, { up: true })
    } catch (error) {
      if (!(error instanceof SysError)) throw error
      card.end = { kind: 'broken', link, error }
    }
  }

  #start(card: Card<T>): void {
    card.hadCarrier = true
    card.end = undefined
    const controller = new AbortController()
    const { link } = card
    const { name } = link
    const done = this.#contestant.run(link, controller.signal).then(
      (result) => {
        this.#happenings.push({ kind: 'result', name, controller, result })
        return result
      },
      (error: unknown) => {
        this.#happenings.push({ kind: 'broken', name, controller, error })
        return undefined
      },
    )
    card.run = { controller, done }
  }

  /** A loser that stays up does not keep the winner from booting. */
  async #takeDown(link: Link): Promise<void> {
    try {
      await this.#sys.network.setLink(link.name, { up: false })
    } catch (error) {
      if (!(error instanceof SysError)) throw error
      this.#request.onNotice(`${link.name}: could not be taken down: ${error.message}`)
    }
  }

  #isCandidate(link: Link): boolean {
    const { device, bootInterface } = this.#request
    if (device !== undefined) return link.name === device
    if (!link.physical) return false
    return bootInterface === undefined || this.#widened || link.mac === bootInterface
  }

  /** Once. DHCP speaks for itself. */
  #hint(): void {
    const cards = [...this.#cards.values()]
    if (this.#hinted || this.#sys.clock.now() - this.#startedAt < HINT_MS) return
    this.#hinted = true
    if (cards.some(({ run }) => run)) return
    const names = cards.map(({ link }) => link.name).join(', ')
    this.#request.onNotice(names === '' ? 'waiting for a network card' : `waiting for a carrier on ${names}`)
  }

  async #giveUpIfHopeless(): Promise<void> {
    const { carrierMs, totalMs, device, bootInterface, onNotice } = this.#request
    const now = this.#sys.clock.now()
    const elapsed = now - this.#startedAt
    const cardsAreDue = now >= this.#cardsDueAt || elapsed >= totalMs
    if (this.#cards.size === 0) {
      if (!cardsAreDue) return
      if (this.#links.size === 0) throw noCardError(await this.#request.describeCards(), elapsed)
      if (device !== undefined) throw noSuchCardError(device, [...this.#links.values()], elapsed)
      onNotice(`no card has the address ${bootInterface} of BOOTIF: every card is tried`)
      this.#widened = true
      for (const link of this.#links.values()) await this.#join(link, false)
    }
    const ends = [...this.#cards.values()].map((card) => endOf(card, now, carrierMs))
    const known = ends.filter((end) => end !== undefined)
    if (cardsAreDue && known.length === ends.length) throw noNetworkError(known)
    if (elapsed < totalMs) return
    // Each run has a deadline of its own: whatever is still going on was begun anew again and again.
    throw noNetworkError(
      [...this.#cards.values()].map(({ link, end }) => end ?? { kind: 'carrier-lost', link }),
    )
  }

  #forwardLinks(): void {
    const forward = async () => {
      for await (const link of this.#sys.network.watchLinks(this.#over)) {
        this.#happenings.push({ kind: 'link', link })
      }
    }
    forward().catch((error: unknown) => this.#happenings.push({ kind: 'watch-broken', error }))
  }

  #lookAfter(milliseconds: number): void {
    this.#sys.clock.sleep(milliseconds, this.#over).then(
      () => this.#happenings.push({ kind: 'look' }),
      // ABORTED: the race is over, and nobody looks.
      () => {},
    )
  }
}

/** How a card ended; undefined while there is hope. */
function endOf<T>(card: Card<T>, now: number, carrierMs: number): CardEnd | undefined {
  if (card.end) return card.end
  const waitedMs = now - card.waitsSince
  if (card.run || waitedMs < carrierMs) return undefined
  const { link } = card
  return card.hadCarrier ? { kind: 'carrier-lost', link } : { kind: 'no-carrier', link, waitedMs }
}
