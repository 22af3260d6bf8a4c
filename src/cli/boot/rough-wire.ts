/** A bad wire: it loses, delays, reorders and doubles frames, the same ones in every run with the same seed. */

import type { Passage } from './wire.ts'

export interface Roughness {
  /** Shares of the frames, from 0 to 1, each direction. */
  readonly loss?: number
  readonly duplicates?: number
  /** These overtake the frames before them: they are not delayed. */
  readonly reordered?: number
  /** Of every other frame, one way. */
  readonly delayMs?: number
  readonly seed?: number
}

export function rough({
  delayMs = 0,
  duplicates = 0,
  loss = 0,
  reordered = 0,
  seed = 1,
}: Roughness): Passage {
  const dice = { up: numbers(seed), down: numbers(seed + 1) }
  return (frame, direction) => {
    const roll = dice[direction]
    // Always as many throws, so that one frame's fate is not the next one's.
    const [lost, doubled, early] = [roll() < loss, roll() < duplicates, roll() < reordered]
    if (lost) return undefined
    const arrival = { frame, afterMs: early ? 0 : delayMs }
    return doubled ? [arrival, arrival] : [arrival]
  }
}

/** From 0 up to 1, the same for the same seed: Marsaglia's xorshift of 32 bits. */
function numbers(seed: number): () => number {
  // Neighbouring seeds begin alike, and a state of 0 would stay 0.
  let state = Math.imul(seed, 0x9e3779b1) | 1
  return () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) / 2 ** 32
  }
}
