/** What the solver notes on names and packages while it decides. Every try starts with fresh notes. */

import type { Provider } from './universe.ts'

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
