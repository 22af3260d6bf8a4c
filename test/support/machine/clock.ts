/** A clock on which time passes only when everything else has come to rest: no test sleeps, none is slow. */

import { type Clock, SysError } from '../../../src/sys/index.ts'
import { type Random, randomNumbers } from '../random.ts'

interface Timer {
  readonly at: number
  readonly order: number
  readonly fire: () => void
}

/** Virtual time after which `run` takes a wait that never ends for a bug. */
const HOUR = 3_600_000

export class VirtualClock implements Clock {
  readonly started: number
  #now: number
  #epoch: number
  #order = 0
  /** The same seed, the same boot. */
  readonly random: Random
  #timers: Timer[] = []

  constructor(options: { readonly now?: number; readonly wall?: number; readonly seed?: number } = {}) {
    this.#now = options.now ?? 1000
    this.started = this.#now
    this.#epoch = (options.wall ?? Date.UTC(2026, 0, 1)) - this.#now
    this.random = randomNumbers(options.seed ?? 1)
  }

  now(): number {
    return this.#now
  }

  wall(): number {
    return this.#epoch + this.#now
  }

  async setWall(milliseconds: number): Promise<void> {
    this.#epoch = milliseconds - this.#now
  }

  sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const give = () => {
        cancel()
        reject(aborted('clock.sleep', `${milliseconds} ms`))
      }
      const cancel = this.after(milliseconds, () => {
        signal?.removeEventListener('abort', give)
        resolve()
      })
      if (signal?.aborted) give()
      else signal?.addEventListener('abort', give, { once: true })
    })
  }

  /** Calls `fire` when so many milliseconds have passed. Returns what takes it back. */
  after(milliseconds: number, fire: () => void): () => void {
    const timer = { at: this.#now + Math.max(0, milliseconds), order: this.#order++, fire }
    const place = this.#timers.findIndex((other) => other.at > timer.at)
    this.#timers.splice(place === -1 ? this.#timers.length : place, 0, timer)
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer)
    }
  }

  /**
   * Lets time pass, from one timer to the next, until the promise has settled. Throws when nothing is left that
   * could settle it, or when `limitMs` of virtual time did not.
   */
  async run<T>(promise: Promise<T>, limitMs: number = HOUR): Promise<T> {
    let settled = false
    const done = () => {
      settled = true
    }
    promise.then(done, done)
    const started = this.#now
    for (;;) {
      await rest()
      if (settled) return promise
      const next = this.#timers[0]
      if (next === undefined) throw new Error(`at ${this.#now} ms: nothing is left to wait for`)
      if (next.at - started > limitMs) throw new Error(`not settled after ${limitMs} ms of virtual time`)
      this.#fire(next)
    }
  }

  /** Lets so many milliseconds pass, with everything that falls into them. */
  async advance(milliseconds: number): Promise<void> {
    const until = this.#now + milliseconds
    for (;;) {
      await rest()
      const next = this.#timers[0]
      if (next === undefined || next.at > until) break
      this.#fire(next)
    }
    this.#now = until
  }

  #fire(timer: Timer): void {
    this.#timers.shift()
    this.#now = Math.max(this.#now, timer.at)
    timer.fire()
  }
}

/** Resolves when every promise that can go on has done so: Node empties its microtasks before it. */
function rest(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

export function aborted(operation: string, subject: string): SysError {
  return new SysError({ code: 'ABORTED', operation, subject, message: 'given up' })
}
