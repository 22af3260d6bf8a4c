/** A stream of events that the machine feeds and the code under test reads. */

import type { Events } from '../../../src/sys/index.ts'

/** Opens a stream that ends when the signal fires; `first` are already in it. */
export class Broadcast<T> {
  readonly #streams = new Set<Stream<T>>()

  open(signal: AbortSignal, first: readonly T[] = []): Events<T> {
    const stream = new Stream<T>(first, () => this.#streams.delete(stream))
    this.#streams.add(stream)
    if (signal.aborted) stream.end()
    else signal.addEventListener('abort', () => stream.end(), { once: true })
    return stream
  }

  send(event: T): void {
    for (const stream of this.#streams) stream.push(event)
  }
}

class Stream<T> implements AsyncIterableIterator<T> {
  readonly #queue: T[]
  readonly #waiting: ((result: IteratorResult<T>) => void)[] = []
  readonly #closed: () => void
  #ended = false

  constructor(first: readonly T[], closed: () => void) {
    this.#queue = [...first]
    this.#closed = closed
  }

  push(value: T): void {
    const waiting = this.#waiting.shift()
    if (waiting) waiting({ value, done: false })
    else this.#queue.push(value)
  }

  end(): void {
    this.#ended = true
    this.#queue.length = 0
    this.#closed()
    for (const waiting of this.#waiting.splice(0)) waiting({ value: undefined, done: true })
  }

  next(): Promise<IteratorResult<T>> {
    const value = this.#queue.shift()
    if (value !== undefined) return Promise.resolve({ value, done: false })
    if (this.#ended) return Promise.resolve({ value: undefined, done: true })
    return new Promise((resolve) => this.#waiting.push(resolve))
  }

  return(): Promise<IteratorResult<T>> {
    this.end()
    return Promise.resolve({ value: undefined, done: true })
  }

  [Symbol.asyncIterator](): this {
    return this
  }
}

/** A promise and what settles it. */
export function deferred<T>(): { readonly promise: Promise<T>; readonly resolve: (value: T) => void } {
  let settle: ((value: T) => void) | undefined
  const promise = new Promise<T>((resolve) => {
    settle = resolve
  })
  return { promise, resolve: (value) => settle?.(value) }
}
