/**
 * One boot on its lanes: a bar a phase, solid where the boot as a whole waited for it and pale where it went on beside; a
 * dotted line from the moment it was asked for, with what it waited for; triangles where a person was told something.
 */
import { showBytes, showDuration } from '../../boot/format.ts'
import { type Boot, criticalPath, type Notice, type Span } from './read.ts'
import type { Scale } from './scale.ts'
import { badInk, darkInk, element, escaped, paleInk, shorten, widthOf, words } from './svg.ts'

export interface Panel {
  readonly boot: Boot
  readonly scale: Scale
  readonly left: number
  readonly right: number
  /** Of the axis' marks; the lanes begin `axis` below. */
  readonly top: number
  /** Names of the phases, a lane each. */
  readonly lanes: readonly string[]
  /** Whether a lane has room for what a phase says of itself. */
  readonly telling: boolean
}

export const axis = 20
export const laneHeight = 40
const barHeight = 14
/** Of the bar in its lane: what was waited for is above it. */
const barTop = 18
/** A phase that took no time is still to be seen. */
const thinnest = 1.5

/** Of the lanes, the kernel's included. */
export function panelHeight(lanes: readonly string[]): number {
  return axis + (lanes.length + 1) * laneHeight
}

export function drawPanel(panel: Panel): readonly string[] {
  const { boot, scale, lanes } = panel
  const path = criticalPath(boot)
  const spans = lanes.flatMap((name, at) =>
    boot.spans.filter((span) => span.name === name).map((span) => ({ span, lane: at + 1 })),
  )
  const isLast = ({ name, attempt }: Span) =>
    attempt === Math.max(...boot.spans.filter((other) => other.name === name).map((each) => each.attempt))
  return [
    ...grid(panel),
    kernel(panel),
    ...spans.flatMap(({ span, lane }) => wait(panel, span, lane, spans)),
    ...spans.map(({ span, lane }) => bar(panel, span, lane, path.has(span))),
    ...notices(panel),
    element(
      'g',
      { class: 'halo' },
      ...spans
        .filter(({ span }) => isLast(span))
        .flatMap(({ span, lane }) => [label(panel, span, lane), reason(panel, span, lane)]),
      words(scale.x(boot.started) + 6, laneY(panel, 0) + barTop + 11, showDuration(boot.started), {
        style: 'strong',
      }),
      panel.telling
        ? words(
            scale.x(boot.started) + 12 + widthOf(showDuration(boot.started), 12.5),
            laneY(panel, 0) + barTop + 11,
            `until init began${scale.from > 0 ? ', most of it not drawn' : ''}`,
            { style: 'soft' },
          )
        : '',
    ),
  ]
}

function laneY({ top }: Panel, lane: number): number {
  return top + axis + lane * laneHeight
}

function grid(panel: Panel): string[] {
  const { boot, scale, top, left, right, lanes } = panel
  const bottom = top + panelHeight(lanes)
  const marks = scale.ticks.flatMap((tick) => [
    element('line', {
      ...{ x1: scale.x(tick), x2: scale.x(tick), y1: top + 16, y2: bottom },
      ...{ stroke: '#e4e8eb', 'stroke-width': 1 },
    }),
    words(scale.x(tick), top + 10, scale.name(tick), { size: 11, anchor: 'middle', style: 'soft' }),
  ])
  const end = element('line', {
    ...{ x1: scale.x(boot.end), x2: scale.x(boot.end), y1: top + 16, y2: bottom },
    ...{ stroke: darkInk, 'stroke-width': 1.2 },
  })
  const rules = [0, ...lanes.keys(), lanes.length].map((lane) => {
    const y = laneY(panel, lane + 1) + 1
    return element('line', { x1: left, x2: right, y1: y, y2: y, stroke: '#eef1f3', 'stroke-width': 1 })
  })
  return [...marks, ...rules, end]
}

