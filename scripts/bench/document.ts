/** What the documents say of the bench's last results: all of it in docs/bench.md, the gist in the README. */

import type { Results } from './results.ts'
import type { Row } from './row.ts'
import { digits } from './statistics.ts'
import { phaseTable, quantity, type Standing, standings, table } from './table.ts'

export function benchDocument({ date, machine, rows }: Results): string {
  const phases = phaseTable(rows)
  return `${[
    '# Bench',
    '',
    '<!-- Written by scripts/docs.ts from docs/bench.json, which "npm run bench" writes: run that. -->',
    '',
    `${date}, ${machine}.`,
    '',
    'Times are the guest’s own, from the start of /init to that of the new init, by the kernel’s log. The subjects of a row are',
    'measured in turn, on the same kernel, servers and machine. The clock of the guests counts instructions, and while a guest',
    'waits it goes with ours: what is computed takes the same time however busy the bench’s machine is, and what is waited for,',
    'a server or a fixed sleep, takes its real time. `--clock tcg` measures by QEMU’s usual clock. The floor is busybox with',
    'exactly the modules needed, one after the other: nothing detected, nothing tried again, no error handled, nothing above',
    'the root that could be written to. The peers are Debian’s, each initrd made by its own program in a tree of its own',
    '(scripts/bench/peers.ts has the options).',
    '',
    table(rows),
    ...(phases === '' ? [] : ['', '## Where our time goes', '', phasesText, '', phases]),
  ].join('\n')}\n`
}

const phasesText =
  'Medians. Phases overlap: drivers are loaded while a lease is asked for. What is before the first phase and after the last\n' +
  'is PID 1’s: the start of the engine, and the change of root.'

/** A line a row: ours, the floor, the peers. */
export function benchSummary({ rows }: Results): string {
  const lines = rows.flatMap((row) => {
    const [ours, ...others] = standings(row)
    if (ours?.spread === undefined) return []
    const floor = others.filter(({ isFloor }) => isFloor)
    const peers = others.filter(({ isFloor }) => !isFloor)
    const cells = [
      row.title,
      `**${quantity(ours.spread.median, row.unit)}**`,
      tell(row, floor),
      tell(row, peers),
    ]
    return [`| ${cells.join(' | ')} |`]
  })
  return [
    '![Bars: diskless beside the floor and its peers](docs/bench.svg)',
    '',
    '| | diskless | floor | peers |',
    '|---|---|---|---|',
    ...lines,
    '',
    'Medians of `npm run bench`, on emulated machines; in brackets, how many times ours. [All figures](docs/bench.md).',
  ].join('\n')
}

function tell({ unit }: Row, standing: readonly Standing[]): string {
  return standing
    .map(({ isFloor, name, ratio, spread }) => {
      const who = isFloor ? '' : `${name} `
      if (spread === undefined) return `${who}none`
      const times = ratio === undefined || ratio === 0 ? '' : ` (${digits(1 / ratio)})`
      return `${who}${quantity(spread.median, unit)}${times}`
    })
    .join(', ')
}
