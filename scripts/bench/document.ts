/** What the documents say of the bench's last results: all of it in docs/bench.md, the gist in the README. */

import type { Results } from './results.ts'
import type { Row } from './row.ts'
import { digits } from './statistics.ts'
import { isByUsualClock, partTables, quantity, type Standing, standings, table } from './table.ts'
import { usualWorld } from './world.ts'

export function benchDocument({ date, machine, rows }: Results): string {
  const parts = partTables(rows)
  return `${[
    '# Bench',
    '',
    '<!-- Written by scripts/docs.ts from docs/bench.json, which "npm run bench" writes: run that. -->',
    '',
    `${date}, ${machine}.`,
    '',
    text,
    '',
    table(rows),
    ...(parts.length === 0 ? [] : ['', '## Where our time goes', '', partsText]),
    ...parts.flatMap((part) => ['', part]),
  ].join('\n')}\n`
}

const worldText = `${usualWorld.slice(0, -1).join(', ')} and ${usualWorld.at(-1)}`

const text = `Times are the guest’s own, from the start of /init to that of the new init, by the kernel’s log, on the same kernel, servers
and machine. The clock of the guests counts instructions, and while a guest waits it goes with ours: what is computed takes
the same time however busy the bench’s machine is, and what is waited for, a server or a fixed sleep, takes its real time.
So it makes no difference what else is measured meanwhile, and whoever has not changed (by a digest of the initrd and the
kernel command line) keeps the figures of an earlier run: a round is a boot of each, not always in the same hour. The spreads
say whether that holds.

That clock lets two processors take turns. Rows on two are by TCG’s own clock, and those that say “natively” by this
machine’s: their subjects are measured in turn in one run, and all of them anew when one has changed. \`--clock tcg\`
measures the boots by TCG’s clock, too.

The floor is busybox with exactly the modules needed, one after the other: nothing detected, nothing tried again, no error
handled, nothing above the root that could be written to. The peers are Debian’s, each initrd made by its own program in a
tree of its own (scripts/bench/peers.ts has the options). “Alpine’s own init” is mkinitfs’ for the same kernel, with Alpine’s
busybox and apk; its wait are the five seconds without a uevent after which its search for media ends on every netboot.
Packages are ${worldText} with what they need: 47 of Alpine 3.19, 23 MB.`

const partsText =
  'Medians. Phases overlap: drivers are loaded while a lease is asked for. What is before the first phase and after the last\n' +
  'is PID 1’s: the start of the engine, and the change of root.'

/** A line a row: ours, the floor, the peers. */
export function benchSummary({ rows }: Results): string {
  const lines = rows.filter(isByUsualClock).flatMap((row) => {
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
    'Medians of `npm run bench`, on emulated machines where it does not say natively; in brackets, how many times ours. [All figures](docs/bench.md).',
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
