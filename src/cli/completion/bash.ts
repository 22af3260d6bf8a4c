/** The completion of bash(1): a function with a case for each command. */

import type { Completion } from '../option-table.ts'
import { allOptions } from '../options.ts'
import { type Known, valueCompletion } from './known.ts'

export function bashCompletion(known: readonly Known[]): string {
  return `# bash completion of diskless: diskless completion bash
_diskless() {
  local word=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD-1]}
  COMPREPLY=()
  if ((COMP_CWORD == 1)); then
    COMPREPLY=($(compgen -W '${known.map(({ name }) => name).join(' ')} --help --version' -- "$word"))
    return
  fi
  case \${COMP_WORDS[1]} in
${known.map(commandCase).join('\n')}
  esac
}
complete -o filenames -F _diskless diskless
`
}

function commandCase({ name, description }: Known): string {
  const options = Object.entries(allOptions(description))
  const values = options.flatMap(([option, facts]) => {
    if (facts.type === 'boolean') return []
    return [`        --${option}) ${reply(valueCompletion(facts))}; return ;;`]
  })
  const names = options.map(([option]) => `--${option}`).join(' ')
  const lines = [
    `    ${name})`,
    ...(values.length === 0 ? [] : ['      case $before in', ...values, '      esac']),
    `      if [[ $word == -* ]]; then ${reply(names.split(' '))}; else ${reply(description.positionals?.complete)}; fi ;;`,
  ]
  return lines.join('\n')
}

function reply(completion: Completion | undefined): string {
  if (completion === undefined) return ':'
  if (completion === 'file') return 'COMPREPLY=($(compgen -f -- "$word"))'
  if (completion === 'directory') return 'COMPREPLY=($(compgen -d -- "$word"))'
  return `COMPREPLY=($(compgen -W '${completion.join(' ')}' -- "$word"))`
}
