/** Each word of a command line: whose it is, and what was probably meant by one that is nobody's. */

import type { CommandLine } from '../../boot/command-line.ts'
import { type Parameter, type ParameterName, parameters } from '../../boot/parameters.ts'
import { parameterOf, type Settings } from '../../boot/settings.ts'
import { showValue } from './step.ts'

export interface WordFacts {
  /** As it was written, passwords left out. */
  readonly word: string
  readonly parameter: ParameterName | undefined
  readonly state:
    | 'obeyed'
    /** Given again later: this one does not count. */
    | 'overridden'
    /** Known, and nothing of init’s to do. */
    | 'passed'
    | 'refused'
    | 'unknown'
  /** Where it comes from, or why it is refused or passed, or what was meant. */
  readonly note: string
}

export function factsOfWords(line: CommandLine, settings: Settings): readonly WordFacts[] {
  const last = new Map<string, number>()
  for (const [n, word] of line.words.entries()) {
    const known = parameterOf(word)
    if (known !== undefined) last.set(known.name, n)
  }
  return line.words.map((word, n): WordFacts => {
    const { name, value } = word
    const shown = value === undefined ? name : `${name}=${quoted(showValue(value))}`
    const known = parameterOf(word)
    if (known === undefined) {
      const typo = settings.typos.find(({ typed }) => typed === name)
      const note =
        typo === undefined
          ? 'left to the kernel and the new system'
          : typo.meant === undefined
            ? 'no parameter of diskless'
            : `did you mean ${typo.meant}${value === undefined ? '' : '='}?`
      return { word: shown, parameter: undefined, state: typo === undefined ? 'passed' : 'unknown', note }
    }
    const parameter: Parameter = parameters[known.name]
    const common = { word: shown, parameter: known.name }
    const { verdict } = parameter
    if (typeof verdict === 'object' && 'refused' in verdict) {
      return known.value === 'no'
        ? { ...common, state: 'passed', note: 'asks for nothing' }
        : { ...common, state: 'refused', note: verdict.refused }
    }
    if (typeof verdict === 'object') return { ...common, state: 'passed', note: verdict.passed }
    const counts = parameter.repeated === true || last.get(known.name) === n
    return counts
      ? { ...common, state: 'obeyed', note: origins[parameter.origin] }
      : { ...common, state: 'overridden', note: 'it is given again, and the last one counts' }
  })
}

const origins = {
  alpine: 'Alpine’s',
  'alpine, dropped since': 'Alpine’s, which has dropped it since',
  kernel: 'the kernel’s',
  openrc: 'OpenRC’s',
  dracut: 'dracut’s',
  gentoo: 'Gentoo’s',
  diskless: 'diskless’ own',
} as const

function quoted(text: string): string {
  return /\s/.test(text) ? `"${text}"` : text
}

/** Those of ours that are given, in the order of the command line. */
export function givenParameters(line: CommandLine): readonly ParameterName[] {
  return [...new Set(line.words.flatMap((word) => parameterOf(word)?.name ?? []))]
}
