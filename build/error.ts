/** What went wrong while building, for the person who ran the command: what was tried, why not, what to do. */

export class BuildError extends Error {
  override readonly name = 'BuildError'
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
