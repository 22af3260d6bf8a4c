/** One card in a race (race.ts), and what may happen to it. */

import type { Link } from '../sys/index.ts'
import type { CardResult, Doubt } from './contest.ts'
import type { CardEnd } from './join-errors.ts'

/** What is known of one card. */
export interface Card<T> {
  link: Link
  /** clock.now since when it waits for a carrier. */
  waitsSince: number
  hadCarrier: boolean
  run: { readonly controller: AbortController; readonly done: Promise<CardResult<T> | undefined> } | undefined
  end: CardEnd | undefined
  /** What its run won. It still runs, to be given back. */
  won: { readonly value: T; readonly at: number } | undefined
  /** Why its proof failed, the last time. */
  doubt: Doubt | undefined
  /** clock.now of its last look. */
  lookedAt: number
  /** `proof.look` put something on the link. */
  configured: boolean
}

/** A run is known by its controller: a card may have had an earlier one. */
export type Finished<T> = { readonly name: string; readonly controller: AbortController } & (
  | { readonly kind: 'result'; readonly result: CardResult<T> }
  | { readonly kind: 'looked'; readonly doubt: Doubt | undefined }
  | { readonly kind: 'broken'; readonly error: unknown }
)

export type Happening<T> =
  | Finished<T>
  | { readonly kind: 'link'; readonly link: Link }
  | { readonly kind: 'watch-broken'; readonly error: unknown }
  /** Some deadline passed: look again. */
  | { readonly kind: 'look' }
  | { readonly kind: 'aborted' }

/** How a card ended; undefined while there is hope. */
export function endOf<T>(card: Card<T>, now: number, carrierMs: number): CardEnd | undefined {
  if (card.end) return card.end
  const waitedMs = now - card.waitsSince
  if (card.run || waitedMs < carrierMs) return undefined
  const { link } = card
  return card.hadCarrier ? { kind: 'carrier-lost', link } : { kind: 'no-carrier', link, waitedMs }
}
