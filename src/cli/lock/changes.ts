/** What is different in a lock from the one before, for a person and for a log. */

import { compareWorlds, formatEntries, type Lock } from '../../apk/lock.ts'
import type { SelectedPackage } from '../../apk/select.ts'

export interface Changes {
  readonly world: { readonly added: readonly string[]; readonly removed: readonly string[] }
  readonly added: readonly string[]
  readonly removed: readonly string[]
  readonly changed: readonly { readonly name: string; readonly from: string; readonly to: string }[]
  /** `name-version`: another content under the same version. */
  readonly rebuilt: readonly string[]
  /** Anything else: the order, the repositories, digests that are known now. */
  readonly other: boolean
}

export function compareLocks(former: Lock, lock: Lock): Changes {
  const before = new Map(former.packages.map((pkg) => [pkg.name, pkg]))
  const now = new Map(lock.packages.map((pkg) => [pkg.name, pkg]))
  const both = lock.packages.flatMap((to) => {
    const from = before.get(to.name)
    return from === undefined ? [] : [{ from, to }]
  })
  const { lacking, further } = compareWorlds(lock.world, former.world)
  const changes = {
    world: { added: lacking, removed: further },
    added: lock.packages.filter(({ name }) => !before.has(name)).map(labelOf),
    removed: former.packages.filter(({ name }) => !now.has(name)).map(labelOf),
    changed: both
      .filter(({ from, to }) => from.version !== to.version)
      .map(({ from, to }) => ({ name: to.name, from: from.version, to: to.version })),
    rebuilt: both
      .filter(({ from, to }) => from.version === to.version && from.checksum !== to.checksum)
      .map(({ to }) => labelOf(to)),
  }
  const nothing = Object.values(changes).every((change) => !Array.isArray(change) || change.length === 0)
  const asBefore = nothing && lacking.length + further.length === 0
  return { ...changes, other: asBefore && contentOf(former) !== contentOf(lock) }
}

export function isEmpty({ world, other, ...lists }: Changes): boolean {
  const all = [world.added, world.removed, ...Object.values(lists)]
  return !other && all.every((list) => list.length === 0)
}

/** A line each. */
export function describeChanges({
  world,
  added,
  removed,
  changed,
  rebuilt,
  other,
}: Changes): readonly string[] {
  const row = (what: string, text: string) => `  ${what.padEnd(8)} ${text}`
  return [
    ...world.added.map((entry) => row('world', `+ ${entry}`)),
    ...world.removed.map((entry) => row('world', `- ${entry}`)),
    ...added.map((label) => row('added', label)),
    ...removed.map((label) => row('removed', label)),
    ...changed.map(({ name, from, to }) => row('changed', `${name} ${from} -> ${to}`)),
    ...rebuilt.map((label) => row('rebuilt', `${label}: another content under the same version`)),
    ...(other ? [row('other', 'the repositories, the order, or what is known of the same packages')] : []),
  ]
}

function labelOf({ name, version }: SelectedPackage): string {
  return `${name}-${version}`
}

function contentOf({ arch, world, repositories, packages }: Lock): string {
  return JSON.stringify([arch, formatEntries(world), repositories, packages])
}
