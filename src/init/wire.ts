/**
 * The wire to the native host: calls with one JSON answer, and streams of JSON events.
 *
 * The host is the other half of this program, of the same build: its answers are taken at their word, as types.
 */

import { type Events, SysError, type SysErrorFields } from '../sys/index.ts'

/** The global `host`, as runtime/src/engine.rs makes it. Answers never come before `call` has returned. */
export interface Host {
  call(id: number, op: string, args: string): void
  /** The call is answered all the same, usually with ABORTED. */
  cancel(id: number): void
  /** CLOCK_BOOTTIME, milliseconds. */
  now(): number
  /** CLOCK_REALTIME, milliseconds. */
  wall(): number
  random(): number
  /** By `now`: when the program's first instruction ran, as PID 1. */
  readonly started: number
  /** Ends the engine with this text on every console. */
  fatal(text: string): void
  /** A line on standard error. */
  log(text: string): void
  onAnswer?: (id: number, ok: boolean, json: string) => void
  onEvent?: (id: number, json: string) => void
}

export interface CallOptions {
  readonly signal?: AbortSignal | undefined
  /** Receives the call's events. */
  readonly onEvent?: ((value: never) => void) | undefined
  /**
   * What happens when the signal fires: `at once` the promise rejects with ABORTED; `when stopped` it settles when
   * the host has stopped, so that nobody writes any more.
   */
  readonly abort?: 'at once' | 'when stopped'
}

interface Waiting {
  resolve(json: string): void
  reject(error: SysError): void
  event(json: string): void
}

export class Wire {
  readonly #host: Host
  readonly #waiting = new Map<number, Waiting>()
  #last = 0

  constructor(host: Host) {
    this.#host = host
    host.onAnswer = (id, ok, json) => {
      const waiting = this.#waiting.get(id)
      this.#waiting.delete(id)
      if (ok) waiting?.resolve(json)
      else waiting?.reject(errorOf(json))
    }
    host.onEvent = (id, json) => this.#waiting.get(id)?.event(json)
  }

  /** One operation, one answer. Rejects with a `SysError`. */
  call<T>(op: string, args: object, options: CallOptions = {}): Promise<T> {
    const { signal, onEvent, abort = 'at once' } = options
    return new Promise<T>((resolve, reject) => {
      if (signal?.aborted) {
        reject(aborted(op))
        return
      }
      const id = this.#start(op, args, {
        resolve: (json) => {
          signal?.removeEventListener('abort', cancel)
          resolve(JSON.parse(json))
        },
        reject: (error) => {
          signal?.removeEventListener('abort', cancel)
          reject(error)
        },
        event: (json) => onEvent?.(parse(json)),
      })
      const cancel = () => {
        this.#host.cancel(id)
        if (abort === 'at once') reject(aborted(op))
      }
      signal?.addEventListener('abort', cancel, { once: true })
    })
  }

  /** A call that answers only when it is cancelled; its events, as they come. Opened now, not at the first `next`. */
  stream<W, T>(op: string, args: object, signal: AbortSignal, map: (wire: W) => T): Events<T> {
    return new Stream<W, T>(
      map,
      (waiting) => this.#start(op, args, waiting),
      (id) => this.#host.cancel(id),
      signal,
    )
  }

  #start(op: string, args: object, waiting: Waiting): number {
    this.#last += 1
    this.#waiting.set(this.#last, waiting)
    this.#host.call(this.#last, op, JSON.stringify(args))
    return this.#last
  }
}

type Next<T> = { resolve(result: IteratorResult<T, undefined>): void; reject(error: SysError): void }

class Stream<W, T> implements AsyncIterableIterator<T> {
  readonly #ready: T[] = []
  readonly #next: Next<T>[] = []
  readonly #cancel: () => void
  #ended = false
  #error: SysError | undefined

  constructor(
    map: (wire: W) => T,
    start: (waiting: Waiting) => number,
    cancel: (id: number) => void,
    signal: AbortSignal,
  ) {
    if (signal.aborted) {
      this.#cancel = () => {}
      this.#end(undefined)
      return
    }
    const stop = () => this.#cancel()
    const id = start({
      resolve: () => {
        signal.removeEventListener('abort', stop)
        this.#end(undefined)
      },
      reject: (error) => {
        signal.removeEventListener('abort', stop)
        this.#end(error.code === 'ABORTED' ? undefined : error)
      },
      event: (json) => {
        const wire: W = parse(json)
        this.#push(map(wire))
      },
    })
    this.#cancel = () => {
      cancel(id)
      this.#end(undefined)
    }
    signal.addEventListener('abort', stop, { once: true })
  }

  #push(value: T): void {
    if (this.#ended) return
    const next = this.#next.shift()
    if (next === undefined) this.#ready.push(value)
    else next.resolve({ done: false, value })
  }

  #end(error: SysError | undefined): void {
    if (this.#ended) return
    this.#ended = true
    for (const next of this.#next.splice(0)) {
      if (error === undefined) next.resolve({ done: true, value: undefined })
      else next.reject(error)
      error = undefined
    }
    this.#error = error
  }

  next(): Promise<IteratorResult<T, undefined>> {
    return new Promise((resolve, reject) => {
      const value = this.#ready.shift()
      if (value !== undefined) resolve({ done: false, value })
      else if (this.#error !== undefined) {
        reject(this.#error)
        this.#error = undefined
      } else if (this.#ended) resolve({ done: true, value: undefined })
      else this.#next.push({ resolve, reject })
    })
  }

  return(): Promise<IteratorResult<T, undefined>> {
    this.#cancel()
    this.#ready.length = 0
    return Promise.resolve({ done: true, value: undefined })
  }

  [Symbol.asyncIterator](): this {
    return this
  }
}

/** The host's word for the type. */
function parse<T>(json: string): T {
  return JSON.parse(json)
}

function errorOf(json: string): SysError {
  return new SysError(parse<SysErrorFields>(json))
}

function aborted(operation: string): SysError {
  return new SysError({ code: 'ABORTED', operation, subject: operation, message: 'given up' })
}
