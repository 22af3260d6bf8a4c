/** A boot as a picture, or two beside each other on one scale, a lane a phase. For the screen, and for paper without colours. */
import { showBytes, showDuration } from '../../boot/format.ts'
import { axis, describeNotice, drawPanel, laneHeight, panelHeight } from './panel.ts'
import type { Boot } from './read.ts'
import { firstMoment, makeScale } from './scale.ts'
import { badInk, darkInk, element, paleInk, picture, shorten, words, wrap } from './svg.ts'

export interface Titled {
  /** What the boot is called: its file's name. */
  readonly title: string
  readonly boot: Boot
}

const margin = 28
const labels = 92
/** Notices and warnings below the lanes; the others are said to be there. */
const mostNotes = 24

export function drawBoot({ title, boot }: Titled): string {
  const width = 1080
  const [left, right] = [margin + labels, width - margin]
  const lanes = lanesOf(boot)
  const head = heading(title, boot, margin, right)
  const top = head.bottom + 14
  const scale = makeScale(firstMoment([boot]), boot.end, left, right - 8)
  const lanesBottom = top + panelHeight(lanes)
  const key = legend(margin, lanesBottom + 24)
  const foot = notes(boot, margin, right, lanesBottom + 48)
  return picture(width, foot.bottom + margin - 8, `${title}: ${summary(boot)}`, [
    ...head.drawn,
    ...laneNames(lanes, top),
    ...drawPanel({ boot, scale, left, right, top, lanes, telling: true }),
    ...key,
    ...foot.drawn,
  ])
}

export function drawTwo(first: Titled, second: Titled): string {
  const [panel, gap, difference] = [500, 44, 76]
  const left = margin + labels
  const lanes = lanesOf(first.boot, second.boot)
  const from = firstMoment([first.boot, second.boot])
  const to = Math.max(first.boot.end, second.boot.end)
  const sides = [first, second].map((one, at) => {
    const begins = left + at * (panel + gap)
    const head = heading(one.title, one.boot, begins, begins + panel)
    return { ...one, begins, ends: begins + panel, head }
  })
  const width = left + 2 * panel + gap + difference + margin
  const top = Math.max(...sides.map(({ head }) => head.bottom)) + 14
  const lanesBottom = top + panelHeight(lanes)
  const feet = sides.map(({ boot, begins, ends }) => notes(boot, begins, ends, lanesBottom + 48))
  return picture(
    width,
    Math.max(...feet.map(({ bottom }) => bottom)) + margin - 8,
    `${first.title}: ${summary(first.boot)}; ${second.title}: ${summary(second.boot)}`,
    [
      ...laneNames(lanes, top),
      ...sides.flatMap(({ head, boot, begins, ends }) => [
        ...head.drawn,
        ...drawPanel({
          ...{ boot, lanes, top, left: begins, right: ends, telling: false },
          scale: makeScale(from, to, begins, ends - 60),
        }),
      ]),
      ...differences(first.boot, second.boot, lanes, top, width - margin),
      ...legend(margin, lanesBottom + 24),
      ...feet.flatMap(({ drawn }) => drawn),
    ],
  )
}

/** In the order in which they first began. */
function lanesOf(...boots: readonly Boot[]): readonly string[] {
  const spans = boots.flatMap((boot) => [...boot.spans].sort((a, b) => a.start - b.start || a.end - b.end))
  return [...new Set(spans.map(({ name }) => name))]
}

/** `up after 4.21 s, 25.1 MB` */
export function summary(boot: Boot): string {
  const bytes = boot.spans.reduce((sum, span) => sum + (span.bytes ?? 0), 0)
  const last = boot.spans.findLast(({ name }) => name === 'handoff')
  const state =
    last?.state === 'done'
      ? 'up after'
      : boot.spans.some(({ state }) => state === 'failed')
        ? 'failed after'
        : 'not up after'
  const tries = boot.attempts > 1 ? ` in ${boot.attempts} tries` : ''
  return `${state} ${showDuration(boot.end)}${tries}${bytes > 0 ? `, ${showBytes(bytes)}` : ''}`
}

interface Drawn {
  readonly drawn: readonly string[]
  readonly bottom: number
}

