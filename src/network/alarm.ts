/** Many deadlines, one sleep: rings at each moment that was asked for. */

import type { Clock } from '../sys/index.ts'

export class Alarm {
  readonly #clock: Clock
  readonly #ring: () => void
  /** clock.now of the moments ahead. */
  #dues: number[] = []
  #sleeper: AbortController | undefined
  #stopped = false

  constructor(clock: Clock, ring: () => void) {
    this.#clock = clock
    this.#ring = ring
  }

  after(milliseconds: number): void {
    const at = this.#clock.now() + milliseconds
    this.#dues.push(at)
    if (at <= Math.min(...this.#dues)) this.#sleep()
  }

  stop(): void {
    this.#stopped = true
    this.#sleeper?.abort()
  }

  #sleep(): void {
    this.#sleeper?.abort()
    const at = Math.min(...this.#dues)
    if (at === Number.POSITIVE_INFINITY || this.#stopped) return
    const sleeper = new AbortController()
    this.#sleeper = sleeper
    this.#clock.sleep(Math.max(0, at - this.#clock.now()), sleeper.signal).then(
      () => {
        this.#dues = this.#dues.filter((due) => due > at)
        this.#ring()
        this.#sleep()
      },
      // ABORTED: another moment is sooner, or nobody listens any more.
      () => {},
    )
  }
}
