/** The virtual clock: can a test trust the times that it reads on it? */

import { expect, test } from 'vitest'
import { VirtualClock } from '../../support/machine/index.ts'

test('time passes only while somebody waits, and in the order of the deadlines', async () => {
  const clock = new VirtualClock({ now: 0 })
  const order: string[] = []
  const sleep = async (milliseconds: number) => {
    await clock.sleep(milliseconds)
    order.push(`${milliseconds} at ${clock.now()}`)
  }
  await clock.run(Promise.all([sleep(3000), sleep(10), sleep(500)]))
  expect(order).toEqual(['10 at 10', '500 at 500', '3000 at 3000'])
})

test('an aborted sleep rejects at once and leaves no timer behind', async () => {
  const clock = new VirtualClock({ now: 0 })
  const abort = new AbortController()
  const sleeping = clock.sleep(60_000, abort.signal)
  clock.after(5, () => abort.abort())
  await expect(clock.run(sleeping)).rejects.toMatchObject({ code: 'ABORTED' })
  expect(clock.now()).toBe(5)
  await expect(clock.run(new Promise(() => {}))).rejects.toThrow('nothing is left to wait for')
})

test('a wait that nothing can end, and one that never ends, are errors', async () => {
  const clock = new VirtualClock()
  await expect(clock.run(new Promise(() => {}))).rejects.toThrow('nothing is left to wait for')
  const forever = async () => {
    for (;;) await clock.sleep(1000)
  }
  await expect(clock.run(forever(), 10_000)).rejects.toThrow('not settled after 10000 ms')
})

test('the same seed gives the same jitter', () => {
  const [one, two, other] = [new VirtualClock({ seed: 7 }), new VirtualClock({ seed: 7 }), new VirtualClock()]
  const draw = (clock: VirtualClock) => Array.from({ length: 5 }, () => clock.random())
  const drawn = draw(one)
  expect(draw(two)).toEqual(drawn)
  expect(draw(other)).not.toEqual(drawn)
  expect(drawn.every((value) => value >= 0 && value < 1)).toBe(true)
})
