/** The solver's first look around: what can be reached from a name, how deep that goes, and what may be chosen at all. */

import type { Name, Package } from './graph.ts'
import { UNTAGGED } from './tags.ts'

export interface Ground {
  /** Packages that are not to be chosen. */
  readonly excluded: ReadonlyMap<Package, unknown>
  /** Bits of the repositories without a tag. */
  readonly untagged: number
}

/**
 * Notes what lies below a name, once. The walk keeps a stack of its own: chains of dependencies may be deeper than the
 * engine's.
 */
export function discover(first: Name, ground: Ground): void {
  const walk = [visit(first, ground)]
  for (let at = walk.at(-1); at !== undefined; at = walk.at(-1)) {
    const next = at.next()
    if (next.done) walk.pop()
    else walk.push(visit(next.value, ground))
  }
}

function* visit(name: Name, ground: Ground): Generator<Name, void> {
  const state = name.state
  if (state.seen) return
  state.seen = true
  state.noInstallIf = true
  for (const { package: pkg } of name.providers) {
    if (!pkg.state.seen) {
      pkg.state.seen = true
      pkg.state.tagsAllowed = UNTAGGED
      pkg.state.selectable = !ground.excluded.has(pkg)
      pkg.state.installIfFailed = pkg.installIf.length === 0
      pkg.state.tagPreferred = pkg.empty || (pkg.repositories & ground.untagged) !== 0
      pkg.state.tagOk = pkg.state.tagPreferred
      for (const { name: below } of pkg.depends) {
        if (!below.state.seen) yield below
        pkg.state.depth = Math.max(pkg.state.depth, below.state.depth + 1)
      }
    }
    state.noInstallIf &&= pkg.state.installIfFailed
    state.depth = Math.max(state.depth, pkg.state.depth)
  }
  for (const { package: pkg } of name.providers) {
    for (const other of pkg.name.rinstallIf) if (!other.state.seen) yield other
    for (const { name: provided } of pkg.provides) {
      if (provided.state.seen) continue
      for (const other of provided.rinstallIf) if (!other.state.seen) yield other
    }
  }
}
