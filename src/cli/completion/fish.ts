/** The completion of fish: a line for each option. */

import type { Completion, Positionals } from '../option-table.ts'
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
    ...argumentLines(name, description.positionals),
  ])
  return `# fish completion of diskless: diskless completion fish\n${lines.join('\n')}\n`
}

function argumentLines(name: string, positionals: Positionals | undefined): string[] {
  if (positionals === undefined) return []
  const { actions, complete } = positionals
  const seen = `__fish_seen_subcommand_from ${name}`
  if (actions === undefined) return [`complete -c diskless -n '${seen}' ${action(complete)}`]
  const chosen = `__fish_seen_subcommand_from ${actions.join(' ')}`
  return [
    `complete -c diskless -n '${seen}; and not ${chosen}' ${action(actions)}`,
    `complete -c diskless -n '${seen}; and ${chosen}' ${action(complete)}`,
  ]
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
