/**
 * Chooses the packages for a world as apk-tools 2.14 does: the same decisions in the same order, so that what it
 * picks among equals is what apk picks.
 *
 * It propagates constraints up and down until nothing is left to say about any name, then decides one name, the most
 * pressing, and goes on. It never takes a decision back; what turns out wrong is an error of the packages concerned,
 * and the world's entries that need them are left out and everything is decided anew without them.
 */

import { Agenda } from './agenda.ts'
import { discover } from './discover.ts'
import type { Name, Package, Provider, Requirement, Universe, WorldEntry } from './graph.ts'
import { chosenPackage, isFulfilled, labelOf, newNameState, newPackageState } from './graph.ts'
import { bestProvider, rankOf } from './preference.ts'
import type { Tags } from './tags.ts'
import { UNTAGGED } from './tags.ts'

/** One try: the notes of names and packages are fresh before it and hold the decisions after it. */
export class Solver {
  readonly #universe: Universe
  readonly #tags: Tags
  readonly #excluded: ReadonlyMap<Package, unknown>
  readonly #agenda = new Agenda()
  errors = 0

  /** `excluded`: packages that are not to be chosen. */
  constructor(universe: Universe, tags: Tags, excluded: ReadonlyMap<Package, unknown>) {
    this.#universe = universe
    this.#tags = tags
    this.#excluded = excluded
  }

  /** `asked`: names that are decided before others. */
  solve(world: readonly WorldEntry[], asked: readonly Name[]): void {
    for (const name of this.#universe.names.values()) name.state = newNameState()
    for (const pkg of this.#universe.packages) pkg.state = newPackageState()
    const ground = { excluded: this.#excluded, untagged: this.#tags.repositoriesOf(UNTAGGED) }
    for (const { name } of world) discover(name, ground)
    const first = new Set(asked)
    for (const name of this.#universe.names.values()) name.state.rank = rankOf(name, first.has(name))
    for (const { name, dependency } of world) {
      this.#constrain(undefined, this.#tags.bitOf(dependency), { name, dependency })
    }
    for (;;) {
      this.#agenda.settle((name) => this.#reconsider(name))
      const next = this.#agenda.mostPressing()
      if (next === undefined) return
      this.#decide(next)
    }
  }

  fail(pkg: Package | undefined, reason: string): void {
    if (pkg === undefined || pkg.state.error !== undefined) return
    pkg.state.error = reason
    this.errors++
  }

  #disqualify(pkg: Package): void {
    pkg.state.selectable = false
    this.#agenda.reevaluateDependents(pkg.name)
    for (const { name } of pkg.provides) this.#agenda.reevaluateDependents(name)
    this.#agenda.reevaluateInstallIfOf(pkg)
  }

  #isSatisfiable({ name, dependency }: Requirement): boolean {
    if (name.state.chosen !== undefined) return isFulfilled(dependency, name.state.chosen)
    if (name.state.requirers === 0 && isFulfilled(dependency, 'nothing')) return true
    return name.providers.some((p) => p.package.state.selectable && isFulfilled(dependency, p))
  }

  #requirersChanged(name: Name): void {
    this.#agenda.queueUnresolved(name)
    this.#agenda.reevaluateInstallIf(name)
    this.#agenda.queueDirty(name)
  }

  /** What `parent` may come from, `pkg` may as well; a world entry brings its own tag. */
  #inheritTags(pkg: Package, parent: Package | undefined, worldTag: number): void {
    const { state, repositories } = pkg
    if (parent !== undefined) state.tagsAllowed |= parent.state.tagsAllowed
    else {
      state.tagsAllowed |= worldTag
      state.tagPreferred = (repositories & this.#tags.repositoriesOf(worldTag)) !== 0
    }
    if ((repositories & this.#tags.repositoriesOf(state.tagsAllowed)) !== 0) state.tagOk = true
  }

  #constrain(parent: Package | undefined, worldTag: number, { name, dependency }: Requirement): void {
    if (!dependency.conflict) {
      name.state.requirers++
      if (name.state.requirers === 1) this.#requirersChanged(name)
    }
    for (const provider of name.providers) {
      const pkg = provider.package
      const fits = isFulfilled(dependency, provider)
      if (!fits) pkg.state.conflicts++
      if (pkg.state.selectable && pkg.state.conflicts > 0) this.#disqualify(pkg)
      if (fits) this.#inheritTags(pkg, parent, worldTag)
    }
  }

  /** Every option for `wanted` provides `name`: what provides `name` without `wanted` is out. */
  #excludeOthers(name: Name, wanted: Name, skipVirtuals: boolean): void {
    if (name === wanted) return
    for (const { package: pkg, version } of name.providers) {
      if (pkg.name === wanted || !pkg.state.selectable || (skipVirtuals && version === undefined)) continue
      if (pkg.provides.some((p) => p.name === wanted || (skipVirtuals && p.version === undefined))) continue
      this.#disqualify(pkg)
    }
  }

  #triggerInstallIf(pkg: Package): void {
    const { state } = pkg
    if (!state.installIfTriggered && !state.installIfFailed) {
      state.installIfTriggered = true
      for (const { name, dependency } of pkg.installIf) {
        const { chosen } = name.state
        if (chosen !== undefined && isFulfilled(dependency, chosen)) continue
        state.installIfTriggered = false
        state.installIfFailed = chosen !== undefined
        break
      }
    }
    if (!state.installIfTriggered) return
    for (const { name } of pkg.installIf) {
      this.#inheritTags(pkg, chosenPackage(name.state), 0)
    }
  }

