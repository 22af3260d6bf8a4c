/** Where in the picture a moment is, and the marks on its axis. */

export interface Scale {
  readonly from: number
  readonly to: number
  x(milliseconds: number): number
  /** Moments of the marks, in milliseconds. */
  readonly ticks: readonly number[]
  /** As a mark is called: `1.5 s`. */
  name(milliseconds: number): string
}

/** From 1, 2 or 5 milliseconds up, the smallest step with at most so many marks. */
function stepFor(length: number, most: number): number {
  const magnitudes = Array.from({ length: 12 }, (_, power) => 10 ** power)
  const steps = [...magnitudes.flatMap((each) => [each, 2 * each, 5 * each])]
  return steps.find((step) => length / step <= most) ?? 1e12
}

export function makeScale(from: number, to: number, left: number, right: number): Scale {
  const length = Math.max(to - from, 1)
  const step = stepFor(length, Math.max(2, Math.floor((right - left) / 90)))
  const first = Math.ceil(from / step)
  const ticks = Array.from({ length: Math.floor(to / step) - first + 1 }, (_, at) => (first + at) * step)
  const decimals = step >= 1000 ? 0 : step >= 100 ? 1 : step >= 10 ? 2 : 3
  return {
    from,
    to,
    x: (milliseconds) => left + ((milliseconds - from) / length) * (right - left),
    ticks,
    name: (milliseconds) => `${(milliseconds / 1000).toFixed(decimals)} s`,
  }
}

/**
 * The first moment that is drawn: the kernel's start, unless the kernel took most of the time, which is then cut off.
 */
export function firstMoment(boots: readonly { readonly started: number; readonly end: number }[]): number {
  const started = Math.min(...boots.map((boot) => boot.started))
  const end = Math.max(...boots.map((boot) => boot.end))
  return started > end / 2 ? started - (end - started) * 0.06 : 0
}
