/** What a race of network cards (race.ts) is about: who may run, what a run is, what a win is worth. */

import type { Link, Mac } from '../sys/index.ts'
import type { MissingFirmware } from './cards.ts'
import type { FailedLease } from './join-errors.ts'

export interface RaceRequest {
  /** The only links that may win, by name. */
  readonly devices: readonly string[] | undefined
  /** The only one, by MAC; when the machine has no such card every card races, with a word. */
  readonly bootInterface: Mac | undefined
  /** What a link's hardware address is set to before it is brought up. */
  readonly mac?: Mac | undefined
  /** Settles when the drivers of what is there were loaded. */
  readonly coldplug: Promise<unknown>
  /** How long after that a card may take to appear. */
  readonly cardMs: number
  /** How long a card may be up without a carrier. */
  readonly carrierMs: number
  /** The end of it all, for a carrier that comes and goes for ever. */
  readonly totalMs: number
  /** Cards that no driver took, for the error when there is none. */
  readonly describeCards: () => Promise<readonly string[]>
  readonly missingFirmware?: MissingFirmware | undefined
  readonly onNotice: (text: string) => void
}

/** What a card with a carrier may end in. */
export type CardResult<T> = { readonly kind: 'won'; readonly value: T } | FailedLease

export interface Contestant<T> {
  /** Tries to configure a link that has a carrier; rejects with ABORTED when the signal fires. */
  readonly run: (link: Link, signal: AbortSignal) => Promise<CardResult<T>>
  /** Undoes a `run` that won when another had won already. The link is still up. */
  readonly giveBack: (link: Link, value: T) => Promise<void>
  /** Whether a win leads anywhere. Absent: every win does. */
  readonly proof?: Proof<T> | undefined
}

export interface Proof<T> {
  /**
   * Configures the link and looks whether what is to be booted can be reached: undefined, or why not. Only one link is
   * looked at at a time.
   */
  readonly look: (link: Link, value: T, signal: AbortSignal) => Promise<Doubt | undefined>
  /** Takes from the link what `look` put there. */
  readonly undo: (link: Link) => Promise<void>
}

export interface Doubt {
  /** For a person: `nobody answers at 10.0.2.2:80`. */
  readonly reason: string
  /** Somebody answered: of several doubtful cards this one is taken. */
  readonly hope: boolean
}

export interface Winner<T> {
  readonly link: Link
  readonly value: T
  /** Its proof was looked at, and the link is configured as that left it. */
  readonly proved: boolean
}