  #reconsider(name: Name): void {
    const { state } = name
    const { reevaluateDepends, reevaluateInstallIf } = state
    state.reevaluateDepends = false
    state.reevaluateInstallIf = false
    let first: Package | undefined
    let options = 0
    let tagsNotOk = 0
    let hasInstallIf = false
    let noInstallIf = true
    for (const { package: pkg, version } of name.providers) {
      pkg.state.dependsMerged = false
      if (!pkg.state.selectable) continue
      if (reevaluateDepends && !pkg.depends.every((requirement) => this.#isSatisfiable(requirement))) {
        this.#disqualify(pkg)
        continue
      }
      if (reevaluateInstallIf) this.#triggerInstallIf(pkg)
      hasInstallIf ||= pkg.state.installIfTriggered
      noInstallIf &&= pkg.state.installIfFailed
      if (state.requirers === 0) continue

      pkg.state.dependsMerged = true
      first ??= pkg
      for (const { name: below, dependency } of pkg.depends) {
        if (!dependency.conflict && below.state.mergeDepends === options)
          below.state.mergeDepends = options + 1
      }
      if (pkg.name.state.mergeProvides === options) {
        pkg.name.state.mergeProvides = options + 1
        pkg.name.state.hasVirtualProvides ||= version === undefined
      }
      for (const provided of pkg.provides) {
        if (provided.name.state.mergeProvides !== options) continue
        provided.name.state.mergeProvides = options + 1
        provided.name.state.hasVirtualProvides ||= provided.version === undefined
      }
      if (!pkg.state.tagOk) tagsNotOk++
      options++
    }
    state.hasOptions = options > 1 || tagsNotOk > 0
    state.hasInstallIf = hasInstallIf
    state.noInstallIf = noInstallIf
    this.#agenda.queueUnresolved(name)
    if (first !== undefined) this.#propagate(name, first, options)
    // What is decided stays so: no need to look at the first ones again.
    for (; state.dependentsDone < name.rdepends.length; state.dependentsDone++) {
      const other = name.rdepends[state.dependentsDone]?.state
      if (other?.seen && other.chosen === undefined) break
    }
    state.reverseDependsDone = state.dependentsDone === name.rdepends.length
  }

  /** What all the options of a name have in common holds already. */
  #propagate(name: Name, first: Package, options: number): void {
    for (const { package: pkg } of name.providers) pkg.state.dependsUsed = pkg.state.dependsMerged
    for (const requirement of first.depends) {
      const below = requirement.name
      const common = below.state.mergeDepends === options
      below.state.mergeDepends = 0
      if (!common) continue
      if (options === 1) this.#constrain(first, 0, requirement)
      else if (below.state.requirers === 0) {
        below.state.requirers++
        this.#requirersChanged(below)
        for (const { package: pkg } of below.providers) this.#inheritTags(pkg, first, 0)
      }
    }
    for (const provided of [first.name, ...first.provides.map((p) => p.name)]) {
      const common = provided.state.mergeProvides === options
      provided.state.mergeProvides = 0
      if (common) this.#excludeOthers(provided, name, provided.state.hasVirtualProvides)
    }
    first.name.state.hasVirtualProvides = false
    for (const { name: provided } of first.provides) provided.state.hasVirtualProvides = false
  }

  #decide(name: Name): void {
    const chosen = bestProvider(name)
    if (chosen === undefined) {
      this.#assign(name, 'nothing')
      if (name.state.requirers > 0) this.errors++
      return
    }
    const pkg = chosen.package
    if (!pkg.state.selectable) this.fail(pkg, 'something else that is asked for rules it out')
    else if (!pkg.state.tagOk) this.fail(pkg, 'it is only in a tagged repository')
    this.#assign(pkg.name, { package: pkg, version: pkg.version })
    for (const provided of pkg.provides) {
      this.#assign(provided.name, { package: pkg, version: provided.version })
    }
    for (const requirement of pkg.depends) this.#constrain(pkg, 0, requirement)
  }

  #assign(name: Name, choice: Provider | 'nothing'): void {
    const { state } = name
    if (state.chosen !== undefined) {
      if (typeof choice === 'string') return
      const held = typeof state.chosen === 'object' ? state.chosen : undefined
      if (choice.version === undefined && held?.version === undefined) return
      const [a, b] = [choice.package, held?.package]
      this.fail(a, `${b === undefined ? 'another package' : labelOf(b)} provides ${name.text} as well`)
      this.fail(b, `${labelOf(a)} provides ${name.text} as well`)
      return
    }
    state.chosen = choice
    state.dirty = false
    this.#agenda.dropUnresolved(name)
    const pkg = typeof choice === 'object' ? choice.package : undefined
    const version = typeof choice === 'object' ? choice.version : undefined
    for (const other of name.providers) {
      if (other.package === pkg || (version === undefined && other.version === undefined)) continue
      this.#disqualify(other.package)
    }
    this.#agenda.reevaluateDependents(name)
    if (pkg === undefined) this.#agenda.reevaluateInstallIf(name)
    else if (!pkg.state.announced) {
      // Once for all the names that are assigned to it now.
      pkg.state.announced = true
      this.#agenda.reevaluateInstallIfOf(pkg)
    }
  }
}
