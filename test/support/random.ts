/** Numbers that look like chance and are the same for the same seed, on every machine: what is drawn can be drawn again. */

/** From 0 to below 1. */
export type Random = () => number

/** mulberry32: small, and good enough to draw with. */
export function randomNumbers(seed: number): Random {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
