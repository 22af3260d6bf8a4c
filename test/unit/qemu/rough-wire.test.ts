import { expect, test } from 'vitest'
import { rough } from '../../../src/cli/boot/rough-wire.ts'
import type { Passage } from '../../../src/cli/boot/wire.ts'

const frames = Array.from({ length: 2000 }, (_, at) => Buffer.from(`frame ${at}`))

function fates(passage: Passage, direction: 'up' | 'down' = 'up') {
  return frames.map((frame) => {
    const fate = passage(frame, direction)
    if (Buffer.isBuffer(fate)) throw new Error('a rough wire has arrivals')
    return fate?.map(({ afterMs, frame: one }) => `${one.toString()} ${afterMs}`)
  })
}

test('a share is lost, doubled and early, the rest comes late and whole', () => {
  const all = fates(rough({ loss: 0.2, duplicates: 0.05, reordered: 0.1, delayMs: 50 }))
  const share = (is: (fate: readonly string[] | undefined) => boolean) => all.filter(is).length / all.length
  expect(share((fate) => fate === undefined)).toBeCloseTo(0.2, 1)
  expect(share((fate) => fate?.length === 2)).toBeCloseTo(0.04, 1)
  expect(share((fate) => fate?.[0]?.endsWith(' 0') === true)).toBeCloseTo(0.08, 1)
  for (const [at, fate] of all.entries())
    for (const arrival of fate ?? []) expect(arrival).toMatch(new RegExp(`^frame ${at} (0|50)$`))
})

test('the same seed has the same fates, another one others, and so has the other direction', () => {
  const once = fates(rough({ loss: 0.5, seed: 7 }))
  expect(fates(rough({ loss: 0.5, seed: 7 }))).toEqual(once)
  expect(fates(rough({ loss: 0.5, seed: 8 }))).not.toEqual(once)
  expect(fates(rough({ loss: 0.5, seed: 7 }), 'down')).not.toEqual(once)
})

test('a wire that is only slow loses nothing', () => {
  expect(fates(rough({ delayMs: 30 }))).toEqual(frames.map((frame) => [`${frame.toString()} 30`]))
})
