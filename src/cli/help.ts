/** A subcommand's help, made of its description. */

import { type Description, exitStatusesOf } from './command.ts'
import type { Option } from './option-table.ts'
import { allOptions } from './options.ts'

const WIDTH = 100
/** Where the explanation of an option begins. */
const COLUMN = 24

export function helpOf(description: Description): string {
  const { name, about, forms, notes = [], examples } = description
  const options = Object.entries(allOptions(description))
  return [
    ...wrap(`diskless ${name}: ${about}`, WIDTH),
    '',
    ...forms.map((form, index) => `${index === 0 ? 'Usage:' : '   or:'} diskless ${name} ${form}`.trimEnd()),
    '',
    ...options.flatMap(([option, facts]) => optionLines(option, facts)),
    ...notes.flatMap((note) => ['', ...wrap(note, WIDTH)]),
    '',
    'Examples:',
    ...examples.flatMap((example) => [`  ${example.about}`, `    ${example.command}`]),
    '',
    ...wrap(
      `Exit status: ${Object.entries(exitStatusesOf(description))
        .map(([status, meaning]) => `${status}, ${meaning}`)
        .join('; ')}.`,
      WIDTH,
    ),
    '',
  ].join('\n')
}

/** `--keys PLACE`, as in the help and in the man page. */
export function optionForm(option: string, { short, value }: Option): string {
  return `${short === undefined ? '' : `-${short}, `}--${option}${value === undefined ? '' : ` ${value}`}`
}

/** What it does; that it may be repeated is said here, for all. */
export function optionMeaning({ about, multiple }: Option): string {
  return multiple ? `${about}; may be repeated` : about
}

function optionLines(option: string, facts: Option): string[] {
  const form = `  ${optionForm(option, facts)}`
  const lines = optionMeaning(facts)
    .split('\n')
    .flatMap((line) => wrap(line, WIDTH - COLUMN))
    .map((line) => `${' '.repeat(COLUMN)}${line}`)
  if (form.length > COLUMN - 2) return [form, ...lines]
  const [first = '', ...rest] = lines
  return [`${form.padEnd(COLUMN)}${first.trimStart()}`, ...rest]
}

/** Breaks between words; a line's own indentation is kept for what follows from it. */
export function wrap(text: string, width: number): string[] {
  return text.split('\n').flatMap((line) => {
    const indentation = /^ */.exec(line)?.[0] ?? ''
    const lines: string[] = []
    let current = ''
    for (const word of line.trim().split(/ (?! )/)) {
      const longer = current === '' ? word : `${current} ${word}`
      if (current !== '' && indentation.length + longer.length > width) {
        lines.push(indentation + current)
        current = word
      } else current = longer
    }
    return [...lines, indentation + current]
  })
}
