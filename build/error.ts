/** Why a command could not do it, for the person who ran it: what was tried, what came back, what to do. */

export class CommandError extends Error {
  override readonly name = 'CommandError'
  readonly advice: readonly string[]

  constructor(message: string, options: { cause?: unknown; advice?: readonly string[] } = {}) {
    super(message, options.cause === undefined ? {} : { cause: options.cause })
    this.advice = options.advice ?? []
  }
}

/** The errno name of a failed Node call, if it has one. */
export function errnoOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}
