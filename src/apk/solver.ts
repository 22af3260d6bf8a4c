/**
 * Chooses the packages for a world as apk-tools 2.14 does: the same decisions in the same order, so that what it
 * picks among equals is what apk picks.
 *
 * It propagates constraints up and down until nothing is left to say about any name, then decides one name, the most
 * pressing, and goes on. It never takes a decision back; what turns out wrong is an error of the packages concerned,
 * and the world's entries that need them are left out and everything is decided anew without them.
 */

import type { Dependency } from './dependency.ts'
import { matches } from './dependency.ts'
import type { NameState } from './solver-state.ts'
import { newNameState, newPackageState } from './solver-state.ts'
import type { Tags } from './tags.ts'
import { UNTAGGED } from './tags.ts'
import type { Name, Package, Provider, Requirement, Universe } from './universe.ts'
import { compareVersions } from './version.ts'

export interface WorldEntry {
  readonly name: Name
  readonly dependency: Dependency
}

/** Whether this choice does what the dependency asks, `!` included. */
export function isFulfilled(dependency: Dependency, chosen: Provider | 'nothing' | undefined): boolean {
  if (chosen === undefined || chosen === 'nothing') return dependency.conflict
  return matches(dependency, chosen.version, chosen.package.checksum) !== dependency.conflict
}

/** The package that a name was decided to; undefined for none. */
export function chosenPackage(state: NameState): Package | undefined {
  return typeof state.chosen === 'object' ? state.chosen.package : undefined
}

/** More than the longest chain of dependencies. */
const DEEPEST = 1 << 20

/** One try: the notes of names and packages are fresh before it and hold the decisions after it. */
export class Solver {
  readonly #universe: Universe
  readonly #tags: Tags
  readonly #untagged: number
  readonly #excluded: ReadonlySet<Package>
  #dirty: Name[] = []
  /** The last one entered is looked at first. */
  readonly #unresolved: Name[] = []
  errors = 0

  /** `excluded`: packages that are not to be chosen. */
  constructor(universe: Universe, tags: Tags, excluded: ReadonlySet<Package>) {
    this.#universe = universe
    this.#tags = tags
    this.#excluded = excluded
    this.#untagged = tags.repositoriesOf(UNTAGGED)
  }

  /** `asked`: names that are decided before others. */
  solve(world: readonly WorldEntry[], asked: readonly Name[]): void {
    for (const name of this.#universe.names.values()) name.state = newNameState()
    for (const pkg of this.#universe.packages) pkg.state = newPackageState()
    for (const { name } of world) this.#discoverAll(name)
    const first = new Set(asked)
    for (const name of this.#universe.names.values()) name.state.rank = rankOf(name, first.has(name))
    for (const { name, dependency } of world) {
      this.#constrain(undefined, this.#tags.bitOf(dependency), { name, dependency })
    }
    for (;;) {
      while (this.#dirty.length > 0) {
        const names = this.#dirty
        this.#dirty = []
        // What gets dirty meanwhile comes after all of these: the queue is one, in two arrays.
        for (const name of names) {
          if (!name.state.dirty) continue
          name.state.dirty = false
          this.#reconsider(name)
        }
      }
      const next = this.#mostPressing()
      if (next === undefined) return
      this.#decide(next)
    }
  }

  fail(pkg: Package | undefined, reason: string): void {
    if (pkg === undefined || pkg.state.error !== undefined) return
    pkg.state.error = reason
    this.errors++
  }

  // Deep chains of dependencies would be deep in the stack: the walk keeps its own.
  #discoverAll(first: Name): void {
    const walk = [this.#discover(first)]
    for (let at = walk.at(-1); at !== undefined; at = walk.at(-1)) {
      const next = at.next()
      if (next.done) walk.pop()
      else walk.push(this.#discover(next.value))
    }
  }

  *#discover(name: Name): Generator<Name, void> {
    const state = name.state
    if (state.seen) return
    state.seen = true
    state.noInstallIf = true
    for (const { package: pkg } of name.providers) {
      if (!pkg.state.seen) {
        pkg.state.seen = true
        pkg.state.tagsAllowed = UNTAGGED
        pkg.state.selectable = !this.#excluded.has(pkg)
        pkg.state.installIfFailed = pkg.installIf.length === 0
        pkg.state.tagPreferred = pkg.empty || (pkg.repositories & this.#untagged) !== 0
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

  #queueDirty(name: Name): void {
    const { state } = name
    if (state.dirty || state.chosen !== undefined || (state.requirers === 0 && !state.reevaluateInstallIf))
      return
    state.dirty = true
    this.#dirty.push(name)
  }

  #queueUnresolved(name: Name): void {
    const { state } = name
    if (state.chosen !== undefined) return
    const wanted = state.requirers > 0 || state.hasInstallIf
    if (wanted && !state.unresolved) {
      state.unresolved = true
      this.#unresolved.push(name)
    } else if (!wanted && state.unresolved) this.#dropUnresolved(name)
  }

  #dropUnresolved(name: Name): void {
    if (!name.state.unresolved) return
    name.state.unresolved = false
    this.#unresolved.splice(this.#unresolved.lastIndexOf(name), 1)
  }

  #reevaluateDependents(name: Name): void {
    for (const other of name.rdepends) {
      if (!other.state.seen) continue
      other.state.reevaluateDepends = true
      this.#queueDirty(other)
    }
  }

  #reevaluateInstallIf(name: Name): void {
    for (const other of name.rinstallIf) {
      if (!other.state.seen || other.state.noInstallIf) continue
      other.state.reevaluateInstallIf = true
      this.#queueDirty(other)
    }
  }

  #reevaluateInstallIfOf(pkg: Package): void {
    this.#reevaluateInstallIf(pkg.name)
    for (const { name } of pkg.provides) this.#reevaluateInstallIf(name)
  }

  #disqualify(pkg: Package): void {
    pkg.state.selectable = false
    this.#reevaluateDependents(pkg.name)
    for (const { name } of pkg.provides) this.#reevaluateDependents(name)
    this.#reevaluateInstallIfOf(pkg)
  }

