/** What is said of a row of figures. */

export interface Spread {
  readonly median: number
  readonly least: number
  readonly most: number
  readonly count: number
}

/** Undefined for none. */
export function spreadOf(values: readonly number[]): Spread | undefined {
  const sorted = [...values].sort((a, b) => a - b)
  const [least] = sorted
  const most = sorted.at(-1)
  if (least === undefined || most === undefined) return undefined
  return { median: middle(sorted), least, most, count: sorted.length }
}

/** Of an even number, the mean of the two in the middle. */
function middle(sorted: readonly number[]): number {
  const half = Math.floor(sorted.length / 2)
  const upper = sorted[half] ?? Number.NaN
  return sorted.length % 2 === 1 ? upper : ((sorted[half - 1] ?? Number.NaN) + upper) / 2
}

/** With three digits that count: `0.512`, `4.63`, `112`. */
export function digits(value: number): string {
  if (value >= 100) return value.toFixed(0)
  return value.toFixed(value >= 10 ? 1 : 2)
}
