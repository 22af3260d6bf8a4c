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
  /** The exit status is its answer. */
  readonly question?: Question
  /** Paragraphs below the options. */
  readonly notes?: readonly string[]
  /** At least one: people copy them. */
  readonly examples: readonly Example[]
}

/** Asked by a script, which has to tell "no" from "nobody knows": the latter is status 3, as all trouble on the way to an answer. */
export interface Question {
  /** An option or a first word that makes a question of the command, `--check` or `diff`; undefined: it always is one. */
  readonly when?: string
  /** What status 1 says. */
  readonly no: string
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

/** A question that got no answer, for the `cause`: status 3. */
export class Unanswered extends Error {
  override readonly name = 'Unanswered'

  constructor(cause: unknown) {
    super(cause instanceof Error ? cause.message : String(cause), { cause })
  }
}

/** Of what a command was ended by. */
export function statusOf(thrown: unknown): number {
  return thrown instanceof Unanswered ? 3 : thrown instanceof UsageError ? 2 : 1
}

/** What the shell is told, by all commands; in the man page. */
export const exitStatuses: Readonly<Record<number, string>> = {
  0: 'it is done; of a question: all is well, nothing differs',
  1: 'it did not work; of a question: the answer is no',
  2: 'the command line is wrong: nothing was done',
  3: 'a question could not be answered: a file is missing or damaged, a port is taken. The message says why and what to do',
}

/** The same, of one command. */
export function exitStatusesOf({
  question,
}: Pick<Description, 'question'>): Readonly<Record<number, string>> {
  const wrong = 'the command line is wrong'
  if (question === undefined) return { 0: 'it is done', 1: 'it did not work', 2: wrong }
  const { when, no } = question
  return when === undefined
    ? { 0: 'all is well', 1: no, 2: wrong, 3: 'that could not be told' }
    : {
        0: 'it is done',
        1: `it did not work, or with ${when}: ${no}`,
        2: wrong,
        3: `with ${when}: that could not be told`,
      }
}
