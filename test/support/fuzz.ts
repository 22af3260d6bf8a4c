/**
 * Damage, for tests that throw bad input at decoders: a few thousand inputs, always the same. A long run, with others:
 * `FUZZ_INPUTS=1000000 FUZZ_SEED=7 vitest run --project unit -t damaged --testTimeout 0`.
 */

import { randomNumbers } from './random.ts'

/** How many inputs a test is to make. */
export function inputs(usual: number): number {
  return setting('FUZZ_INPUTS') ?? usual
}

function setting(name: string): number | undefined {
  const text = process.env[name]
  return text === undefined ? undefined : Number(text)
}

/** So many of `good`, in hex, with some bytes changed, put in, left out or cut off; at times nothing but chance. */
export function* damaged(good: string, many: number): Generator<string> {
  const chance = randomNumbers(setting('FUZZ_SEED') ?? 5)
  const below = (most: number) => Math.floor(chance() * most)
  const some = (most: number) =>
    Array.from({ length: below(most + 1) }, () => below(256).toString(16).padStart(2, '0')).join('')
  for (let made = 0; made < many; made += 1) {
    if (below(20) === 0) {
      yield some(300)
      continue
    }
    let bytes = good
    for (let change = 0; change <= below(4); change += 1) {
      const at = 2 * below(bytes.length / 2)
      const kind = below(12)
      const taken = kind === 0 ? bytes.length : kind < 3 ? 2 * below(8) : 2
      const put = kind === 0 ? '' : kind < 3 ? some(8) : byteOf(below(512))
      bytes = bytes.slice(0, at) + put + bytes.slice(at + taken)
    }
    yield bytes
  }
}

/** Half of them are the numbers at which decoders go wrong. */
function byteOf(number: number): string {
  const byte = number < 256 ? number : ([0, 1, 0x7f, 0x80, 0xff][number % 5] ?? 0)
  return byte.toString(16).padStart(2, '0')
}
