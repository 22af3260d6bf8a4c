/** Reads the options of a subcommand by its table, with a did-you-mean. */

import { parseArgs } from 'node:util'
import { closest } from '../boot/closest.ts'
import { type Description, type Request, UsageError } from './command.ts'
import type { Option, OptionTable } from './option-table.ts'

/** What every subcommand takes besides its own. */
export const sharedOptions = {
  json: {
    type: 'boolean',
    about: 'the result as JSON on standard output; an error as JSON on standard error',
  },
  quiet: { type: 'boolean', short: 'q', about: 'no word of what is going on: the result and errors alone' },
  help: { type: 'boolean', short: 'h', about: 'this text' },
} as const satisfies OptionTable

export function allOptions(description: Description): OptionTable {
  return { ...description.options, ...sharedOptions }
}

/** Throws a `UsageError`. */
export function readOptions<T extends OptionTable>(
  description: Description<T>,
  words: readonly string[],
): Request<T> {
  const { name, options, positionals: wanted } = description
  const help = `'diskless ${name} --help' lists the options.`
  try {
    const args = withoutShared(words)
    const { values, positionals } = parseArgs({ args, options, strict: true, allowPositionals: true })
    const [extra] = positionals.slice(wanted?.most ?? 0)
    if (extra !== undefined) throw new UsageError(`'${extra}' is one word too many`, help)
    if (positionals.length < (wanted?.least ?? 0)) throw new UsageError(`${wanted?.name} is missing`, help)
    return { values, positionals }
  } catch (error) {
    if (error instanceof UsageError) throw error
    // Node's own words name the option; only the did-you-mean is added.
    const message = error instanceof Error ? (error.message.split('. ')[0] ?? error.message) : String(error)
    const typed = /'--([^' =]+)/.exec(message)?.[1]
    const known = Object.keys(allOptions(description))
    const near = typed === undefined || known.includes(typed) ? undefined : closest(typed, known)
    throw new UsageError(message, ...(near === undefined ? [] : [`Did you mean '--${near}'?`]), help)
  }
}

/** Whether one of the shared options is among the words: they may stand anywhere before `--`. */
export function hasShared(words: readonly string[], option: keyof typeof sharedOptions): boolean {
  return optionWords(words).some((word) => isShared(word, option))
}

function withoutShared(words: readonly string[]): string[] {
  const options = optionWords(words)
  const names = ['json', 'quiet', 'help'] as const
  return [
    ...options.filter((word) => !names.some((name) => isShared(word, name))),
    ...words.slice(options.length),
  ]
}

function optionWords(words: readonly string[]): readonly string[] {
  const end = words.indexOf('--')
  return end === -1 ? words : words.slice(0, end)
}

function isShared(word: string, name: keyof typeof sharedOptions): boolean {
  const option: Option = sharedOptions[name]
  return word === `--${name}` || (option.short !== undefined && word === `-${option.short}`)
}
