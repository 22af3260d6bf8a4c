/** Makes a runnable subcommand of its description. */

import type { Command, Specification } from './command.ts'
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
      return specification.run(
        request,
        openOutput({ json: hasShared(words, 'json'), quiet: hasShared(words, 'quiet') }),
      )
    },
  }
}
