/** The completion of zsh: _arguments for each command. */

import type { Completion } from '../option-table.ts'
import { allOptions } from '../options.ts'
import { briefly, type Known, valueCompletion } from './known.ts'

export function zshCompletion(known: readonly Known[]): string {
  return `#compdef diskless
# zsh completion of diskless: diskless completion zsh
_diskless() {
  local state line
  local -a commands
  commands=(
${known.map(({ name, about }) => `    ${quote(`${name}:${about}`)}`).join('\n')}
  )
  _arguments -C '1:command:->command' '*::argument:->argument'
  case $state in
    command) _describe command commands ;;
    argument)
      case $line[1] in
${known.map(commandCase).join('\n')}
      esac ;;
  esac
}
_diskless "$@"
`
}

function commandCase({ name, description }: Known): string {
  const { positionals } = description
  const specs = Object.entries(allOptions(description)).map(([option, facts]) => {
    const value =
      facts.type === 'boolean' ? '' : `:${facts.value ?? 'value'}:${action(valueCompletion(facts))}`
    const about = briefly(facts.about).replaceAll(/[[\]:]/g, '\\$&')
    return quote(`${facts.multiple ? '*' : ''}--${option}[${about}]${value.replaceAll('|', ' or ')}`)
  })
  if (positionals?.actions !== undefined) specs.push(quote(`1:what to do:(${positionals.actions.join(' ')})`))
  if (positionals !== undefined) specs.push(quote(`*:${positionals.name}:${action(positionals.complete)}`))
  return `        ${name}) _arguments ${specs.join(' ')} ;;`
}

function action(completion: Completion | undefined): string {
  if (completion === undefined) return ' '
  if (completion === 'file') return '_files'
  if (completion === 'directory') return '_files -/'
  return `(${completion.join(' ')})`
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`
}
