/**
 * What QuickJS lacks of the globals that we use: AbortController and AbortSignal (WHATWG DOM), as far as we use
 * them, and console.log. Nothing is replaced where the engine has it. Import it before anything else.
 */

type AbortListener = () => void

class Signal {
  #aborted = false
  #reason: unknown
  readonly #listeners = new Map<AbortListener, boolean>()

  get aborted(): boolean {
    return this.#aborted
  }

  get reason(): unknown {
    return this.#reason
  }

  addEventListener(_type: 'abort', listener: AbortListener, options?: { readonly once?: boolean }): void {
    if (!this.#listeners.has(listener)) this.#listeners.set(listener, options?.once ?? false)
  }

  removeEventListener(_type: 'abort', listener: AbortListener): void {
    this.#listeners.delete(listener)
  }

  throwIfAborted(): void {
    if (this.#aborted) throw this.#reason
  }

  /** For controllers only. */
  fire(reason: unknown): void {
    if (this.#aborted) return
    this.#aborted = true
    this.#reason = reason ?? abortError()
    const listeners = [...this.#listeners.keys()]
    this.#listeners.clear()
    for (const listener of listeners) listener()
  }

  static abort(reason?: unknown): Signal {
    const signal = new Signal()
    signal.fire(reason)
    return signal
  }

  static any(signals: Iterable<Signal>): Signal {
    const all = [...signals]
    const any = new Signal()
    const already = all.find((signal) => signal.aborted)
    if (already !== undefined) {
      any.fire(already.reason)
      return any
    }
    const listeners = new Map<Signal, AbortListener>()
    for (const signal of all) {
      listeners.set(signal, () => {
        for (const [other, listener] of listeners) other.removeEventListener('abort', listener)
        any.fire(signal.reason)
      })
    }
    for (const [signal, listener] of listeners) signal.addEventListener('abort', listener)
    return any
  }
}

class Controller {
  readonly signal = new Signal()

  abort(reason?: unknown): void {
    this.signal.fire(reason)
  }
}

function abortError(): Error {
  const error = new Error('This operation was aborted')
  error.name = 'AbortError'
  return error
}

/** The classes themselves, for tests: Node has its own. */
export const polyfills = { AbortController: Controller, AbortSignal: Signal }

/** Defines what is missing. `log` writes a line for who debugs init. */
export function polyfill(global: object, log: (text: string) => void): void {
  const write = (...values: unknown[]) => log(values.map(String).join(' '))
  const all = { ...polyfills, console: { log: write, warn: write, error: write } }
  for (const [name, value] of Object.entries(all)) {
    if (!(name in global)) Object.defineProperty(global, name, { value, writable: true, configurable: true })
  }
}
