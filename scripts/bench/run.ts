/** Runs contests: in each round every subject of each once, one after the other, and after each measurement the file is written. */

import { emptyRow, emptySubject } from './results.ts'
import type { Contest, Figure, Row, RowSubject, Subject } from './row.ts'
import { quantity } from './table.ts'

export interface RunOptions {
  readonly rounds: number
  /** Contests at the same time, but for those that are alone. */
  readonly jobs: number
  /** Whether the subject at this place is measured in this run; ours is at 0. Contests that are alone are run whole. */
  readonly plays?: (place: number) => boolean
  readonly tell: (line: string) => void
  /** Called after each measurement. */
  readonly keep: (rows: readonly Row[]) => void
}

/** Goes on with `before`: resolves when every subject has its rounds. Rows of contests that are not run stay. */
export async function runContests(
  contests: readonly Contest[],
  before: readonly Row[],
  { jobs, keep, plays = () => true, rounds, tell }: RunOptions,
): Promise<void> {
  const rows = new Map(before.map((row): [string, Row] => [row.id, row]))
  for (const contest of contests) rows.set(contest.id, continueRow(contest, rows.get(contest.id)))

  const play = async (contest: Contest, round: number) => {
    for (const [place, subject] of contest.subjects.entries()) {
      if (!contest.alone && !plays(place)) continue
      const done = subjectOf(rows.get(contest.id), subject)
      if (done.figures.length + done.failures.length >= (contest.exact ? 1 : round)) continue
      const began = Date.now()
      const found = await measure(subject, round)
      const row = rows.get(contest.id) ?? emptyRow(contest)
      rows.set(contest.id, withFound(row, subject.name, found))
      keep([...rows.values()])
      const took = Math.round((Date.now() - began) / 1000)
      const result =
        'failure' in found ? `FAILED: ${found.failure}` : quantity(found.figure.value, contest.unit)
      tell(`round ${round}  ${contest.id}  ${subject.name}: ${result}  (${took} s)`)
    }
  }

  for (let round = 1; round <= rounds; round++) {
    const began = Date.now()
    const queue = contests.filter(({ alone }) => !alone)
    const lane = async () => {
      for (let next = queue.shift(); next !== undefined; next = queue.shift()) await play(next, round)
    }
    await Promise.all(Array.from({ length: jobs }, lane))
    for (const contest of contests) if (contest.alone) await play(contest, round)
    const minutes = (Date.now() - began) / 60_000
    // The first has what is measured once, too.
    const more = round < rounds ? `; at most ${Math.ceil(minutes * (rounds - round))} more` : ''
    tell(`round ${round} of ${rounds}: ${minutes.toFixed(1)} minutes${more}`)
  }
}

type Found = { readonly figure: Figure } | { readonly failure: string }

async function measure(subject: Subject, round: number): Promise<Found> {
  try {
    return { figure: await subject.measure(round) }
  } catch (error) {
    return { failure: error instanceof Error ? error.message : String(error) }
  }
}

/** Subjects that this run leaves out keep what they have; where all are to be measured in turn, a new one ends that. */
function continueRow(contest: Contest, known: Row | undefined): Row {
  const isNew = ({ basis = '', name }: Subject) =>
    known?.subjects.some((each) => each.name === name && each.basis !== basis) ?? false
  const row = contest.alone && contest.subjects.some(isNew) ? undefined : known
  const named = contest.subjects.map((subject) => subjectOf(row, subject))
  const others = row?.subjects.filter(({ name }) => !named.some((each) => each.name === name)) ?? []
  return { ...emptyRow(contest), subjects: [...named, ...others] }
}

function subjectOf(row: Row | undefined, subject: Subject): RowSubject {
  const fresh = emptySubject(subject)
  const known = row?.subjects.find(({ name, basis }) => name === fresh.name && basis === fresh.basis)
  return known === undefined ? fresh : { ...known, isFloor: fresh.isFloor }
}

function withFound(row: Row, name: string, found: Found): Row {
  const subjects = row.subjects.map((subject) => {
    if (subject.name !== name) return subject
    return 'failure' in found
      ? { ...subject, failures: [...subject.failures, found.failure.slice(-600)] }
      : { ...subject, figures: [...subject.figures, found.figure] }
  })
  return { ...row, subjects }
}
