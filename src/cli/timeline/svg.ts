/** The few shapes that a picture is made of, as SVG. Its text is text: it can be selected, searched and read aloud. */

type Attributes = Readonly<Record<string, string | number | undefined>>

export function element(name: string, attributes: Attributes, ...content: readonly string[]): string {
  const words = Object.entries(attributes).flatMap(([key, value]) =>
    value === undefined ? [] : [` ${key}="${escaped(typeof value === 'number' ? round(value) : value)}"`],
  )
  return content.length === 0
    ? `<${name}${words.join('')}/>`
    : `<${name}${words.join('')}>${content.join('')}</${name}>`
}

/** XML has no way to write most control characters; whoever made the text has taken them out. */
export function escaped(text: string): string {
  return text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;').replace(/"/g, '&quot;')
}

function round(value: number): string {
  return String(Math.round(value * 100) / 100)
}

export interface Words {
  readonly size?: number
  readonly anchor?: 'start' | 'middle' | 'end'
  readonly style?: 'strong' | 'soft' | 'plain' | 'bad'
}

export function words(
  x: number,
  y: number,
  text: string,
  { size = 12, anchor, style = 'plain' }: Words = {},
): string {
  const attributes = {
    x,
    y,
    'font-size': size === 12 ? undefined : size,
    'text-anchor': anchor === 'start' ? undefined : anchor,
    class: style === 'plain' ? undefined : style,
  }
  return element('text', attributes, escaped(text))
}

/** About how wide a text is, rather too much than too little. */
export function widthOf(text: string, size: number): number {
  return text.length * size * 0.575
}

export function shorten(text: string, width: number, size: number): string {
  const most = Math.floor(width / (size * 0.575))
  if (text.length <= most) return text
  return most < 4 ? '' : `${text.slice(0, most - 1).trimEnd()}…`
}

/** Lines of at most this width, broken between words. */
export function wrap(text: string, width: number, size: number): readonly string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    const longer = line === '' ? word : `${line} ${word}`
    if (line !== '' && widthOf(longer, size) > width) {
      lines.push(line)
      line = word
    } else line = longer
  }
  return [...lines, line]
}

export const darkInk = '#1b1f24'
export const paleInk = '#a9b4bd'
export const badInk = '#a3180f'

const style = `text{fill:${darkInk};white-space:pre}.strong{font-weight:600}.soft{fill:#57606a}.bad{fill:${badInk};font-weight:600}.light,.light tspan{fill:#fff}.halo text:not(.light){paint-order:stroke;stroke:#fff;stroke-width:4px;stroke-linejoin:round}`

const fonts = "system-ui, -apple-system, 'Segoe UI', 'Liberation Sans', Arial, sans-serif"

export function picture(width: number, height: number, title: string, content: readonly string[]): string {
  const hatch = (id: string, color: string, angle: number) =>
    element(
      'pattern',
      { id, width: 5, height: 5, patternUnits: 'userSpaceOnUse', patternTransform: `rotate(${angle})` },
      element('rect', { width: 5, height: 5, fill: '#fff' }),
      element('rect', { width: 2, height: 5, fill: color }),
    )
  return `${element(
    'svg',
    {
      xmlns: 'http://www.w3.org/2000/svg',
      viewBox: `0 0 ${width} ${Math.ceil(height)}`,
      width,
      height: Math.ceil(height),
      role: 'img',
      'font-family': fonts,
      'font-size': 12,
    },
    element('title', {}, escaped(title)),
    element('style', {}, style),
    element('defs', {}, hatch('kernel', '#c9d0d6', 45), hatch('failed', badInk, -45)),
    `\n${element('rect', { width, height: Math.ceil(height), fill: '#fff' })}\n`,
    ...content.map((each) => `${each}\n`),
  )}\n`
}
