/** The machines as a table: those that need somebody first. Pure: lines of at most a width. */
import { showBytes, showDuration } from '../../boot/format.ts'
import type { Output } from '../output.ts'
import { bytesOf, elapsedOf, type Machine, nameOf, silenceOf } from './fleet.ts'

export interface View {
  readonly width: number
  /** Lines that there are; undefined: as many as it takes. */
  readonly height: number | undefined
  readonly now: number
  readonly silentMs: number
  readonly style: Output['style']
}

type Shown = 'failed' | 'silent' | 'booting' | 'up'

const order: readonly Shown[] = ['failed', 'silent', 'booting', 'up']
const colours = { failed: 'red', silent: 'yellow', booting: 'cyan', up: 'green' } as const

const barWidth = 20

interface Row {
  readonly machine: Machine
  readonly shown: Shown
  readonly cells: readonly string[]
  /** Below it: why, and what to do. */
  readonly more: readonly string[]
}

const headings = ['machine', 'address', 'state', 'phase', 'time', 'bytes'] as const
/** Columns that are numbers, which end under each other. */
const numeric = new Set([4, 5])

export function drawTable(machines: readonly Machine[], view: View): readonly string[] {
  const { width, height, style } = view
  const rows = machines.map((machine) => rowOf(machine, view)).sort(compare)
  const widths = headings.map((heading, at) =>
    Math.max(
      heading.length,
      ...rows.map(({ cells }) => Math.min(cells[at]?.length ?? 0, at === 0 ? 28 : 24)),
    ),
  )
  const line = (cells: readonly string[], dress: (text: string, at: number) => string) => {
    let left = width
    return cells
      .map((cell, at) => {
        const last = at === cells.length - 1
        const wide = Math.min(widths[at] ?? left, left)
        const text = cut(cell, wide)
        left -= wide + 2
        return dress(numeric.has(at) ? text.padStart(wide) : last ? text : text.padEnd(wide), at)
      })
      .join('  ')
      .trimEnd()
  }
  const blocks = rows.map(({ cells, shown, more }) => [
    line(cells, (text, at) =>
      at === 2 ? style(colours[shown], text) : at === 6 ? style('dim', text) : text,
    ),
    ...more.flatMap((text) => wrap(text, width - 4).map((part) => `    ${part}`)),
  ])
  const head = line(headings, (text) => style('dim', text))
  const fits = height === undefined ? blocks.length : countThatFit(blocks, height - 2)
  const left = rows.slice(fits)
  return [
    head,
    ...blocks.slice(0, fits).flat(),
    ...(left.length === 0
      ? []
      : [style('dim', cut(`and ${summaryOf(left.map(({ shown }) => shown))} more`, width))]),
    ...(rows.length === 0 ? [style('dim', cut('no machine has reported yet', width))] : []),
  ]
}

/** `4 machines: 1 failed, 1 booting, 2 up` */
export function summarize(machines: readonly Machine[], view: Pick<View, 'now' | 'silentMs'>): string {
  const shown = machines.map((machine) => shownAs(machine, view))
  const noun = machines.length === 1 ? 'machine' : 'machines'
  return `${machines.length} ${noun}${machines.length === 0 ? '' : `: ${summaryOf(shown)}`}`
}

function summaryOf(shown: readonly Shown[]): string {
  return order
    .map((state) => [shown.filter((each) => each === state).length, state] as const)
    .filter(([count]) => count > 0)
    .map(([count, state]) => `${count} ${state}`)
    .join(', ')
}

function countThatFit(blocks: readonly (readonly string[])[], lines: number): number {
  let used = 0
  const first = blocks.findIndex((block) => {
    used += block.length
    return used > lines
  })
  return first === -1 ? blocks.length : first
}

function shownAs(machine: Machine, { now, silentMs }: Pick<View, 'now' | 'silentMs'>): Shown {
  return silenceOf(machine, now, silentMs) === undefined ? machine.state : 'silent'
}

function rowOf(machine: Machine, view: View): Row {
  const { now, silentMs } = view
  const shown = shownAs(machine, view)
  const silence = silenceOf(machine, now, silentMs)
  const bytes = bytesOf(machine)
  const tries = machine.attempt > 1 ? ` (try ${machine.attempt})` : ''
  return {
    machine,
    shown,
    cells: [
      nameOf(machine),
      machine.sender.address ?? machine.from,
      shown + (shown === 'booting' ? tries : ''),
      phaseOf(machine),
      showDuration(elapsedOf(machine, silence === undefined ? now : machine.heard)),
      bytes === 0 ? '' : showBytes(bytes),
      remark(machine, silence),
    ],
    more: machine.failure === undefined ? [] : failureLines(machine.failure),
  }
}

function phaseOf({ state, running, failure, sender }: Machine): string {
  if (state === 'failed') return failure?.phase ?? ''
  if (state === 'up') return ''
  return running.at(-1) ?? (sender.at > 0 ? '' : 'machine')
}

function remark(machine: Machine, silence: number | undefined): string {
  if (silence !== undefined) return `no word for ${Math.floor(silence / 1000)} s`
  const { state, progress, word, warnings, sender } = machine
  const lost = sender.lost > 0 ? `, ${sender.lost} events lost` : ''
  if (state === 'up')
    return `${warnings === 0 ? '' : `${warnings} ${warnings === 1 ? 'warning' : 'warnings'}`}${lost}`
  if (state === 'failed') return ''
  if (progress !== undefined && progress.total > 0) {
    const share = Math.min(1, progress.bytes / progress.total)
    const bar = '#'.repeat(Math.round(share * barWidth)).padEnd(barWidth, '-')
    return `[${bar}] ${Math.floor(share * 100)} % of ${showBytes(progress.total)}${lost}`
  }
  return `${word ?? ''}${lost}`
}

function failureLines({ chain, advice }: NonNullable<Machine['failure']>): readonly string[] {
  const [what, ...causes] = chain
  return [
    ...(what === undefined ? [] : [what]),
    ...causes.map((cause) => `because: ${cause}`),
    ...advice.slice(0, 2).map((line) => `to do: ${line}`),
  ]
}

function compare(a: Row, b: Row): number {
  return (
    order.indexOf(a.shown) - order.indexOf(b.shown) ||
    nameOf(a.machine).localeCompare(nameOf(b.machine), 'en', { numeric: true })
  )
}

/** Between words; a word that is longer than a line is cut. */
function wrap(text: string, width: number): readonly string[] {
  const lines: string[] = []
  for (const word of text.split(' ')) {
    const last = lines.at(-1)
    if (last !== undefined && last.length + 1 + word.length <= width)
      lines[lines.length - 1] = `${last} ${word}`
    else lines.push(cut(word, width))
  }
  return lines
}

function cut(text: string, width: number): string {
  if (text.length <= width) return text
  return width < 1 ? '' : `${text.slice(0, width - 1)}…`
}
