/** Why a machine could not be switched on, and what to do. */
export class SwitchOnError extends Error {
  override readonly name = 'SwitchOnError'
  readonly advice: readonly string[]

  constructor(
    message: string,
    options: { readonly cause?: unknown; readonly advice?: readonly string[] } = {},
  ) {
    super(message, options.cause === undefined ? {} : { cause: options.cause })
    this.advice = options.advice ?? []
  }
}
