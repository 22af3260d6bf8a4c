/** Why an entry of the world cannot be had: the chain from the entry to what is missing, and what there is instead. */

import type { Dependency } from './dependency.ts'
import { EQUAL, formatDependency, matches } from './dependency.ts'
import type { Name, Package, Requirement, Universe, WorldEntry } from './graph.ts'
import { chosenPackage, isFulfilled, labelOf } from './graph.ts'
import type { Tags } from './tags.ts'
import { compareVersions } from './version.ts'

export interface Blame {
  /** From the entry down: `a-1.0 needs b`, …, `nothing provides b`. */
  readonly chain: readonly string[]
  /** What has the name, but is not what was asked of it (`name-version`), or would be if asked for otherwise. */
  readonly instead: readonly string[]
  /** The name that nothing provides. */
  readonly missingName: string | undefined
}

const MOST_LISTED = 5

/** After a try of the solver, whose notes are still on the universe. */
export function blame(
  universe: Universe,
  tags: Tags,
  entry: WorldEntry,
  world: readonly WorldEntry[],
): Blame {
  return new Search(universe, tags, world).explain(entry)
}

class Search {
  readonly #universe: Universe
  readonly #tags: Tags
  readonly #world: readonly WorldEntry[]
  /** undefined: it lacks nothing. A package that is being looked at lacks nothing so far. */
  readonly #lacks = new Map<Package, Blame | undefined>()

  constructor(universe: Universe, tags: Tags, world: readonly WorldEntry[]) {
    this.#universe = universe
    this.#tags = tags
    this.#world = world
  }

  explain(entry: WorldEntry): Blame {
    const missing = this.#missing(entry)
    if (missing !== undefined) return missing
    const found = this.#trace(entry)
    return { ...found, instead: [...new Set([...found.instead, ...this.#others(entry)])] }
  }

  /** Something that no choice could bring. */
  #missing({ name, dependency }: Requirement): Blame | undefined {
    if (dependency.conflict) return undefined
    if (name.providers.length === 0) {
      return { chain: [`nothing provides ${name.text}`], instead: [], missingName: name.text }
    }
    const fitting = fittingOf(name, dependency)
    if (fitting.length === 0) return versionMissing(name, dependency)
    let first: Blame | undefined
    for (const pkg of fitting) {
      const lack = this.#lackOf(pkg)
      if (lack === undefined) return undefined
      first ??= lack
    }
    return first
  }

  #lackOf(pkg: Package): Blame | undefined {
    if (this.#lacks.has(pkg)) return this.#lacks.get(pkg)
    this.#lacks.set(pkg, undefined)
    for (const requirement of pkg.depends) {
      const below = this.#missing(requirement)
      if (below === undefined) continue
      const lack = { ...below, chain: [needs(pkg, requirement), ...below.chain] }
      this.#lacks.set(pkg, lack)
      return lack
    }
    return undefined
  }

  /** Other packages that do what the entry asks and lack nothing: apk does not fall back on them by itself. */
  #others({ name, dependency }: WorldEntry): readonly string[] {
    const chosen = chosenPackage(name.state)
    if (dependency.conflict || chosen === undefined || this.#lackOf(chosen) === undefined) return []
    const others = fittingOf(name, dependency).filter(
      (pkg) => pkg !== chosen && this.#lackOf(pkg) === undefined,
    )
    return others.slice(0, MOST_LISTED).map(labelOf)
  }

  /** Everything is there, but not together, or not by itself: follows what the solver decided. */
  #trace(entry: WorldEntry): Blame {
    const chain: string[] = []
    const visited = new Set<Package>()
    for (let wanted: Requirement = entry; ; ) {
      const pkg = chosenPackage(wanted.name.state)
      const end = this.#endOf(wanted, pkg)
      if (end !== undefined) return { ...end, chain: [...chain, ...end.chain] }
      if (pkg === undefined || visited.has(pkg)) return { chain, instead: [], missingName: undefined }
      visited.add(pkg)
      const guilty = pkg.depends.find(isUnmet) ?? pkg.depends.find((each) => leadsToError(each, visited))
      if (guilty === undefined || !pkg.state.tagOk) {
        const { why, instead } = this.#reason(pkg)
        return { chain: [...chain, `${labelOf(pkg)}: ${why}`], instead, missingName: undefined }
      }
      chain.push(needs(pkg, guilty))
      const below = this.#missing(guilty)
      if (below !== undefined) return { ...below, chain: [...chain, ...below.chain] }
      wanted = guilty
    }
  }

  /** Where the choice itself is what is wrong: nothing was chosen, or something else. */
  #endOf({ name, dependency }: Requirement, pkg: Package | undefined): Blame | undefined {
    const ended = (text: string, instead: readonly string[] = []) => ({
      chain: [text],
      instead,
      missingName: undefined,
    })
    if (isFulfilled(dependency, name.state.chosen)) return undefined
    if (pkg === undefined) return ended(...this.#whyNothing(name, dependency))
    const by = this.#whoWants(name, dependency)
    return ended(`${labelOf(pkg)} is there${by === undefined ? '' : ` because ${by}`}`)
  }

  /** Who asks for something of this name that is not what `dependency` asks for. */
  #whoWants(name: Name, dependency: Dependency): string | undefined {
    const wants = (other: Requirement) =>
      other.name === name && !other.dependency.conflict && other.dependency !== dependency
    const entry = this.#world.find(wants)
    if (entry !== undefined) return `the world says ${formatDependency(entry.dependency, 'tags')}`
    for (const other of this.#universe.packages) {
      const by = other.state.inChangeset ? other.depends.find(wants) : undefined
      if (by !== undefined) return needs(other, by)
    }
    return undefined
  }

  #whyNothing(name: Name, dependency: Dependency): [text: string, instead?: readonly string[]] {
    const unversioned = name.providers.every(({ version }) => version === undefined)
    if (!unversioned) return [`something else that is asked for rules out ${formatDependency(dependency)}`]
    const choices = name.providers.map((p) => p.package.name.text).slice(0, MOST_LISTED)
    const [only] = choices
    if (choices.length === 1 && only !== undefined) {
      return [`${name.text} is provided by ${only}, which comes only if it is named itself`, [only]]
    }
    return [
      `${name.text} is provided by several packages and none is preferred: name one of ${choices.join(', ')}`,
    ]
  }

