/** What of a package's `.PKGINFO` the index does not have: whom it replaces, what its trigger watches. */

import type { Dependency } from './dependency.ts'
import { matches, parseDependencies } from './dependency.ts'
import { field, numberField } from './stanza.ts'

export interface PackageInfo {
  /** Every `replaces`, joined; undefined for none. */
  readonly replaces: string | undefined
  readonly replacesPriority: number
  /** Patterns of directories; undefined for no trigger. */
  readonly triggers: readonly string[] | undefined
}

export function parsePackageInfo(text: string): PackageInfo {
  const replaces: string[] = []
  let replacesPriority = 0
  let triggers: string[] = []
  for (const line of text.split('\n')) {
    // Of some thirty lines: QuickJS looks for a text slowly.
    const first = line.charAt(0)
    if (first !== 'r' && first !== 't') continue
    const at = line.indexOf(' = ')
    if (at < 0) continue
    const value = line.slice(at + 3)
    switch (line.slice(0, at)) {
      case 'replaces':
        replaces.push(value)
        break
      case 'replaces_priority':
        replacesPriority = Number.parseInt(value, 10) || 0
        break
      case 'triggers':
        triggers = value.split(' ').filter((word) => word !== '')
        break
    }
  }
  return {
    replaces: replaces.length === 0 ? undefined : replaces.join(' '),
    replacesPriority,
    triggers: triggers.length === 0 ? undefined : triggers,
  }
}

/** As much of a package as decides who keeps a file that two packages have. */
export interface Owner {
  readonly name: string
  readonly version: string
  readonly checksum: string
  readonly origin: string | undefined
  readonly replaces: readonly Dependency[]
  readonly replacesPriority: number
}

export function ownerOf(
  pkg: Pick<Owner, 'name' | 'version' | 'checksum' | 'origin'>,
  info: PackageInfo,
): Owner {
  const replaces = info.replaces === undefined ? [] : parseDependencies(info.replaces).dependencies
  return { ...pkg, replaces, replacesPriority: info.replacesPriority }
}

/** Of a package that the database has, by its stanza there. */
export function ownerOfStanza(stanza: string): Owner {
  const identity = {
    name: field(stanza, 'P') ?? '',
    version: field(stanza, 'V') ?? '',
    checksum: field(stanza, 'C') ?? '',
    origin: field(stanza, 'o'),
  }
  const [replaces, replacesPriority] = [field(stanza, 'r'), numberField(stanza, 'q')]
  return ownerOf(identity, { replaces, replacesPriority, triggers: undefined })
}

/** The priority by which `a` replaces `b`; -1 when it does not. */
function priorityOver(a: Owner, b: Owner): number {
  if (a.replaces.length === 0) return -1
  const found = a.replaces.some(
    (dependency) =>
      (dependency.name === b.name && matches(dependency, b.version, b.checksum)) !== dependency.conflict,
  )
  return found ? a.replacesPriority : -1
}

/**
 * Of a package that comes now: from which installed ones it takes a file that both have, and to which it leaves it.
 * With all others it is a conflict.
 */
export function settleOwners(
  coming: Owner,
  installed: readonly Owner[],
): { readonly takes: string[]; readonly yields: string[] } {
  const takes: string[] = []
  const yields: string[] = []
  for (const other of installed) {
    if (coming.replaces.length === 0 && other.replaces.length === 0 && other.origin !== coming.origin)
      continue
    if (other.name === coming.name || (coming.origin !== undefined && other.origin === coming.origin)) {
      takes.push(other.name)
      continue
    }
    const theirs = priorityOver(other, coming)
    const ours = priorityOver(coming, other)
    if (theirs > ours) yields.push(other.name)
    else if (ours >= 0) takes.push(other.name)
  }
  return { takes, yields }
}

/** Those that are installed already, in so far as they can matter: few packages replace others. */
export class InstalledOwners {
  readonly #all: Owner[] = []
  readonly #replacing: Owner[] = []
  readonly #byOrigin = new Map<string, Owner[]>()

  constructor(installed: readonly Owner[]) {
    for (const owner of installed) this.add(owner)
  }

  add(owner: Owner): void {
    this.#all.push(owner)
    if (owner.replaces.length > 0) this.#replacing.push(owner)
    if (owner.origin === undefined) return
    const siblings = this.#byOrigin.get(owner.origin)
    if (siblings === undefined) this.#byOrigin.set(owner.origin, [owner])
    else siblings.push(owner)
  }

  /** As `settleOwners` for a package that is not installed. */
  settle(coming: Owner): ReturnType<typeof settleOwners> {
    if (coming.replaces.length > 0) return settleOwners(coming, this.#all)
    const siblings = this.#byOrigin.get(coming.origin ?? '') ?? []
    const others = this.#replacing.filter(({ origin }) => origin === undefined || origin !== coming.origin)
    return settleOwners(coming, [...siblings, ...others])
  }
}