function kernel(panel: Panel): string {
  const { boot, scale } = panel
  const y = laneY(panel, 0) + barTop
  const [x, to] = [scale.x(scale.from), scale.x(boot.started)]
  return element(
    'rect',
    {
      ...{ x, y, width: Math.max(to - x, thinnest), height: barHeight },
      ...{ fill: 'url(#kernel)', stroke: '#8b959e', 'stroke-width': 0.8 },
    },
    element('title', {}, `the kernel, until init began at ${showDuration(boot.started)}`),
  )
}

interface Placed {
  readonly span: Span
  readonly lane: number
}

/** From when it was asked for to when it began, and from where that was decided. */
function wait(panel: Panel, span: Span, lane: number, all: readonly Placed[]): string[] {
  const { scale } = panel
  const [from, to] = [scale.x(span.asked), scale.x(span.start)]
  const y = laneY(panel, lane) + barTop + barHeight / 2
  const drawn: string[] = []
  if (to - from > 3) {
    drawn.push(
      element('line', {
        ...{ x1: from, x2: to - 1, y1: y, y2: y, stroke: '#6b7680', 'stroke-width': 1.3 },
        ...{ 'stroke-dasharray': '1.3 3.2', 'stroke-linecap': 'round' },
      }),
    )
  }
  const { waitedFor } = span
  const before = all.findLast(({ span: { name, end } }) => name === waitedFor && end <= span.start + 1)
  if (waitedFor === undefined || before === undefined) return drawn
  const down = before.lane < lane
  const begins = laneY(panel, before.lane) + barTop + (down ? barHeight : 0)
  const ends = laneY(panel, lane) + barTop + (down ? -1 : barHeight + 1)
  const tip = down ? -4 : 4
  drawn.push(
    element('path', {
      d: `M${at(scale.x(before.span.end))} ${at(begins)}V${at((begins + ends) / 2)}H${at(to)}V${at(ends)}M${at(to - 2.6)} ${at(ends + tip)}L${at(to)} ${at(ends)}L${at(to + 2.6)} ${at(ends + tip)}`,
      ...{ fill: 'none', stroke: '#6b7680', 'stroke-width': 0.8 },
    }),
  )
  return drawn
}

const at = (value: number) => (Math.round(value * 10) / 10).toString()

function bar({ scale, ...panel }: Panel, span: Span, lane: number, waitedFor: boolean): string {
  const looks = {
    done: waitedFor ? { fill: darkInk } : { fill: paleInk },
    running: { fill: '#fff', stroke: darkInk, 'stroke-width': 1.2, 'stroke-dasharray': '4 2' },
    failed: { fill: 'url(#failed)', stroke: badInk, 'stroke-width': 1.4 },
    'given up': { fill: '#fff', stroke: '#6b7680', 'stroke-width': 1, 'stroke-dasharray': '3 2' },
  }[span.state]
  const [x, to] = [scale.x(span.start), scale.x(span.end)]
  const y = laneY({ scale, ...panel }, lane) + barTop
  return element(
    'rect',
    { x, y, width: Math.max(to - x, thinnest), height: barHeight, rx: to - x > 6 ? 2 : undefined, ...looks },
    element('title', {}, escaped(describe(span))),
  )
}

function describe(span: Span): string {
  const { name, start, end, asked, waitedFor, state, attempt, detail } = span
  return [
    `${name}: ${showDuration(end - start)}, from ${showDuration(start)} to ${showDuration(end)}`,
    ...(state === 'done' ? [] : [state]),
    ...(attempt > 1 ? [`try ${attempt}`] : []),
    ...(start - asked > 1
      ? [`waited ${showDuration(start - asked)}${waitedFor === undefined ? '' : ` for ${waitedFor}`}`]
      : []),
    ...amounts(span),
    ...(detail === '' ? [] : [detail]),
  ].join('\n')
}

function amounts({ bytes, start, end }: Span): string[] {
  if (bytes === undefined) return []
  const rate = end - start > 50 ? `, ${showBytes((bytes / (end - start)) * 1000)}/s` : ''
  return [`${showBytes(bytes)}${rate}`]
}

