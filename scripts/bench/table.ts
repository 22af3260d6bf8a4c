/** The results as Markdown: a table of ratios, and of what our own boots consist of. */

import type { Goal, Row, RowSubject, Unit } from './row.ts'
import { digits, type Spread, spreadOf } from './statistics.ts'

/** What one subject has to show for itself beside ours. */
export interface Standing {
  readonly name: string
  readonly isOurs: boolean
  readonly isFloor: boolean
  /** Undefined: no figure. */
  readonly spread: Spread | undefined
  /** Ours divided by this one; of medians. */
  readonly ratio: number | undefined
  readonly failures: readonly string[]
}

export function standings({ subjects }: Row): readonly Standing[] {
  const [ours] = subjects.map(spreadOfSubject)
  return subjects.map((subject, at) => {
    const spread = spreadOfSubject(subject)
    const ratio = ours === undefined || spread === undefined ? undefined : ours.median / spread.median
    const { failures, isFloor, name } = subject
    return { name, isOurs: at === 0, isFloor, spread, ratio, failures }
  })
}

function spreadOfSubject({ figures }: RowSubject): Spread | undefined {
  return spreadOf(figures.map(({ value }) => value))
}

/** Rows by the second clock are for the whole table only. */
export function isByUsualClock({ id }: Row): boolean {
  return !id.endsWith('-tcg')
}

export function table(rows: readonly Row[]): string {
  const lines = [
    '| | | median | least to most | rounds | diskless takes | goal |',
    '|---|---|---|---|---|---|---|',
  ]
  for (const row of rows) {
    for (const [at, standing] of standings(row).entries()) {
      const title = at === 0 ? `**${row.title}**` : ''
      lines.push(`| ${[title, ...cells(row, standing)].join(' | ')} |`)
    }
  }
  const notes = rows.flatMap((row) => [
    ...(row.note === '' ? [] : [`${row.title}: ${row.note}`]),
    ...standings(row).flatMap(({ failures, name }) => {
      const [first] = failures
      const rounds = failures.length === 1 ? 'one round' : `${failures.length} rounds`
      return first === undefined ? [] : [`${row.title}: ${name} failed in ${rounds}: ${first.split('\n')[0]}`]
    }),
  ])
  return [...lines, ...(notes.length === 0 ? [] : ['', ...notes.map((note) => `- ${note}`)])].join('\n')
}

function cells({ goals, unit }: Row, standing: Standing): readonly string[] {
  const { isOurs, name, ratio, spread } = standing
  if (spread === undefined) return [name, 'none', '', '0', '', '']
  const { count, least, median, most } = spread
  const range = least === most ? '' : `${digits(least)} to ${digits(most)}`
  const times = isOurs || ratio === undefined ? '' : `${digits(ratio)} times that`
  const goal = goals.find(({ against }) => against === (isOurs ? undefined : name))
  const verdict = goal === undefined ? '' : goalText(goal, isOurs ? median : ratio, isOurs ? unit : undefined)
  return [name, quantity(median, unit), range, String(count), times, verdict]
}

function goalText({ atMost }: Goal, value: number | undefined, unit: Unit | undefined): string {
  const wanted = unit === undefined ? String(atMost) : quantity(atMost, unit)
  return `at most ${wanted}: ${value !== undefined && value <= atMost ? 'met' : 'missed'}`
}

export function quantity(value: number, unit: Unit): string {
  return `${digits(value)} ${unit}`
}

/** What ours consists of: the phases of boots, and the steps of what was measured natively. None where no figure has parts. */
export function partTables(rows: readonly Row[]): readonly string[] {
  const isBoot = ({ unit }: Row) => unit === 's'
  const tables = [rows.filter(isBoot), rows.filter((row) => !isBoot(row))].map(partTable)
  return tables.filter((text) => text !== '')
}

/** The median of each part. Empty where no figure has parts. */
function partTable(rows: readonly Row[]): string {
  const columns = rows.flatMap((row) => {
    const parts = partsOf(row.subjects[0])
    return parts.size === 0 ? [] : [{ row, parts }]
  })
  if (columns.length === 0) return ''
  const names = [...new Set(columns.flatMap(({ parts }) => [...parts.keys()]))]
  return [
    `| | ${columns.map(({ row }) => row.title).join(' | ')} |`,
    `|---|${columns.map(() => '---|').join('')}`,
    ...names.map((name) => {
      const values = columns.map(({ parts, row }) => {
        const value = parts.get(name)
        return value === undefined ? '' : quantity(value, row.unit)
      })
      return `| ${name} | ${values.join(' | ')} |`
    }),
  ].join('\n')
}

function partsOf(subject: RowSubject | undefined): ReadonlyMap<string, number> {
  const all = new Map<string, number[]>()
  for (const { parts = {} } of subject?.figures ?? [])
    for (const [name, value] of Object.entries(parts)) all.set(name, [...(all.get(name) ?? []), value])
  const medians = [...all].map(([name, values]): [string, number] => [name, spreadOf(values)?.median ?? 0])
  return new Map(medians)
}
