/** What a subcommand of diskless is. */

export interface Command {
  /** One line for the list of commands. */
  readonly about: string
  readonly usage: string
  /** Resolves with the exit status. */
  run(words: readonly string[]): Promise<number>
}

/** The command line is at fault: status 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
  readonly advice: readonly string[]

  constructor(message: string, ...advice: string[]) {
    super(message)
    this.advice = advice
  }
}
