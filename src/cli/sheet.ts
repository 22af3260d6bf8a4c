/** Facts and tables for a person: aligned columns, headings, a colour here and there that nothing depends on. */

import { stripVTControlCharacters } from 'node:util'
import { wrap } from './help.ts'
import type { Style } from './output.ts'

/** Where it is drawn. */
export interface Pen {
  readonly width: number
  style(style: Style, text: string): string
}

export interface Column {
  readonly title: string
  /** Numbers: at their right end. */
  readonly right?: true
  /** The last one: what is too long goes on below, and is not cut. */
  readonly wraps?: true
}

/** A text, or one in a colour. */
export type Value = string | { readonly text: string; readonly style: Style }

export type Part =
  /** What it is called, and what it is; of several values each has a line. */
  | {
      readonly kind: 'facts'
      readonly rows: readonly (readonly [name: string, ...values: readonly Value[]])[]
    }
  | {
      readonly kind: 'table'
      readonly columns: readonly Column[]
      readonly rows: readonly (readonly string[])[]
      /** Below it: what is not listed. */
      readonly more?: string
    }
  | { readonly kind: 'notes'; readonly tone: Tone; readonly lines: readonly string[] }

/** `bad`: worth a look. `fail`: it would not work. */
export type Tone = 'good' | 'bad' | 'fail' | 'plain'

export interface Section {
  readonly title?: string
  readonly parts: readonly Part[]
}

export interface Sheet {
  readonly title: string
  readonly sections: readonly Section[]
}

export function printSheet({ title, sections }: Sheet, pen: Pen): string {
  const shown = sections.filter(({ parts }) => parts.some(hasContent))
  return `${pen.style('bold', title)}\n${shown.map((section) => printSection(section, pen)).join('')}`
}

function hasContent(part: Part): boolean {
  return (part.kind === 'notes' ? part.lines : part.rows).length > 0
}

function printSection({ title, parts }: Section, pen: Pen): string {
  const heading = title === undefined ? '' : `\n${pen.style('bold', title)}\n`
  const lines = parts
    .filter(hasContent)
    .flatMap((part, n) => [...(n > 0 && part.kind === 'table' ? [''] : []), ...linesOf(part, pen)])
  return `${heading}${lines.map((line) => `  ${line}`.trimEnd()).join('\n')}\n`
}

function linesOf(part: Part, pen: Pen): readonly string[] {
  switch (part.kind) {
    case 'facts':
      return factLines(part.rows, pen)
    case 'table':
      return tableLines(part.columns, part.rows, part.more, pen)
    case 'notes': {
      const [sign, style] = tones[part.tone]
      return part.lines.flatMap((line) =>
        wrap(line, pen.width - 4).map((each, n) => (n === 0 ? `${style(pen, sign)} ${each}` : `  ${each}`)),
      )
    }
  }
}

const tones: Readonly<Record<Tone, readonly [sign: string, draw: (pen: Pen, text: string) => string]>> = {
  good: ['✓', (pen: Pen, text: string) => pen.style('green', text)],
  bad: ['!', (pen: Pen, text: string) => pen.style('yellow', text)],
  fail: ['✗', (pen: Pen, text: string) => pen.style('red', text)],
  plain: ['·', (_: Pen, text: string) => text],
}

/** The widest that a name makes the column of names. */
const widestName = 18

function factLines(rows: Extract<Part, { kind: 'facts' }>['rows'], pen: Pen): readonly string[] {
  const column = Math.min(widestName, Math.max(...rows.map(([name]) => widthOf(name)))) + 2
  return rows.flatMap(([name, ...values]) => {
    const lines = values.flatMap((value) => {
      const { text, style } = typeof value === 'string' ? { text: value, style: undefined } : value
      const wrapped = wrap(text, Math.max(30, pen.width - column - 2))
      return style === undefined ? wrapped : wrapped.map((line) => pen.style(style, line))
    })
    return lines.map(
      (line, n) => `${n === 0 ? pen.style('cyan', pad(name, column)) : ' '.repeat(column)}${line}`,
    )
  })
}

function tableLines(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  more: string | undefined,
  pen: Pen,
): readonly string[] {
  const widths = columns.map(({ title }, n) =>
    Math.max(widthOf(title), ...rows.map((row) => widthOf(row[n] ?? ''))),
  )
  // What is too wide for the line, the widest column gives.
  const over = widths.reduce((sum, width) => sum + width + 2, 0) - pen.width
  const widest = columns.at(-1)?.wraps ? columns.length - 1 : widths.indexOf(Math.max(...widths))
  if (over > 0) widths[widest] = Math.max(12, (widths[widest] ?? 0) - over)
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, n) => {
        const width = widths[n] ?? 0
        const cut = widthOf(cell) > width ? `${cell.slice(0, width - 1)}…` : cell
        return columns[n]?.right ? ' '.repeat(Math.max(0, width - widthOf(cut))) + cut : pad(cut, width)
      })
      .join('  ')
      .trimEnd()
  const lines = (cells: readonly string[]) => {
    if (columns.at(-1)?.wraps === undefined) return [line(cells)]
    const [first = '', ...more] = wrap(cells.at(-1) ?? '', widths.at(-1) ?? 0)
    const before = cells.slice(0, -1)
    return [line([...before, first]), ...more.map((text) => line([...before.map(() => ''), text]))]
  }
  const titles = columns.some(({ title }) => title !== '')
    ? [pen.style('dim', line(columns.map(({ title }) => title)))]
    : []
  return [...titles, ...rows.flatMap(lines), ...(more === undefined ? [] : [pen.style('dim', more)])]
}

function pad(text: string, width: number): string {
  return text + ' '.repeat(Math.max(0, width - widthOf(text)))
}

/** Code points: what terminals draw of the alphabets in use here. */
function widthOf(text: string): number {
  return [...stripVTControlCharacters(text)].length
}
