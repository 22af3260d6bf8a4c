/** What an example of `diskless COMMAND --help` needs around it to be run as it is printed, and what shows that it works. */

/** By the example's own words: what it is about. */
export type Rehearsals = Readonly<Record<string, Rehearsal>>

export type Rehearsal = Setting & Proof

/** All commands are bash's, run with -euo pipefail in the example's own copy of this machine (functions.ts has more words). */
interface Setting {
  /** What its reader has already, besides what all have (test/support/copy/reader.ts). */
  readonly before?: string
  /** Runs beside it, where it waits for somebody. */
  readonly meanwhile?: string
  /** It is typed at a terminal, and not in a script: `press` is for its keys. */
  readonly terminal?: boolean
  /** Its exit status [0]. */
  readonly status?: number
}

type Proof =
  | { readonly says: readonly [RegExp, ...RegExp[]]; readonly after?: string }
  /** Fails where it has not done what it is for. */
  | { readonly says?: undefined; readonly after: string }
