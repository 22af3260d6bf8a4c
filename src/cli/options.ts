/** The options of a subcommand, with a did-you-mean for a mistyped one. */

import { type ParseArgsConfig, parseArgs } from 'node:util'
import { closest } from '../boot/closest.ts'
import { UsageError } from './command.ts'

type Options = NonNullable<ParseArgsConfig['options']>

/** `help`: where to read on. Throws a `UsageError`. */
export function readOptions<T extends Options>(words: readonly string[], options: T, help: string) {
  try {
    return parseArgs({ args: [...words], options, strict: true, allowPositionals: false }).values
  } catch (error) {
    // Node's own words name the option; only the did-you-mean is added.
    const message = error instanceof Error ? (error.message.split('. ')[0] ?? error.message) : String(error)
    const typed = /'--([^' ]+)/.exec(message)?.[1]
    const near = typed === undefined || typed in options ? undefined : closest(typed, Object.keys(options))
    throw new UsageError(message, ...(near === undefined ? [] : [`Did you mean '--${near}'?`]), help)
  }
}
