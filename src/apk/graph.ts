/**
 * What the solver works on: names, who provides them, what those require, and the notes that it makes on both while it
 * decides.
 */

import type { Dependency } from './dependency.ts'
import { matches } from './dependency.ts'

/** A name that can be asked for: a package's own, or one that it provides. */
export interface Name {
  readonly text: string
  readonly providers: Provider[]
  /** Names of which a provider depends on this one, in apk's order. */
  readonly rdepends: Name[]
  /** Names of which a provider has this one in its install_if, in apk's order. */
  readonly rinstallIf: Name[]
  /** 0: every provider is a package of this name; 2: none is; 1: some are. */
  virtuality: 0 | 1 | 2
  /** Number of the batch in which the source was asked for it; 0: not asked. */
  asked: number
  /** What the solver knows of it so far. */
  state: NameState
}

/** Something that answers to a name, in this version or without one. */
export interface Provider {
  readonly package: Package
  readonly version: string | undefined
}

export interface Requirement {
  readonly name: Name
  readonly dependency: Dependency
}

export interface Package {
  readonly stanza: string
  /** `C:`, which identifies it. */
  readonly checksum: string
  readonly name: Name
  readonly version: string
  readonly depends: readonly Requirement[]
  readonly installIf: readonly Requirement[]
  /** Those that can make a difference; see `#forgetInert`. */
  provides: readonly { readonly name: Name; readonly version: string | undefined }[]
  readonly providerPriority: number
  readonly empty: boolean
  /** Bit n: repository n has it. */
  repositories: number
  batch: number
  discovered: boolean
  state: PackageState
}

export interface Universe {
  readonly names: ReadonlyMap<string, Name>
  readonly packages: readonly Package[]
}

/** An entry of the world. */
export interface WorldEntry {
  readonly name: Name
  readonly dependency: Dependency
}

/** What the solver notes on a name. Every try starts with fresh notes. */
export interface NameState {
  /** Decided; undefined while it is open, `nothing` when nothing is to provide it. */
  chosen: Provider | 'nothing' | undefined
  /** How often it is asked for. */
  requirers: number
  /** Counters that find what all of a name's options depend on, or provide. */
  mergeDepends: number
  mergeProvides: number
  hasVirtualProvides: boolean
  /** The longest way down its dependencies. */
  depth: number
  /** The lower, the sooner it is decided. */
  rank: number
  seen: boolean
  dirty: boolean
  unresolved: boolean
  reevaluateDepends: boolean
  reevaluateInstallIf: boolean
  /** An install_if of a provider is fulfilled. */
  hasInstallIf: boolean
  /** No provider can come in by install_if. */
  noInstallIf: boolean
  hasOptions: boolean
  reverseDependsDone: boolean
  /** So many of the names that depend on it are decided, from the first one on. */
  dependentsDone: number
  inChangeset: boolean
}

/** What the solver notes on a package. */
export interface PackageState {
  seen: boolean
  selectable: boolean
  /** How many constraints speak against it. */
  conflicts: number
  depth: number
  /** Bits of tags whose repositories it may come from. */
  tagsAllowed: number
  /** It is in a repository of an allowed tag; of the preferred one. */
  tagOk: boolean
  tagPreferred: boolean
  dependsMerged: boolean
  dependsUsed: boolean
  installIfTriggered: boolean
  installIfFailed: boolean
  /** What it triggers was told of its choice. */
  announced: boolean
  inChangeset: boolean
  /** Why it cannot be had, once that is known. */
  error: string | undefined
}

export function newNameState(): NameState {
  return {
    chosen: undefined,
    requirers: 0,
    mergeDepends: 0,
    mergeProvides: 0,
    hasVirtualProvides: false,
    depth: 0,
    rank: 0,
    seen: false,
    dirty: false,
    unresolved: false,
    reevaluateDepends: false,
    reevaluateInstallIf: false,
    hasInstallIf: false,
    noInstallIf: false,
    hasOptions: false,
    reverseDependsDone: false,
    dependentsDone: 0,
    inChangeset: false,
  }
}

export function newPackageState(): PackageState {
  return {
    seen: false,
    selectable: false,
    conflicts: 0,
    depth: 0,
    tagsAllowed: 0,
    tagOk: false,
    tagPreferred: false,
    dependsMerged: false,
    dependsUsed: false,
    installIfTriggered: false,
    installIfFailed: false,
    announced: false,
    inChangeset: false,
    error: undefined,
  }
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

/** `name-version`. */
export function labelOf(pkg: Package): string {
  return `${pkg.name.text}-${pkg.version}`
}
