/**
 * Which of the cards that won their run is taken (race.ts). Where a win has a proof to pass and there are rivals, a card
 * that does not pass it is held: it is looked at again and again, gives way to a rival that passes, and wins in the end if
 * there is none.
 */

import type { Card } from './card.ts'

/** Between two looks at a card that is held. */
export const LOOK_AGAIN_MS = 5000
/** How long rivals hold a card up: a switch port learns for thirty seconds, and DHCP may take some more. */
export const HOLD_MS = 45_000
/** A rival without a carrier counts while its card and the switch may still be agreeing on a speed. */
export const NEGOTIATION_MS = 10_000

export interface Standing<T> {
  readonly cards: readonly Card<T>[]
  /** A card that is not there yet may still join. */
  readonly mayGrow: boolean
  /** A win leads somewhere only when its proof says so. */
  readonly hasProof: boolean
  /** clock.now of the end of the last look. */
  readonly lookedAt: number
}

export type Verdict<T> =
  | { readonly kind: 'wait' }
  /** Its proof is to be looked at. */
  | { readonly kind: 'look'; readonly card: Card<T>; readonly value: T }
  | { readonly kind: 'taken'; readonly card: Card<T>; readonly value: T }

/** While no look is going on. `now`: clock.now. */
export function verdict<T>({ cards, mayGrow, hasProof, lookedAt }: Standing<T>, now: number): Verdict<T> {
  const winners = cards
    .flatMap((card) => (card.won ? [{ card, ...card.won }] : []))
    .sort((a, b) => a.at - b.at)
  const [first] = winners
  if (first === undefined) return { kind: 'wait' }
  const hasRivals = winners.length > 1 || mayGrow || cards.some((card) => mayYetWin(card, now))
  if (hasProof && hasRivals) {
    const fresh = winners.find(({ card }) => card.doubt === undefined)
    if (fresh !== undefined) return { ...fresh, kind: 'look' }
    if (now - first.at < HOLD_MS) {
      if (now - lookedAt < LOOK_AGAIN_MS) return { kind: 'wait' }
      const longestAgo = winners.reduce((a, b) => (b.card.lookedAt < a.card.lookedAt ? b : a))
      return { ...longestAgo, kind: 'look' }
    }
  }
  const best = winners.find(({ card }) => card.doubt?.hope) ?? first
  return { ...best, kind: 'taken' }
}

function mayYetWin<T>({ won, end, run, waitsSince }: Card<T>, now: number): boolean {
  return won === undefined && end === undefined && (run !== undefined || now - waitsSince < NEGOTIATION_MS)
}