function heading(title: string, boot: Boot, left: number, right: number): Drawn {
  const room = right - left
  const causes = boot.failure.flatMap((cause, at) =>
    wrap(`${at === 0 ? '' : 'because: '}${cause}`, room - 14, 12),
  )
  const bottom = margin + (boot.machine.length === 0 ? 34 : 52)
  return {
    drawn: [
      words(left, margin + 8, shorten(title, room, 17), { size: 17, style: 'strong' }),
      words(left, margin + 29, summary(boot), { size: 13 }),
      words(left, margin + 47, shorten(boot.machine.join('  ·  '), room, 12), { style: 'soft' }),
      ...causes.map((cause, at) =>
        words(left + 14, bottom + 15 + at * 17, cause, { style: at === 0 ? 'bad' : 'plain' }),
      ),
      ...(causes.length === 0
        ? []
        : [element('rect', { x: left, y: bottom + 3, width: 3, height: causes.length * 17, fill: badInk })]),
    ],
    bottom: bottom + (causes.length === 0 ? 0 : causes.length * 17 + 8),
  }
}

function laneNames(lanes: readonly string[], top: number): string[] {
  return ['kernel', ...lanes].map((name, lane) =>
    words(margin, top + axis + lane * laneHeight + 29, name, { style: lane === 0 ? 'soft' : 'strong' }),
  )
}

/** What the second boot's phases took more, or less. */
function differences(
  first: Boot,
  second: Boot,
  lanes: readonly string[],
  top: number,
  right: number,
): string[] {
  const took = ({ spans }: Boot, phase: string) => {
    const all = spans.filter(({ name }) => name === phase)
    return all.length === 0 ? undefined : all.reduce((sum, { start, end }) => sum + end - start, 0)
  }
  const row = (lane: number, a: number | undefined, b: number | undefined, strong = false) => {
    const text = a === undefined ? 'new' : b === undefined ? 'gone' : signed(b - a)
    const big = a !== undefined && b !== undefined && Math.abs(b - a) >= 0.05 * first.end
    return words(right, top + axis + lane * laneHeight + 29, text, {
      ...{ anchor: 'end', style: strong || big ? 'strong' : 'soft' },
    })
  }
  return [
    words(right, top + 10, 'difference', { size: 11, anchor: 'end', style: 'soft' }),
    row(0, first.started, second.started),
    ...lanes.map((name, at) => row(at + 1, took(first, name), took(second, name))),
    words(right, top + panelHeight(lanes) + 24, `${signed(second.end - first.end)} in all`, {
      ...{ anchor: 'end', style: 'strong' },
    }),
  ]
}

function signed(milliseconds: number): string {
  if (Math.abs(milliseconds) < 5) return '±0'
  return `${milliseconds > 0 ? '+' : '−'}${showDuration(Math.abs(milliseconds))}`
}

function legend(left: number, y: number): string[] {
  const box = (x: number, attributes: Readonly<Record<string, string | number>>) =>
    element('rect', { x, y: y - 9, width: 22, height: 10, rx: 2, ...attributes })
  const entries: readonly [(x: number) => string, string][] = [
    [(x) => box(x, { fill: darkInk }), 'the boot waited for this'],
    [(x) => box(x, { fill: paleInk }), 'went on beside'],
    [
      (x) =>
        element('line', {
          ...{ x1: x, x2: x + 22, y1: y - 4, y2: y - 4, stroke: '#6b7680', 'stroke-width': 1.3 },
          ...{ 'stroke-dasharray': '1.3 3.2', 'stroke-linecap': 'round' },
        }),
      'was waiting',
    ],
    [(x) => box(x, { fill: 'url(#failed)', stroke: badInk, 'stroke-width': 1.4 }), 'failed'],
    [
      (x) =>
        element('path', {
          d: `M${x + 11} ${y - 8}l3.6 5.4h-7.2z`,
          fill: '#fff',
          stroke: darkInk,
          'stroke-width': 1,
        }),
      'a notice, see below',
    ],
  ]
  let x = left
  return entries.flatMap(([draw, text]) => {
    const drawn = [draw(x), words(x + 29, y, text, { size: 11, style: 'soft' })]
    x += 29 + text.length * 6 + 26
    return drawn
  })
}

function notes(boot: Boot, left: number, right: number, top: number): Drawn {
  const all = [
    ...boot.notices.map((notice, at) => describeNotice(notice, at)),
    ...boot.warnings.map((warning) => `warning: ${warning}`),
  ]
  const shown = all.slice(0, mostNotes)
  const lines = [
    ...shown,
    ...(all.length > shown.length ? [`and ${all.length - shown.length} more`] : []),
  ].flatMap((text) => wrap(text, right - left, 11))
  return {
    drawn: lines.map((line, at) => words(left, top + 6 + at * 16, line, { size: 11 })),
    bottom: top + lines.length * 16 - (lines.length === 0 ? 14 : 0),
  }
}
