/**
 * Every card that may be the right one is tried at once, from its carrier on; the first that can be configured wins.
 * Cards that appear late join, a carrier that comes back starts its card anew, and what the losers were granted is
 * given back. Which of several winners is taken: verdict.ts.
 */

import type { Link, Sys } from '../sys/index.ts'
import { BootError, SysError } from '../sys/index.ts'
import { Alarm } from './alarm.ts'
import { type Card, endOf, type Finished, type Happening } from './card.ts'
import { Channel } from './channel.ts'
import type { Contestant, Doubt, Proof, RaceRequest, Winner } from './contest.ts'
import { noCardError, noNetworkError, noSuchCardError } from './join-errors.ts'
import { HOLD_MS, LOOK_AGAIN_MS, NEGOTIATION_MS, verdict } from './verdict.ts'

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
  #coldplugged = false
  /** Its proof is being looked at; one at a time, as each configures its link as if it were alone. */
  #looking: Card<T> | undefined
  /** clock.now of the end of the last look. */
  #lookedAt = Number.NEGATIVE_INFINITY
  readonly #alarm: Alarm
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
    this.#alarm = new Alarm(sys.clock, () => this.#happenings.push({ kind: 'look' }))
  }

  async watch(): Promise<Winner<T>> {
    const aborted = () => {
      this.#alarm.stop()
      this.#happenings.push({ kind: 'aborted' })
    }
    this.#over.addEventListener('abort', aborted, { once: true })
    if (this.#over.aborted) this.#happenings.push({ kind: 'aborted' })
    this.#forwardLinks()
    this.#lookAfter(HINT_MS)
    this.#lookAfter(this.#request.totalMs)
    const coldplugged = () => {
      this.#coldplugged = true
      this.#cardsDueAt = this.#sys.clock.now() + this.#request.cardMs
      this.#lookAfter(this.#request.cardMs)
    }
    this.#request.coldplug.then(coldplugged, coldplugged)
    for (;;) {
      const winner = (await this.#take(await this.#happenings.next())) ?? this.#chooseWinner()
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
      losers.map(async (card) => {
        const { link, run } = card
        const result = await run?.done
        if (card.configured) await this.#undo(card)
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
      case 'looked':
      case 'broken':
        return this.#finish(happening)
    }
  }

  async #finish(happening: Finished<T>): Promise<Winner<T> | undefined> {
    const card = this.#cards.get(happening.name)
    if (happening.kind !== 'result' && this.#looking === card) this.#looking = undefined
    // A run that was ended by its carrier has been replaced, or has no meaning any more.
    if (card?.run?.controller !== happening.controller) return undefined
    const { link } = card
    if (happening.kind === 'looked') return this.#judge(card, happening.doubt)
    if (happening.kind === 'broken') card.end = { kind: 'broken', link, error: happening.error }
    else if (happening.result.kind !== 'won') {
      card.end = { kind: 'no-lease', link, outcome: happening.result }
    } else {
      card.won = { value: happening.result.value, at: this.#sys.clock.now() }
      this.#lookAfter(HOLD_MS)
      return undefined
    }
    // What it had won before its look broke is given back with the others'.
    if (card.won === undefined) card.run = undefined
    card.won = undefined
    return undefined
  }

  async #judge(card: Card<T>, doubt: Doubt | undefined): Promise<Winner<T> | undefined> {
    const { link, won } = card
    if (won === undefined) return undefined
    if (doubt === undefined) return { link, value: won.value, proved: true }
    const isNews = card.doubt?.reason !== doubt.reason
    card.doubt = doubt
    card.lookedAt = this.#sys.clock.now()
    this.#lookedAt = card.lookedAt
    await this.#undo(card)
    this.#lookAfter(LOOK_AGAIN_MS)
    if (isNews) this.#request.onNotice(`${link.name}: ${doubt.reason}: other cards go first`)
    return undefined
  }

  /** Of the cards that won their run the one that is taken as it is; or else the next look begins. */
  #chooseWinner(): Winner<T> | undefined {
    if (this.#looking !== undefined) return undefined
    const { proof } = this.#contestant
    const standing = {
      cards: [...this.#cards.values()],
      mayGrow: this.#mayGrow(),
      hasProof: proof !== undefined,
      lookedAt: this.#lookedAt,
    }
    const found = verdict(standing, this.#sys.clock.now())
    if (found.kind === 'look' && proof !== undefined) this.#look(found.card, found.value, proof)
    if (found.kind !== 'taken') return undefined
    const { link, doubt } = found.card
    if (doubt !== undefined)
      this.#request.onNotice(`${link.name}: no other card leads there either: it stays`)
    return { link, value: found.value, proved: false }
  }

  /** Whether a card that is not there yet may still join. */
  #mayGrow(): boolean {
    const { devices, bootInterface } = this.#request
    const places = devices?.length ?? (bootInterface === undefined || this.#widened ? undefined : 1)
    const isComplete = places !== undefined && this.#cards.size >= places
    return !this.#coldplugged && !isComplete
  }

  #look(card: Card<T>, value: T, proof: Proof<T>): void {
    const { link, run } = card
    if (run === undefined) return
    const { controller } = run
    const { name } = link
    this.#looking = card
    card.configured = true
    proof.look(link, value, controller.signal).then(
      (doubt) => this.#happenings.push({ kind: 'looked', name, controller, doubt }),
      (error: unknown) => this.#happenings.push({ kind: 'broken', name, controller, error }),
    )
  }

  async #undo(card: Card<T>): Promise<void> {
    card.configured = false
    try {
      await this.#contestant.proof?.undo(card.link)
    } catch (error) {
      if (!(error instanceof SysError)) throw error
      this.#request.onNotice(`${card.link.name}: could not be cleared: ${error.message}`)
    }
  }

  async #meet(link: Link): Promise<void> {
    const isNew = !this.#links.has(link.name)
    if (link.physical || this.#request.devices?.includes(link.name)) this.#links.set(link.name, link)
    if (!this.#isCandidate(link)) return
    const card = this.#cards.get(link.name)
    if (!card) return this.#join(link, isNew)
    card.link = link
    const isLive = link.up && link.carrier && (this.#request.mac ?? link.mac) === link.mac
    if (isLive && !card.run && card.end?.kind !== 'no-lease' && card.end?.kind !== 'broken') {
      this.#start(card)
    } else if (!isLive && (card.run || card.end?.kind === 'no-lease')) {
      this.#request.onNotice(`${link.name}: its carrier is gone`)
      card.run?.controller.abort()
      card.run = undefined
      card.end = undefined
      card.won = undefined
      card.doubt = undefined
      card.waitsSince = this.#sys.clock.now()
      this.#lookAfter(this.#request.carrierMs)
    }
  }

  async #join(link: Link, isNew: boolean): Promise<void> {
    const now = this.#sys.clock.now()
    const card: Card<T> = {
      ...{ link, waitsSince: now, lookedAt: 0, hadCarrier: false, configured: false },
      ...{ run: undefined, end: undefined, won: undefined, doubt: undefined },
    }
    this.#cards.set(link.name, card)
    if (isNew && now - this.#startedAt > LATE_MS) this.#request.onNotice(`${link.name}: appeared late, joins`)
    const { mac, carrierMs } = this.#request
    const isAddressed = mac === undefined || mac === link.mac
    if (link.up && link.carrier && isAddressed) return this.#start(card)
    this.#lookAfter(carrierMs)
    this.#lookAfter(NEGOTIATION_MS)
    if (link.up && isAddressed) return
    try {
      if (!isAddressed) {
        if (link.up) await this.#sys.network.setLink(link.name, { up: false })
        await this.#sys.network.setLink(link.name, { mac })
      }
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
    const { devices, bootInterface } = this.#request
    if (devices !== undefined) return devices.includes(link.name)
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
    const { carrierMs, totalMs, devices, bootInterface, onNotice } = this.#request
    const now = this.#sys.clock.now()
    const elapsed = now - this.#startedAt
    const cardsAreDue = now >= this.#cardsDueAt || elapsed >= totalMs
    if (this.#cards.size === 0) {
      if (!cardsAreDue) return
      if (this.#links.size === 0) throw noCardError(await this.#request.describeCards(), elapsed)
      if (devices !== undefined) throw noSuchCardError(devices.join(', '), [...this.#links.values()], elapsed)
      onNotice(`no card has the address ${bootInterface} of BOOTIF: every card is tried`)
      this.#widened = true
      for (const link of this.#links.values()) await this.#join(link, false)
    }
    const ends = [...this.#cards.values()].map((card) => endOf(card, now, carrierMs))
    const known = ends.filter((end) => end !== undefined)
    if (cardsAreDue && known.length === ends.length)
      throw noNetworkError(known, this.#request.missingFirmware)
    if (elapsed < totalMs) return
    // Each run has a deadline of its own: whatever is still going on was begun anew again and again.
    throw noNetworkError(
      [...this.#cards.values()].map(({ link, end }) => end ?? { kind: 'carrier-lost', link }),
      this.#request.missingFirmware,
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
    this.#alarm.after(milliseconds)
  }
}
