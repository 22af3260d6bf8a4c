/** What the solver has still to look at: names about which something changed, and names that are not decided. */

import type { Name, Package } from './graph.ts'

export class Agenda {
  #dirty: Name[] = []
  /** The last one entered is looked at first. */
  readonly #unresolved: Name[] = []

  /** Until nothing changes any more. */
  settle(reconsider: (name: Name) => void): void {
    while (this.#dirty.length > 0) {
      const names = this.#dirty
      this.#dirty = []
      // What gets dirty meanwhile comes after all of these: the queue is one, in two arrays.
      for (const name of names) {
        if (!name.state.dirty) continue
        name.state.dirty = false
        reconsider(name)
      }
    }
  }

  queueDirty(name: Name): void {
    const { state } = name
    if (state.dirty || state.chosen !== undefined || (state.requirers === 0 && !state.reevaluateInstallIf))
      return
    state.dirty = true
    this.#dirty.push(name)
  }

  queueUnresolved(name: Name): void {
    const { state } = name
    if (state.chosen !== undefined) return
    const wanted = state.requirers > 0 || state.hasInstallIf
    if (wanted && !state.unresolved) {
      state.unresolved = true
      this.#unresolved.push(name)
    } else if (!wanted && state.unresolved) this.dropUnresolved(name)
  }

  dropUnresolved(name: Name): void {
    if (!name.state.unresolved) return
    name.state.unresolved = false
    this.#unresolved.splice(this.#unresolved.lastIndexOf(name), 1)
  }

  reevaluateDependents(name: Name): void {
    for (const other of name.rdepends) {
      if (!other.state.seen) continue
      other.state.reevaluateDepends = true
      this.queueDirty(other)
    }
  }

  reevaluateInstallIf(name: Name): void {
    for (const other of name.rinstallIf) {
      if (!other.state.seen || other.state.noInstallIf) continue
      other.state.reevaluateInstallIf = true
      this.queueDirty(other)
    }
  }

  reevaluateInstallIfOf(pkg: Package): void {
    this.reevaluateInstallIf(pkg.name)
    for (const { name } of pkg.provides) this.reevaluateInstallIf(name)
  }

  /** The one to decide next: what leaves no choice any more, or else the one of the lowest rank. */
  mostPressing(): Name | undefined {
    let best: Name | undefined
    let bestRank = Number.POSITIVE_INFINITY
    for (let i = this.#unresolved.length - 1; i >= 0; i--) {
      const name = this.#unresolved[i]
      if (name === undefined) continue
      const { state } = name
      if (state.requirers > 0 && state.reverseDependsDone && !state.hasOptions) return name
      const rank = state.requirers > 0 ? state.rank : state.rank + 1
      if (rank >= bestRank) continue
      best = name
      bestRank = rank
    }
    return best
  }
}
