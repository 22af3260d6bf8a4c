/** Commits that do not wait for each other: their order, and what becomes of a failure. */

import { expect, it } from 'vitest'
import { Commits } from '../../../src/apk/commits.ts'

/** An answer that comes when the test says so. */
function answer<T>() {
  let settle: { resolve(value: T): void; reject(error: Error): void } | undefined
  const promise = new Promise<T>((resolve, reject) => {
    settle = { resolve, reject }
  })
  return {
    ask: () => promise,
    resolve: (value: T) => settle?.resolve(value),
    reject: (error: Error) => settle?.reject(error),
  }
}

it('asks at once, and tells in order, whichever answer comes first', async () => {
  const commits = new Commits()
  const told: string[] = []
  const [first, second] = [answer<string>(), answer<string>()]
  for (const each of [first, second]) commits.ask(each.ask, (text) => told.push(text))
  second.resolve('second')
  first.resolve('first')
  await commits.done()
  expect(told).toEqual(['first', 'second'])
})

it('is not done before the last of them is', async () => {
  const commits = new Commits()
  const [first, second] = [answer<void>(), answer<void>()]
  for (const each of [first, second]) commits.ask(each.ask, () => undefined)
  let isDone = false
  const done = commits.done().then(() => {
    isDone = true
  })
  first.resolve()
  await Promise.resolve()
  expect(isDone).toBe(false)
  second.resolve()
  await done
})

it('tells the first failure to whoever waits, tells nothing of what comes after it, and asks for no more', async () => {
  const commits = new Commits()
  const told: string[] = []
  const [first, second, third] = [answer<string>(), answer<string>(), answer<string>()]
  for (const each of [first, second, third]) commits.ask(each.ask, (text) => told.push(text))
  third.reject(new Error('no room either'))
  first.resolve('first')
  second.reject(new Error('no room'))
  await expect(commits.done()).rejects.toThrow(/^no room$/)
  expect(told).toEqual(['first'])
  let isAsked = false
  const ask = async () => {
    isAsked = true
  }
  expect(() => commits.ask(ask, () => undefined)).toThrow('no room')
  expect(isAsked).toBe(false)
  await commits.ended()
})
