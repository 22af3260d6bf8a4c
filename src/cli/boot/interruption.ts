/** The signals that end the command: it is told once, and what it has begun is put away before it ends. */

/** As shells have a command's status: 128 and the signal's number. */
const statuses = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129, SIGQUIT: 131 } as const

export interface Interruption {
  /** Resolves with the command's status. */
  readonly happened: Promise<number>
  /** The status, once it has happened. */
  readonly status: number | undefined
  /** For what can be broken off. */
  readonly signal: AbortSignal
  /** Until then further signals change nothing: whoever is impatient leaves nothing behind either. */
  ignore(): void
}

export function listenForSignals(): Interruption {
  const controller = new AbortController()
  const listeners = new Map<string, () => void>()
  let first: number | undefined
  const happened = new Promise<number>((resolve) => {
    for (const [signal, status] of Object.entries(statuses)) {
      listeners.set(signal, () => {
        first ??= status
        controller.abort()
        resolve(status)
      })
    }
  })
  for (const [signal, listener] of listeners) process.on(signal, listener)
  return {
    happened,
    signal: controller.signal,
    get status() {
      return first
    },
    ignore() {
      for (const [signal, listener] of listeners) process.off(signal, listener)
    },
  }
}
