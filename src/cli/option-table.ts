/** What the options of a subcommand are: a table, from which they are read, explained and completed. */

import type { parseArgs } from 'node:util'

export interface Option {
  readonly type: 'string' | 'boolean'
  /** May be given several times. */
  readonly multiple?: true
  /** One letter. */
  readonly short?: string
  /** How the help calls its value: `FILE`. */
  readonly value?: string
  /** For the help; line breaks are kept, long lines are wrapped. */
  readonly about: string
  /** What a shell offers for its value; a value called FILE or DIR is completed as such by itself. */
  readonly complete?: Completion
}

export type OptionTable = Readonly<Record<string, Option>>

export type Completion = 'file' | 'directory' | readonly string[]

/** The words that are no options. */
export interface Positionals {
  /** How the help calls one: `FILE`. */
  readonly name: string
  readonly least: number
  readonly most: number
  /** What the first one may be, where it says what is to be done. */
  readonly actions?: readonly string[]
  readonly complete?: Completion
}

export type Values<T extends OptionTable> = ReturnType<
  typeof parseArgs<{ options: T; strict: true; allowPositionals: true }>
>['values']
