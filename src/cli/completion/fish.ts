/** The completion of fish: a line for each option. */

import type { Completion } from '../option-table.ts'
import { allOptions } from '../options.ts'
import { briefly, type Known, valueCompletion } from './known.ts'

export function fishCompletion(known: readonly Known[]): string {
  const names = known.map(({ name }) => name).join(' ')
  const lines = known.flatMap(({ name, about, description }) => [
    `complete -c diskless -f -n 'not __fish_seen_subcommand_from ${names}' -a ${name} -d ${quote(about)}`,
    ...Object.entries(allOptions(description)).map(([option, facts]) => {
      const short = facts.short === undefined ? '' : ` -s ${facts.short}`
      const value = facts.type === 'boolean' ? '' : ` -r ${action(valueCompletion(facts))}`
      return `complete -c diskless -n '__fish_seen_subcommand_from ${name}' -l ${option}${short}${value} -d ${quote(briefly(facts.about))}`
    }),
    ...(description.positionals === undefined
      ? []
      : [
          `complete -c diskless -n '__fish_seen_subcommand_from ${name}' ${action(description.positionals.complete)}`,
        ]),
  ])
  return `# fish completion of diskless: diskless completion fish\n${lines.join('\n')}\n`
}

function action(completion: Completion | undefined): string {
  if (completion === undefined) return '-f'
  if (completion === 'file') return '-F'
  if (completion === 'directory') return "-f -a '(__fish_complete_directories)'"
  return `-f -a ${quote(completion.join(' '))}`
}

function quote(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`
}
