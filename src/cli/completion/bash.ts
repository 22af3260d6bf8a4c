/** The completion of bash(1): a function with a case for each command. */

import type { Completion } from '../option-table.ts'
import { allOptions } from '../options.ts'
import { type Known, valueCompletion } from './known.ts'

export function bashCompletion(known: readonly Known[]): string {
  return `# bash completion of diskless: diskless completion bash
_diskless() {
  local word=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD-1]}
  COMPREPLY=()
  # bash makes words of --option=value at the =
  if [[ $word == = ]]; then word=
  elif [[ $before == = ]]; then before=\${COMP_WORDS[COMP_CWORD-2]}
  fi
  if ((COMP_CWORD == 1)); then
    ${reply([...known.map(({ name }) => name), '--help', '--version'])}
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
  const { actions, complete } = description.positionals ?? {}
  const options = Object.entries(allOptions(description))
  const values = options.flatMap(([option, facts]) => {
    if (facts.type === 'boolean') return []
    return [`        --${option}) ${reply(valueCompletion(facts))}; return ;;`]
  })
  const names = options.map(([option]) => `--${option}`).join(' ')
  const lines = [
    `    ${name})`,
    ...(values.length === 0 ? [] : ['      case $before in', ...values, '      esac']),
    ...(actions === undefined ? [] : [`      if ((COMP_CWORD == 2)); then ${reply(actions)}; return; fi`]),
    `      if [[ $word == -* ]]; then ${reply(names.split(' '))}; else ${reply(complete)}; fi ;;`,
  ]
  return lines.join('\n')
}

function reply(completion: Completion | undefined): string {
  if (completion === undefined) return ':'
  const wanted =
    completion === 'file' ? '-f' : completion === 'directory' ? '-d' : `-W '${completion.join(' ')}'`
  // A line each, as names have spaces in them.
  return `mapfile -t COMPREPLY < <(compgen ${wanted} -- "$word")`
}