/** In the bar, or beside it where there is more room. */
function label(panel: Panel, span: Span, lane: number): string {
  const { scale, left, right, telling } = panel
  const y = laneY(panel, lane) + barTop + 11
  const [from, to] = [scale.x(span.start), Math.max(scale.x(span.end), scale.x(span.start) + thinnest)]
  const took = showDuration(span.end - span.start)
  const state = span.state === 'done' ? '' : span.state
  const [bytes = ''] = telling ? amounts(span) : span.bytes === undefined ? [] : [showBytes(span.bytes)]
  const more = [bytes, telling ? span.detail : ''].filter((text) => text !== '').join('  ·  ')
  const fixed = widthOf(took, 12.5) + (state === '' ? 0 : widthOf(state, 12.5) + 8) + (more === '' ? 0 : 8)
  const rooms = { inside: to - from, after: right - to, before: from - left }
  const place = placeOf(rooms, fixed + widthOf(more, 12) + 14, span.state)
  const said = shorten(more, rooms[place] - fixed - 14, 12)
  const inside = place === 'inside' ? 'light' : undefined
  const parts = [
    element('tspan', { class: 'strong' }, took),
    ...(state === ''
      ? []
      : [element('tspan', { class: state === 'failed' ? 'bad' : 'strong', dx: 8 }, state)]),
    ...(said === '' ? [] : [element('tspan', { class: inside ?? 'soft', dx: 8 }, escaped(said))]),
  ]
  const x = { inside: from + 7, after: to + 6, before: from - 6 }[place]
  const anchor = place === 'before' ? 'end' : undefined
  const width = fixed + widthOf(said, 12) + 4
  return [
    // The dots of the wait are not to run through it.
    place === 'before'
      ? element('rect', { x: x - width, y: y - 11, width, height: barHeight, fill: '#fff' })
      : '',
    element('text', { x, y, 'text-anchor': anchor, class: inside }, ...parts),
  ].join('')
}

type Place = 'inside' | 'after' | 'before'

function placeOf(rooms: Readonly<Record<Place, number>>, wanted: number, state: Span['state']): Place {
  if (wanted <= rooms.after) return 'after'
  if (wanted <= rooms.inside && state === 'done') return 'inside'
  return rooms.after >= rooms.before ? 'after' : 'before'
}

/** Above the dots, up to where the bar begins. */
function reason(panel: Panel, span: Span, lane: number): string {
  const { scale, left, telling } = panel
  const waited = span.start - span.asked
  const [from, to] = [scale.x(span.asked), scale.x(span.start)]
  if (waited <= 1 || to - from < 10) return ''
  const why = span.waitedFor === undefined ? 'waited' : `waited for ${span.waitedFor}`
  const whole = `${why} ${showDuration(waited)}`
  const text = telling || to - left > widthOf(whole, 10) ? whole : why
  if (to - left < widthOf(text, 10)) return ''
  return words(to - 5, laneY(panel, lane) + barTop - 4, text, { size: 10, anchor: 'end', style: 'soft' })
}

/** Each with its number, which is explained below the lanes. */
function notices(panel: Panel): string[] {
  const { boot, scale, lanes } = panel
  return boot.notices.flatMap((notice, index) => {
    const lane = lanes.indexOf(notice.phase)
    if (lane === -1) return []
    const x = scale.x(notice.at)
    const y = laneY(panel, lane + 1) + barTop + barHeight
    return [
      element(
        'path',
        { d: `M${at(x)} ${at(y + 1)}l3.6 5.4h-7.2z`, fill: '#fff', stroke: darkInk, 'stroke-width': 1 },
        element('title', {}, escaped(describeNotice(notice, index))),
      ),
      words(x + 6, y + 7, `${index + 1}`, { size: 8.5 }),
    ]
  })
}

export function describeNotice({ at, phase, text }: Notice, index: number): string {
  const what = text.startsWith(`the ${phase}`) ? text : `${phase}: ${text}`
  return `${index + 1}  ${showDuration(at)}  ${what}`
}
