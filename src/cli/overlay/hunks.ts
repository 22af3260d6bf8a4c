/** What changed between two texts, as `diff -u` tells it: the shortest way by Myers (An O(ND) Difference Algorithm, 1986). */

const context = 3
/** Beyond so many changes nobody reads on, and the search takes its square in time and memory. */
const mostChanges = 500

interface Line {
  readonly sign: ' ' | '-' | '+'
  readonly text: string
}

/** Hunks with their `@@` lines; undefined: too much is different to be shown. */
export function unifiedHunks(before: string, after: string): string[] | undefined {
  const lines = compareLines(split(before), split(after))
  if (lines === undefined) return undefined
  const hunks: string[] = []
  let [oldLine, newLine] = [1, 1]
  for (let at = 0; at < lines.length; ) {
    const next = lines.findIndex(({ sign }, index) => index >= at && sign !== ' ')
    if (next === -1) break
    const start = Math.max(at, next - context)
    const end = endOfHunk(lines, next)
    oldLine += start - at
    newLine += start - at
    const hunk = lines.slice(start, end)
    const olds = hunk.filter(({ sign }) => sign !== '+').length
    const news = hunk.filter(({ sign }) => sign !== '-').length
    hunks.push(`@@ -${range(oldLine, olds)} +${range(newLine, news)} @@`)
    hunks.push(...hunk.map(({ sign, text }) => sign + text))
    oldLine += olds
    newLine += news
    at = end
  }
  return hunks
}

function range(line: number, count: number): string {
  if (count === 1) return `${line}`
  return `${count === 0 ? line - 1 : line},${count}`
}

/** Changes that are near share one. */
function endOfHunk(lines: readonly Line[], first: number): number {
  let end = first + 1
  for (let at = first; at < lines.length && at <= end + 2 * context; at++) {
    if (lines[at]?.sign !== ' ') end = at + 1
  }
  return Math.min(lines.length, end + context)
}

function split(text: string): string[] {
  const lines = text.split('\n')
  if (lines.at(-1) === '') lines.pop()
  else lines[lines.length - 1] += '  (no newline at its end)'
  return lines
}

function compareLines(before: readonly string[], after: readonly string[]): Line[] | undefined {
  const furthest = new Map([[1, 0]])
  const trail: ReadonlyMap<number, number>[] = []
  for (let changes = 0; changes <= Math.min(mostChanges, before.length + after.length); changes++) {
    trail.push(new Map(furthest))
    for (let diagonal = -changes; diagonal <= changes; diagonal += 2) {
      let x = startOn(furthest, diagonal, changes)
      while (x < before.length && x - diagonal < after.length && before[x] === after[x - diagonal]) x++
      furthest.set(diagonal, x)
      if (x >= before.length && x - diagonal >= after.length) return traceBack(before, after, trail)
    }
  }
  return undefined
}

/** Whether a line is added on the way to this diagonal; else one goes. */
function isDown(furthest: ReadonlyMap<number, number>, diagonal: number, changes: number): boolean {
  if (diagonal === -changes) return true
  return diagonal !== changes && (furthest.get(diagonal - 1) ?? -1) < (furthest.get(diagonal + 1) ?? -1)
}

function startOn(furthest: ReadonlyMap<number, number>, diagonal: number, changes: number): number {
  return isDown(furthest, diagonal, changes)
    ? (furthest.get(diagonal + 1) ?? 0)
    : (furthest.get(diagonal - 1) ?? 0) + 1
}

function traceBack(
  before: readonly string[],
  after: readonly string[],
  trail: readonly ReadonlyMap<number, number>[],
): Line[] {
  const lines: Line[] = []
  let [x, y] = [before.length, after.length]
  const same = () => {
    lines.push({ sign: ' ', text: before[--x] ?? '' })
    y--
  }
  for (let changes = trail.length - 1; changes > 0; changes--) {
    const furthest = trail[changes] ?? new Map<number, number>()
    const diagonal = x - y
    const down = isDown(furthest, diagonal, changes)
    const from = down ? diagonal + 1 : diagonal - 1
    const start = furthest.get(from) ?? 0
    while (x > start && y > start - from) same()
    if (down) lines.push({ sign: '+', text: after[--y] ?? '' })
    else lines.push({ sign: '-', text: before[--x] ?? '' })
  }
  while (x > 0) same()
  return lines.reverse()
}
