/**
 * The results as an SVG: a panel a contest, a bar a subject, each panel on a scale of its own. For paper, too: ours is black,
 * the floor hatched, the peers are outlined. Its text is text.
 */

import type { Results } from './results.ts'
import type { Row } from './row.ts'
import { digits } from './statistics.ts'
import { isByUsualClock, quantity, type Standing, standings } from './table.ts'

const width = 800
const left = 215
const right = 250
const margin = 16
const bar = 14
const step = 22
const heading = 30

export function drawResults({ date, machine, rows }: Results): string {
  const drawn: string[] = []
  let top = margin + 34
  for (const row of rows.filter(isByUsualClock)) {
    const panel = drawRow(row, top)
    if (panel === undefined) continue
    drawn.push(panel.text)
    top = panel.bottom
  }
  const height = top + margin
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-labelledby="title">`,
    '<title id="title">diskless beside the floor and its peers: times, sizes, memory</title>',
    '<defs><pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">',
    '<rect width="6" height="6" fill="#fff"/><path d="M0 0V6" stroke="#000" stroke-width="3"/></pattern></defs>',
    `<rect width="${width}" height="${height}" fill="#fff"/>`,
    '<g font-family="system-ui, DejaVu Sans, sans-serif" font-size="13" fill="#000">',
    textAt(
      margin,
      margin + 8,
      'From the start of /init to that of the new init, and what it takes: shorter is better',
      'font-weight="bold"',
    ),
    textAt(margin, margin + 24, `${date}, ${machine}`, 'font-size="11"'),
    ...drawn,
    '</g>',
    '</svg>',
    '',
  ].join('\n')
}

function drawRow(row: Row, top: number): { readonly text: string; readonly bottom: number } | undefined {
  const shown = standings(row).flatMap((standing) => {
    const { spread } = standing
    return spread === undefined ? [] : [{ ...standing, spread }]
  })
  if (shown.length === 0) return undefined
  const most = Math.max(...shown.map(({ spread }) => spread.most))
  const scale = (width - left - right) / most
  const lines = [textAt(margin, top + heading - 10, row.title, 'font-weight="bold"')]
  for (const [at, standing] of shown.entries()) {
    const y = top + heading + at * step
    const { isFloor, isOurs, name, spread } = standing
    const { least, median, most } = spread
    const fill = isOurs ? '#000' : isFloor ? 'url(#hatch)' : '#fff'
    const length = Math.max(median * scale, 1)
    lines.push(
      textAt(left - 8, y + 11, name, 'text-anchor="end"'),
      `<rect x="${left}" y="${y}" width="${fixed(length)}" height="${bar}" fill="${fill}" stroke="#000"/>`,
      ...(least === most ? [] : [whisker(left + least * scale, left + most * scale, y + bar / 2)]),
      textAt(left + Math.max(length, most * scale) + 8, y + 11, label(row, standing, spread.median)),
    )
  }
  return { text: lines.join('\n'), bottom: top + heading + shown.length * step }
}

function label({ unit }: Row, { isFloor, isOurs, ratio }: Standing, median: number): string {
  const figure = quantity(median, unit)
  if (isOurs || ratio === undefined || ratio === 0) return figure
  return isFloor
    ? `${figure}; diskless ${digits(ratio)} times that`
    : `${figure}, ${digits(1 / ratio)} times diskless`
}

/** From the least to the most, white under black so that it is seen on any bar. */
function whisker(from: number, to: number, y: number): string {
  const path = `M${fixed(from)} ${y - 4}v8m0 -4H${fixed(to)}m0 -4v8`
  return `<path d="${path}" fill="none" stroke="#fff" stroke-width="3"/><path d="${path}" fill="none" stroke="#555"/>`
}

function fixed(value: number): string {
  return value.toFixed(1)
}

function textAt(x: number, y: number, text: string, more = ''): string {
  const escaped = text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;')
  return `<text x="${fixed(x)}" y="${fixed(y)}"${more === '' ? '' : ` ${more}`}>${escaped}</text>`
}