  #isSatisfiable({ name, dependency }: Requirement): boolean {
    if (name.state.chosen !== undefined) return isFulfilled(dependency, name.state.chosen)
    if (name.state.requirers === 0 && isFulfilled(dependency, 'nothing')) return true
    return name.providers.some((p) => p.package.state.selectable && isFulfilled(dependency, p))
  }

  #requirersChanged(name: Name): void {
    this.#queueUnresolved(name)
    this.#reevaluateInstallIf(name)
    this.#queueDirty(name)
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
    this.#queueUnresolved(name)
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

  #mostPressing(): Name | undefined {
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

  #decide(name: Name): void {
    const chosen = this.#bestProvider(name)
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

  #bestProvider(name: Name): Provider | undefined {
    const { requirers, hasInstallIf } = name.state
    if (requirers === 0 && !hasInstallIf) return undefined
    let best: Provider | undefined
    for (const provider of name.providers) {
      const { state, providerPriority, name: own } = provider.package
      if (requirers === 0 && !(state.installIfTriggered && state.tagOk)) continue
      // Several packages provide a name without a version: none is the natural one, so none is picked by it.
      if (provider.version === undefined && own.state.requirers === 0 && providerPriority === 0) continue
      if (best === undefined || compareProviders(provider, best) > 0) best = provider
    }
    return best
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
    this.#dropUnresolved(name)
    const pkg = typeof choice === 'object' ? choice.package : undefined
    const version = typeof choice === 'object' ? choice.version : undefined
    for (const other of name.providers) {
      if (other.package === pkg || (version === undefined && other.version === undefined)) continue
      this.#disqualify(other.package)
    }
    this.#reevaluateDependents(name)
    if (pkg === undefined) this.#reevaluateInstallIf(name)
    else if (!pkg.state.announced) {
      // Once for all the names that are assigned to it now.
      pkg.state.announced = true
      this.#reevaluateInstallIfOf(pkg)
    }
  }
}

/** `name-version`. */
export function labelOf(pkg: Package): string {
  return `${pkg.name.text}-${pkg.version}`
}

/**
 * The lower, the sooner it is decided: first what the world names, then names that are packages before those that are
 * only provided, then what has the longest way down. Even, as what is required goes before what is not.
 */
function rankOf(name: Name, asked: boolean): number {
  const kind = (asked ? 0 : 3) + name.virtuality
  return (kind * DEEPEST - name.state.depth) * 2
}

function compareOptionalVersions(a: string | undefined, b: string | undefined): number {
  return a === undefined || b === undefined ? 0 : compareVersions(a, b)
}

/** Positive when `a` is the better choice. */
function compareProviders(a: Provider, b: Provider): number {
  const [left, right] = [a.package.state, b.package.state]
  return (
    Number(left.selectable) - Number(right.selectable) ||
    Number(left.dependsUsed) - Number(right.dependsUsed) ||
    right.conflicts - left.conflicts ||
    Number(left.tagOk) - Number(right.tagOk) ||
    Number(left.tagPreferred) - Number(right.tagPreferred) ||
    compareOptionalVersions(a.version, b.version) ||
    (a.package.name === b.package.name ? compareVersions(a.package.version, b.package.version) : 0) ||
    a.package.providerPriority - b.package.providerPriority ||
    lowestBit(b.package.repositories) - lowestBit(a.package.repositories)
  )
}

function lowestBit(bits: number): number {
  return 31 - Math.clz32(bits & -bits)
}
