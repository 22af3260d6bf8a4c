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
  const args = withoutShared(words)
  refuseMistakes(description, args, help)
  const { values, positionals } = parseArgs({ args, options, strict: true, allowPositionals: true })
  const [extra] = positionals.slice(wanted?.most ?? 0)
  if (extra !== undefined) throw new UsageError(`'${extra}' is one word too many`, help)
  if (positionals.length < (wanted?.least ?? 0)) throw new UsageError(`${wanted?.name} is missing`, help)
  const isPath = wanted?.complete === 'file' || wanted?.complete === 'directory'
  if (isPath && positionals.includes('')) {
    throw new UsageError(`${wanted.name} is empty: a variable of the shell that is not set?`, help)
  }
  return { values, positionals }
}

/** In the words of this command, where Node's own would be those of its parser. */
function refuseMistakes(description: Description, args: readonly string[], help: string): void {
  const options: OptionTable = description.options
  const { tokens } = parseArgs({
    args: [...args],
    options,
    strict: false,
    allowPositionals: true,
    tokens: true,
  })
  const given = new Set<string>()
  for (const token of tokens) {
    if (token.kind !== 'option') continue
    const { name, rawName, value } = token
    const option = Object.hasOwn(options, name) ? options[name] : undefined
    if (option === undefined) throw unknownOption(description, token, help)
    if (option.type === 'boolean') {
      if (value !== undefined) throw new UsageError(`${rawName} takes no value`, help)
      continue
    }
    const wish = option.value ?? 'VALUE'
    // `--kernel --out boot`: the value was forgotten, and is not '--out'.
    if (value === undefined || (!token.inlineValue && value.startsWith('-') && value !== '-')) {
      throw new UsageError(
        `${rawName} takes a value: ${rawName} ${wish}`,
        ...(value === undefined || hasOption(options, value)
          ? []
          : [`One that begins with a dash is written with =: ${rawName}=${value}`]),
        help,
      )
    }
    if (value === '' && isPath(option)) {
      throw new UsageError(`${rawName} is empty: a variable of the shell that is not set?`, help)
    }
    if (given.has(name) && option.multiple !== true) {
      throw new UsageError(`${rawName} is given twice, and has one value only`, help)
    }
    given.add(name)
  }
}

function unknownOption(
  description: Description,
  {
    name,
    rawName,
    value,
  }: { readonly name: string; readonly rawName: string; readonly value?: string | undefined },
  help: string,
): UsageError {
  const known = Object.keys(allOptions(description))
  if (value !== undefined && Object.hasOwn(sharedOptions, name))
    return new UsageError(`${rawName} takes no value`, help)
  const near = rawName.startsWith('--') ? closest(name, known) : undefined
  return new UsageError(
    `there is no option '${rawName}'`,
    ...(near === undefined ? [] : [`Did you mean '--${near}'?`]),
    help,
  )
}

function hasOption(options: OptionTable, word: string): boolean {
  return word.startsWith('--') && Object.hasOwn(options, word.slice(2))
}

/** Whether its value names something on the disk, so that an empty one would be this directory. */
function isPath({ complete, value }: Option): boolean {
  return complete === 'file' || complete === 'directory' || value === 'FILE' || value === 'DIR'
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

/** Whether a word is this shared option. */
export function isShared(word: string, name: keyof typeof sharedOptions): boolean {
  const option: Option = sharedOptions[name]
  return word === `--${name}` || (option.short !== undefined && word === `-${option.short}`)
}
