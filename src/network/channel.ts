/** Things that happen in several places, read in one. Unbounded: for the few events of a boot. */
export class Channel<T> {
  readonly #queue: T[] = []
  #waiting: ((value: T) => void) | undefined

  push(value: T): void {
    const waiting = this.#waiting
    this.#waiting = undefined
    if (waiting) waiting(value)
    else this.#queue.push(value)
  }

  /** The oldest that was not read yet. One reader at a time. */
  next(): Promise<T> {
    const [value] = this.#queue.splice(0, 1)
    return value !== undefined ? Promise.resolve(value) : new Promise((resolve) => (this.#waiting = resolve))
  }
}
