/** The bench's results as a file: written after each measurement, so that a run which was cut short goes on. */

import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import {
  type Contest,
  type Figure,
  type Goal,
  groups,
  type Row,
  type RowSubject,
  type Subject,
  units,
} from './row.ts'

export interface Results {
  readonly version: 1
  /** The day of the last measurement: `2026-11-21`. */
  readonly date: string
  /** On what: the kernel, QEMU, the clock. */
  readonly machine: string
  readonly rows: readonly Row[]
}

export function emptyRow(contest: Contest): Row {
  const { id, group, title, unit, goals = [], note = '' } = contest
  const subjects = contest.subjects.map(emptySubject)
  return { id, group, title, unit, goals, note, subjects }
}

export function emptySubject({ basis = '', isFloor = false, name }: Subject): RowSubject {
  return { name, isFloor, basis, figures: [], failures: [] }
}

/** Undefined where there is no such file. Throws for one of another shape. */
export function readResults(file: string): Results | undefined {
  if (!existsSync(file)) return undefined
  const { version, date, machine, rows } = record(JSON.parse(readFileSync(file, 'utf8')))
  if (version !== 1) throw new Error(`${file} is no result of this bench`)
  return { version, date: text(date), machine: text(machine), rows: list(rows).map(parseRow) }
}

export function writeResults(file: string, results: Results): void {
  writeFileSync(`${file}.partial`, showResults(results))
  renameSync(`${file}.partial`, file)
}

/** One line a figure, so that a diff of two runs can be read. */
function showResults(results: Results): string {
  return `${JSON.stringify(results, round, 1)}\n`
}

function round(_: string, value: unknown): unknown {
  return typeof value === 'number' ? Math.round(value * 10_000) / 10_000 : value
}

function parseRow(value: unknown): Row {
  const { goals, group, id, note, subjects, title, unit } = record(value)
  return {
    id: text(id),
    group: oneOf(groups, group),
    title: text(title),
    unit: oneOf(units, unit),
    goals: list(goals).map(parseGoal),
    note: text(note),
    subjects: list(subjects).map(parseSubject),
  }
}

function parseSubject(value: unknown): RowSubject {
  const { basis, failures, figures, isFloor, name } = record(value)
  return {
    name: text(name),
    isFloor: isFloor === true,
    basis: text(basis),
    figures: list(figures).map(parseFigure),
    failures: list(failures).map(text),
  }
}

function parseFigure(given: unknown): Figure {
  const { parts, value } = record(given)
  if (parts === undefined) return { value: number(value) }
  const named = Object.entries(record(parts)).map(([name, part]): [string, number] => [name, number(part)])
  return { value: number(value), parts: Object.fromEntries(named) }
}

function parseGoal(value: unknown): Goal {
  const { against, atMost } = record(value)
  return { atMost: number(atMost), ...(against === undefined ? {} : { against: text(against) }) }
}

function record(value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null) throw new Error(`no record: ${JSON.stringify(value)}`)
  return { ...value }
}

function list(value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) throw new Error(`no list: ${JSON.stringify(value)}`)
  return value
}

function text(value: unknown): string {
  if (typeof value !== 'string') throw new Error(`no text: ${JSON.stringify(value)}`)
  return value
}

function number(value: unknown): number {
  if (typeof value !== 'number') throw new Error(`no number: ${JSON.stringify(value)}`)
  return value
}

function oneOf<T extends string>(names: readonly T[], value: unknown): T {
  const found = names.find((name) => name === value)
  if (found === undefined) throw new Error(`none of ${names.join(', ')}: ${JSON.stringify(value)}`)
  return found
}
