/** An explanation, for a person. */

import { showCount } from '../../boot/format.ts'
import type { Output } from '../output.ts'
import { type Part, printSheet, type Section, type Sheet } from '../sheet.ts'
import type { Check } from './check.ts'
import type { Explanation } from './explanation.ts'
import type { MachineFacts } from './facts.ts'
import { type Step, showReason } from './step.ts'
import type { WordFacts } from './words.ts'

export function explanationSheet(
  { words, refused, steps, onFailure, findings, alpine }: Explanation,
  checks: readonly Check[] | undefined,
  machine: MachineFacts,
  output: Pick<Output, 'style'>,
): Sheet {
  const asks = steps.flatMap((step) => step.asks)
  return {
    title: titleOf(refused, steps),
    sections: [
      { parts: [machineFacts(machine)] },
      { title: 'The command line', parts: [wordTable(words, output)] },
      {
        title: 'It stops before anything is done',
        parts: [
          { kind: 'notes', tone: 'fail', lines: refused === undefined ? [] : [refused.why] },
          { kind: 'notes', tone: 'plain', lines: refused?.advice ?? [] },
        ],
      },
      { title: 'What happens', parts: [stepFacts(onFailure === undefined ? steps : [...steps, onFailure])] },
      {
        title: 'Who is asked for what',
        parts: [
          {
            kind: 'table',
            columns: [{ title: '' }, { title: '' }],
            rows: merged(asks).map(({ whom, what }) => [whom, what]),
          },
        ],
      },
      {
        title: 'What to look at',
        parts: [
          ...(['fails', 'doubt', 'good'] as const).map(
            (state): Part => ({
              kind: 'notes',
              tone: ({ fails: 'fail', doubt: 'bad', good: 'good' } as const)[state],
              lines: findings.filter((finding) => finding.state === state).map(({ text }) => text),
            }),
          ),
        ],
      },
      {
        title: 'What Alpine’s own init would do otherwise',
        parts: [{ kind: 'facts', rows: alpine.map(({ about, alpine: says }) => [about, says] as const) }],
      },
      ...checkSections(checks),
    ],
  }
}

function titleOf(refused: Explanation['refused'], steps: readonly Step[]): string {
  if (refused !== undefined) return 'This command line is refused'
  const root = steps.some(({ phase }) => phase === 'packages')
    ? 'a system in RAM, installed from packages'
    : 'a system that is installed already'
  return `This command line boots ${root}`
}

function machineFacts({ mac, uuid, cards, memory, architecture, initrd }: MachineFacts): Part {
  return {
    kind: 'facts',
    rows: [
      [
        'machine',
        `MAC ${mac ?? 'not told (--mac)'}, UUID ${uuid ?? 'not told (--uuid)'}, ${architecture}${memory === undefined ? '' : `, ${Math.round(memory / 2 ** 20)} MiB`}`,
      ],
      ...(cards.length === 0 ? [] : [['cards', ...cards] as const]),
      [
        'initrd',
        initrd === undefined
          ? 'not given (--initrd): its keys, modules and certificates are not looked at'
          : `${initrd.path}, Linux ${initrd.kernel ?? 'unknown'}, ${showCount(initrd.modules.size, 'module')}, ${showCount(initrd.keys.size, 'key')}`,
      ],
    ],
  }
}

const signs = { obeyed: '✓', overridden: '-', passed: ' ', refused: '✗', unknown: '?' } as const
const widestWord = 52

function wordTable(words: readonly WordFacts[], { style }: Pick<Output, 'style'>): Part {
  const rows = words.map(({ word, state, note }) => {
    const shown = word.length > widestWord ? `${word.slice(0, widestWord - 1)}…` : word
    const colour =
      state === 'refused' ? 'red' : state === 'unknown' ? 'yellow' : state === 'obeyed' ? 'green' : 'dim'
    return [style(colour, signs[state]), shown, note]
  })
  return { kind: 'table', columns: [{ title: '' }, { title: '' }, { title: '', wraps: true }], rows }
}

function stepFacts(steps: readonly Step[]): Part {
  return {
    kind: 'facts',
    rows: steps.map(({ phase, says, because, after }) => {
      const order = after.length === 0 ? [] : [`after ${after.join(', ')}`]
      const why = [...because.map(showReason), ...order].join('; ')
      return [phase, ...says, ...(why === '' ? [] : [{ text: `(${why})`, style: 'dim' } as const])]
    }),
  }
}

function merged(asks: Step['asks']): Step['asks'] {
  const whats = new Map<string, string[]>()
  for (const { whom, what } of asks) whats.set(whom, [...new Set([...(whats.get(whom) ?? []), what])])
  return [...whats].map(([whom, what]) => ({ whom, what: what.join('; ') }))
}

function checkSections(checks: readonly Check[] | undefined): readonly Section[] {
  if (checks === undefined) return []
  const failed = checks.filter(({ state }) => state === 'fails').length
  return [
    {
      title:
        failed === 0
          ? 'Asked just now: all that could be asked is fine'
          : `Asked just now: ${showCount(failed, 'thing')} would fail`,
      parts: checks.map(({ state, what, says }): Part => {
        const tone = ({ fine: 'good', fails: 'fail', unknown: 'plain' } as const)[state]
        return { kind: 'notes', tone, lines: [[what, ...says].join('\n  ')] }
      }),
    },
  ]
}

export function printExplanation(sheet: Sheet, output: Pick<Output, 'style' | 'width'>): string {
  return printSheet(sheet, output)
}
