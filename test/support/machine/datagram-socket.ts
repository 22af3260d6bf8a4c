/** A socket of the fake machine in which what arrives waits until it is read. */

import { aborted, type VirtualClock } from './clock.ts'
import { refusal } from './faults.ts'

export class FakeQueue<T> {
  readonly #clock: VirtualClock
  readonly #operation: string
  readonly #arrived: T[] = []
  #wake: (() => void) | undefined
  closed = false

  /** `operation`: how reading from it is called. */
  constructor(clock: VirtualClock, operation: string) {
    this.#clock = clock
    this.#operation = operation
  }

  async receive(deadlineMs: number, signal?: AbortSignal): Promise<T | undefined> {
    if (this.closed) throw refusal('EBADF', this.#operation, 'socket', 'Bad file descriptor')
    if (signal?.aborted) throw aborted(this.#operation, 'socket')
    const now = this.#clock.now()
    if (this.#arrived.length === 0 && now < deadlineMs) {
      await new Promise<void>((resolve) => {
        const wake = () => {
          cancel()
          signal?.removeEventListener('abort', wake)
          resolve()
        }
        const cancel = this.#clock.after(deadlineMs - now, wake)
        this.#wake = wake
        signal?.addEventListener('abort', wake, { once: true })
      })
      this.#wake = undefined
    }
    if (signal?.aborted) throw aborted(this.#operation, 'socket')
    return this.#arrived.shift()
  }

  async close(): Promise<void> {
    this.closed = true
    this.#wake?.()
  }

  arrive(item: T): void {
    if (this.closed) return
    this.#arrived.push(item)
    this.#wake?.()
  }
}
