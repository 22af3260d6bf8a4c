/** The did-you-mean: which of some names a typo was probably meant to be. */

/** The nearest candidate within two edits (one for names of up to four letters), case ignored; undefined if none is near. */
export function closest(typed: string, candidates: Iterable<string>): string | undefined {
  const allowed = typed.length <= 4 ? 1 : 2
  let best: { name: string; edits: number } | undefined
  for (const name of candidates) {
    if (Math.abs(name.length - typed.length) > allowed) continue
    const edits = editsBetween(typed.toLowerCase(), name.toLowerCase())
    if (edits <= allowed && edits < (best?.edits ?? Number.POSITIVE_INFINITY)) best = { name, edits }
  }
  return best?.name
}

/** Insertions, deletions, replacements and swaps of neighbours (optimal string alignment). */
function editsBetween(a: string, b: string): number {
  let before: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, column) => column)
  for (let row = 1; row <= a.length; row++) {
    const next = [row]
    for (let column = 1; column <= b.length; column++) {
      const same = a[row - 1] === b[column - 1]
      let edits = Math.min(
        (last[column] ?? 0) + 1,
        (next[column - 1] ?? 0) + 1,
        (last[column - 1] ?? 0) + (same ? 0 : 1),
      )
      const swapped = row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1]
      if (swapped) edits = Math.min(edits, (before[column - 2] ?? 0) + 1)
      next.push(edits)
    }
    before = last
    last = next
  }
  return last[b.length] ?? 0
}
