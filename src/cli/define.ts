/** Makes a runnable subcommand of its description. */

import { type Command, type Description, type Specification, Unanswered, UsageError } from './command.ts'
import { helpOf } from './help.ts'
import type { OptionTable } from './option-table.ts'
import { hasShared, readOptions } from './options.ts'
import { openOutput } from './output.ts'

export function defineCommand<const T extends OptionTable>(specification: Specification<T>): Command {
  return {
    description: specification,
    async run(words) {
      if (hasShared(words, 'help')) {
        process.stdout.write(helpOf(specification))
        return 0
      }
      const request = readOptions(specification, words)
      const output = openOutput({ json: hasShared(words, 'json'), quiet: hasShared(words, 'quiet') })
      if (!isAsked(specification, request)) return specification.run(request, output)
      try {
        return await specification.run(request, output)
      } catch (error) {
        throw error instanceof UsageError ? error : new Unanswered(error)
      }
    },
  }
}

function isAsked(
  { question }: Description,
  { values, positionals }: { readonly values: object; readonly positionals: readonly string[] },
): boolean {
  const when = question?.when
  if (question === undefined || when === undefined) return question !== undefined
  return when.startsWith('--') ? Object.hasOwn(values, when.slice(2)) : positionals[0] === when
}
