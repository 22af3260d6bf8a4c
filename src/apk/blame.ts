/** Why an entry of the world cannot be had: the chain from the entry to what is missing. */

import type { Dependency } from './dependency.ts'
import { formatDependency, matches } from './dependency.ts'
import type { Name, Package, Universe, WorldEntry } from './graph.ts'
import { chosenPackage, labelOf } from './graph.ts'
import { compareVersions } from './version.ts'

export interface Blame {
  /** From the entry down: `a-1.0 needs b`, …, `nothing provides b`. */
  readonly chain: readonly string[]
  /** `name-version` of what has the name, but not what was asked of it. */
  readonly versions: readonly string[]
  /** The name that nothing provides. */
  readonly missingName: string | undefined
}

const MOST_VERSIONS = 5

export function blame(universe: Universe, entry: WorldEntry, world: readonly WorldEntry[]): Blame {
  return new Search(universe, world).explain(entry)
}

class Search {
  readonly #universe: Universe
  readonly #world: readonly WorldEntry[]
  /** undefined: it lacks nothing. A package that is being looked at lacks nothing so far. */
  readonly #lacks = new Map<Package, Blame | undefined>()

  constructor(universe: Universe, world: readonly WorldEntry[]) {
    this.#universe = universe
    this.#world = world
  }

  explain(entry: WorldEntry): Blame {
    return this.#missing(entry.name, entry.dependency) ?? this.#conflict(entry)
  }

  #missing(name: Name, dependency: Dependency): Blame | undefined {
    if (dependency.conflict) return undefined
    if (name.providers.length === 0) {
      return { chain: [`nothing provides ${name.text}`], versions: [], missingName: name.text }
    }
    const fitting = name.providers.filter((p) => matches(dependency, p.version, p.package.checksum))
    if (fitting.length === 0) return versionMissing(name, dependency)
    let first: Blame | undefined
    for (const { package: pkg } of fitting) {
      const lack = this.#lackOf(pkg)
      if (lack === undefined) return undefined
      first ??= lack
    }
    return first
  }

  #lackOf(pkg: Package): Blame | undefined {
    if (this.#lacks.has(pkg)) return this.#lacks.get(pkg)
    this.#lacks.set(pkg, undefined)
    for (const { name, dependency } of pkg.depends) {
      const below = this.#missing(name, dependency)
      if (below === undefined) continue
      const lack = {
        ...below,
        chain: [`${labelOf(pkg)} needs ${formatDependency(dependency)}`, ...below.chain],
      }
      this.#lacks.set(pkg, lack)
      return lack
    }
    return undefined
  }

  /** Everything is there, but not together: follows the errors that the solver noted. */
  #conflict(entry: WorldEntry): Blame {
    const chain: string[] = []
    const visited = new Set<Package>()
    let pkg = chosenPackage(entry.name.state)
    if (pkg === undefined) chain.push(this.#whyNothing(entry))
    while (pkg !== undefined && !visited.has(pkg)) {
      visited.add(pkg)
      const guilty = pkg.depends.find(({ name }) => chosenPackage(name.state)?.state.error !== undefined)
      const next = guilty === undefined ? undefined : chosenPackage(guilty.name.state)
      if (guilty === undefined || next === undefined || visited.has(next)) {
        chain.push(`${labelOf(pkg)}: ${this.#reason(pkg)}`)
        break
      }
      chain.push(`${labelOf(pkg)} needs ${formatDependency(guilty.dependency)}`)
      pkg = next
    }
    return { chain, versions: [], missingName: undefined }
  }

  #reason(pkg: Package): string {
    const names = [pkg.name, ...pkg.provides.map(({ name }) => name)]
    const rival = this.#rivalOf(pkg)
    if (rival !== undefined) return rival
    for (const { name, dependency } of this.#world) {
      if (names.includes(name) && !this.#suits(pkg, name, dependency)) {
        return `the world says ${formatDependency(dependency, 'tags')}`
      }
    }
    for (const other of this.#universe.packages) {
      if (!other.state.inChangeset || other === pkg) continue
      for (const { name, dependency } of other.depends) {
        if (names.includes(name) && !this.#suits(pkg, name, dependency)) {
          return `${labelOf(other)} says ${formatDependency(dependency)}`
        }
      }
    }
    return pkg.state.error ?? 'something else that is asked for rules it out'
  }

  /** Another package was chosen for a name that only one can provide. */
  #rivalOf(pkg: Package): string | undefined {
    for (const { name, version } of [{ name: pkg.name, version: pkg.version }, ...pkg.provides]) {
      const { chosen } = name.state
      if (typeof chosen !== 'object' || chosen.package === pkg) continue
      if (version === undefined && chosen.version === undefined) continue
      return `${labelOf(chosen.package)} provides ${name.text} as well`
    }
    return undefined
  }

  #suits(pkg: Package, name: Name, dependency: Dependency): boolean {
    const versions = name === pkg.name ? [pkg.version] : []
    for (const provided of pkg.provides) if (provided.name === name) versions.push(provided.version ?? '')
    const fits = versions.some((v) => matches(dependency, v === '' ? undefined : v, pkg.checksum))
    return fits !== dependency.conflict
  }

  #whyNothing({ name, dependency }: WorldEntry): string {
    if (name.providers.every(({ version }) => version === undefined)) {
      const choices = name.providers.map((p) => p.package.name.text).join(', ')
      return `${name.text} is provided by several packages and none is preferred: name one of ${choices}`
    }
    return `${formatDependency(dependency)}: something else that is asked for rules it out`
  }
}

function versionMissing(name: Name, dependency: Dependency): Blame {
  const found = [...name.providers]
    .sort((a, b) => compareVersions(b.version ?? '', a.version ?? ''))
    .map(({ version, package: pkg }) => {
      if (pkg.name === name) return labelOf(pkg)
      return `${name.text}${version === undefined ? ' without a version' : `=${version}`} of ${labelOf(pkg)}`
    })
  return {
    chain: [`there is no ${formatDependency(dependency)}`],
    versions: [...new Set(found)].slice(0, MOST_VERSIONS),
    missingName: undefined,
  }
}
