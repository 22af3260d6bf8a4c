/** What the bench measures and what it found: contests of subjects that are run in turn, and their figures. */

export const groups = ['nfs', 'image', 'packages', 'size', 'memory'] as const

export type Group = (typeof groups)[number]

/** MB are 10^6 bytes of a file, MiB what `-m` of QEMU counts. */
export const units = ['s', 'ms', 'MB', 'MiB'] as const

export type Unit = (typeof units)[number]

/** One measurement. `parts` say what it consists of, by name and in the same unit; they may overlap. */
export interface Figure {
  readonly value: number
  readonly parts?: Readonly<Record<string, number>>
}

/** `measure` rejects where nothing could be measured, with what a person should know. `round` begins at 1. */
export interface Subject {
  readonly name: string
  /** Ours is compared with it, and nobody could be faster. */
  readonly isFloor?: boolean
  /** Of what is measured, a digest say: figures of another one are forgotten. */
  readonly basis?: string
  measure(round: number): Promise<Figure>
}

/** Ours is to take at most so many times what `against` takes: a ratio of medians. Or at most so much, in the row's unit. */
export interface Goal {
  readonly against?: string
  readonly atMost: number
}

/** What is compared in one row of the table. */
export interface Contest {
  /** Names the row in the JSON, so that a later run goes on where this one ended. */
  readonly id: string
  readonly group: Group
  readonly title: string
  readonly unit: Unit
  /** Ours first. Those that could not be made are left out, and `note` says why. */
  readonly subjects: readonly Subject[]
  readonly goals?: readonly Goal[]
  readonly note?: string
  /** Measures the same each time: one round is enough. */
  readonly exact?: boolean
  /** By this machine's own clock: nothing else may run meanwhile, and whoever is new is measured in turn with all others. */
  readonly alone?: boolean
}

/** A contest's figures so far, as the JSON has them: by subject, one a round. A failure is told and counts as a round. */
export interface Row {
  readonly id: string
  readonly group: Group
  readonly title: string
  readonly unit: Unit
  readonly goals: readonly Goal[]
  readonly note: string
  /** Ours first. */
  readonly subjects: readonly RowSubject[]
}

export interface RowSubject {
  readonly name: string
  readonly isFloor: boolean
  readonly basis: string
  readonly figures: readonly Figure[]
  readonly failures: readonly string[]
}
