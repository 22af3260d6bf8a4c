/** All that can be told of a command line without asking anybody: the data of `diskless explain`. */

import { parseCommandLine } from '../../boot/command-line.ts'
import { type BootPlan, makePlan } from '../../boot/plan.ts'
import { readSettings } from '../../boot/settings.ts'
import { BootError, chainOf } from '../../sys/index.ts'
import { clean } from '../inspect/bytes.ts'
import { type Difference, generalDifferences, parameterDifferences } from './alpine.ts'
import { identityOf, type MachineFacts } from './facts.ts'
import { type Finding, findingsOf } from './findings.ts'
import type { Step } from './step.ts'
import { tellFailure, tellStory } from './story.ts'
import { factsOfWords, givenParameters, type WordFacts } from './words.ts'

export interface Explanation {
  readonly words: readonly WordFacts[]
  /** Why init would refuse to boot with it. */
  readonly refused: { readonly why: string; readonly advice: readonly string[] } | undefined
  readonly plan: BootPlan | undefined
  readonly steps: readonly Step[]
  readonly onFailure: Step | undefined
  /** Of the machine, of the initrd, of what contradicts itself. */
  readonly findings: readonly Finding[]
  readonly alpine: readonly Difference[]
}

export function explainCommandLine(text: string, machine: MachineFacts): Explanation {
  // A line's end, as in /proc/cmdline, is a space; what a terminal would obey is not shown to one.
  const line = parseCommandLine(clean(text.replace(/\s/g, ' ')))
  const settings = readSettings(line)
  const words = factsOfWords(line, settings)
  const differences = parameterDifferences(settings, givenParameters(line))
  try {
    const plan = makePlan(line, identityOf(machine))
    return {
      words,
      refused: undefined,
      plan,
      steps: tellStory(plan, settings, machine),
      onFailure: tellFailure(plan, settings),
      findings: findingsOf(plan, settings, machine),
      alpine: [...differences, ...generalDifferences(plan, settings)],
    }
  } catch (error) {
    if (!(error instanceof BootError)) throw error
    return {
      words,
      refused: { why: chainOf(error).join(': '), advice: error.advice },
      plan: undefined,
      steps: [],
      onFailure: undefined,
      findings: [],
      alpine: differences,
    }
  }
}
