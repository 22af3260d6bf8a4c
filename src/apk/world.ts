/** The world: what somebody asked for, as etc/apk/world lists it. Everything else is there because of it. */

import type { Dependency } from './dependency.ts'
import { formatDependency, parseDependency } from './dependency.ts'

export interface World {
  /** One for each name, in the order that apk takes them. */
  readonly entries: readonly Dependency[]
  /** Words that are no dependency. */
  readonly invalid: readonly string[]
}

/** Names as strcasecmp(3) orders them, then by their bytes. */
export function compareNames(a: string, b: string): number {
  const left = a.toLowerCase()
  const right = b.toLowerCase()
  if (left !== right) return left < right ? -1 : 1
  return a < b ? -1 : a > b ? 1 : 0
}

/** The words of a world file, a `pkgs=` or the like, one after the other: a later one of the same name replaces an earlier one. */
export function makeWorld(words: Iterable<string>): World {
  const entries = new Map<string, Dependency>()
  const invalid: string[] = []
  for (const word of words) {
    const entry = parseDependency(word)
    if (entry === undefined) invalid.push(word)
    else entries.set(entry.name, entry)
  }
  return { entries: [...entries.values()].sort((a, b) => compareNames(a.name, b.name)), invalid }
}

/** The words of a world file. */
export function worldWords(text: string): string[] {
  return text.split(/\s+/).filter((word) => word !== '')
}

/** etc/apk/world as apk writes it. */
export function formatWorld(world: World): string {
  return `${world.entries.map((entry) => formatDependency(entry, 'tags')).join('\n')}\n`
}
