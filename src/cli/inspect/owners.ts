/** Who owns what in an archive: for how many entries each. */

import { clean } from './bytes.ts'

export interface OwnerFacts {
  /** `root:root (0:0)`; numbers alone where the archive has no names. */
  readonly owner: string
  readonly entries: number
}

interface Owned {
  readonly uid: number
  readonly gid: number
  readonly user: string
  readonly group: string
}

export function ownersOf(entries: readonly Owned[]): readonly OwnerFacts[] {
  const counts = new Map<string, number>()
  for (const { uid, gid, user, group } of entries) {
    const numbers = `${uid}:${gid}`
    const owner = user === '' && group === '' ? numbers : `${clean(user)}:${clean(group)} (${numbers})`
    counts.set(owner, (counts.get(owner) ?? 0) + 1)
  }
  return [...counts]
    .map(([owner, entries]) => ({ owner, entries }))
    .sort((a, b) => b.entries - a.entries || (a.owner < b.owner ? -1 : 1))
}