  #reason(pkg: Package): { readonly why: string; readonly instead: readonly string[] } {
    if (!pkg.state.tagOk) {
      const having = this.#tags.tagsHaving(pkg)
      const tagged = having.map((tag) => `${pkg.name.text}@${tag}`)
      return { why: `it is only in the repository tagged @${having.join(', @')}`, instead: tagged }
    }
    return { why: this.#rivalOf(pkg) ?? this.#objectionTo(pkg), instead: [] }
  }

  #objectionTo(pkg: Package): string {
    const names = [pkg.name, ...pkg.provides.map(({ name }) => name)]
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
}

function needs(pkg: Package, { dependency }: Requirement): string {
  return `${labelOf(pkg)} ${dependency.conflict ? 'says' : 'needs'} ${formatDependency(dependency)}`
}

function isUnmet({ name, dependency }: Requirement): boolean {
  return !isFulfilled(dependency, name.state.chosen)
}

function leadsToError({ name }: Requirement, visited: ReadonlySet<Package>): boolean {
  const pkg = chosenPackage(name.state)
  return pkg?.state.error !== undefined && !visited.has(pkg)
}

function fittingOf(name: Name, dependency: Dependency): readonly Package[] {
  return name.providers
    .filter((provider) => matches(dependency, provider.version, provider.package.checksum))
    .map((provider) => provider.package)
}

function versionMissing(name: Name, dependency: Dependency): Blame {
  const wanted = dependency.version ?? ''
  const found = [...name.providers]
    .sort(
      (a, b) =>
        commonStart(wanted, b.version ?? '') - commonStart(wanted, a.version ?? '') ||
        compareVersions(b.version ?? '', a.version ?? ''),
    )
    .map(({ version, package: pkg }) => {
      if (pkg.name === name) return `${labelOf(pkg)}${otherRevision(dependency, pkg)}`
      return `${name.text}${version === undefined ? ' without a version' : `=${version}`} of ${labelOf(pkg)}`
    })
  return {
    chain: [`there is no ${formatDependency(dependency)}`],
    instead: [...new Set(found)].slice(0, MOST_LISTED),
    missingName: undefined,
  }
}

/** A version that was pinned with its revision, which the repository has replaced since: nothing fails so often. */
function otherRevision({ name, operator, version }: Dependency, pkg: Package): string {
  const revision = /-r\d+$/
  const wanted = version?.replace(revision, '')
  if (operator !== EQUAL || wanted === undefined || wanted !== pkg.version.replace(revision, '')) return ''
  return ` (${name}~${wanted} takes any revision)`
}

/** How many characters two versions begin with alike: the more, the nearer. */
function commonStart(a: string, b: string): number {
  let length = 0
  while (length < a.length && a[length] === b[length]) length++
  return length
}
