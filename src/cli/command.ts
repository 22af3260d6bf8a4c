/** What a subcommand of diskless is: one description, from which its options are read and its help, completion and man page made. */

import type { OptionTable, Positionals, Values } from './option-table.ts'
import type { Output } from './output.ts'

/** What can be told of a subcommand without running it. */
export interface Description<T extends OptionTable = OptionTable> {
  readonly name: string
  /** One line: what it does. */
  readonly about: string
  /** What comes after the name, one line a form: `DIR [OPTIONS]`. */
  readonly forms: readonly string[]
  /** In the order of the help. `json`, `quiet` and `help` are added to each. */
  readonly options: T
  readonly positionals?: Positionals
  /** Paragraphs below the options. */
  readonly notes?: readonly string[]
  /** At least one: people copy them. */
  readonly examples: readonly Example[]
}

export interface Example {
  /** As it is typed, `diskless` included. */
  readonly command: string
  readonly about: string
}

export interface Specification<T extends OptionTable> extends Description<T> {
  /** Resolves with the exit status. */
  run(request: Request<T>, output: Output): Promise<number>
}

export interface Request<T extends OptionTable> {
  readonly values: Values<T>
  readonly positionals: readonly string[]
}

/** A subcommand whose options nobody outside needs to know by type. */
export interface Command {
  readonly description: Description
  run(words: readonly string[]): Promise<number>
}

/** A line of the list of commands; what it is about is told without loading it. */
export interface Entry {
  /** One line for the list of commands. */
  readonly about: string
  load(): Promise<Command>
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

/** What the shell is told; in every help and in the man page. */
export const exitStatuses: Readonly<Record<number, string>> = {
  0: 'it is done, or all is well',
  1: 'it did not work, or what was asked for differs or fails: the message says why and what to do',
  2: 'the command line is wrong: nothing was done',
}
