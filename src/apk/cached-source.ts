/** Repositories and the package cache of a medium as one source, in which apk prefers what it has at hand. */

import { type PackageCache, placeInCache } from './cache.ts'
import type { PlacedSource, SourceIndex } from './source.ts'
import { field } from './stanza.ts'

/** The cache, and what only the cache has. */
const before = 2

/**
 * As apk numbers them: the cache is the first of all, though its files are taken after those of local repositories.
 * What only the cache has, needs no tag. `source`: that of `indexes`.
 */
export function cachedSource(
  source: PlacedSource,
  indexes: readonly SourceIndex[],
  cache: PackageCache,
): PlacedSource {
  const isCached = (stanza: string) => placeInCache(cache, stanza) !== undefined
  const arrange = (answers: readonly (readonly string[])[], installed: readonly string[]) => {
    const cached = answers.map((stanzas) => stanzas.filter(isCached))
    const inReach = answers.map((stanzas, n) => (indexes[n]?.outOfReach ? (cached[n] ?? []) : stanzas))
    return [[...cached.flat(), ...installed], installed, ...inReach]
  }
  return {
    repositories: [
      { tag: undefined, local: true, copies: true },
      { tag: undefined, local: true },
      ...indexes,
    ],
    lookup: async (names) => {
      const wanted = new Set(names)
      const installed = cache.installed.filter((stanza) => namesOf(stanza).some((name) => wanted.has(name)))
      return arrange(await source.lookup(names), installed)
    },
    installIf: async (names) => {
      const conditional = cache.installed.filter((stanza) => field(stanza, 'i') !== undefined)
      return arrange(await source.installIf(names), conditional)
    },
    placesOf: (pkg) => {
      const reached = pkg.repositories
        .map((n) => n - before)
        .filter((n) => indexes[n] !== undefined && !indexes[n].outOfReach)
      const from = (local: boolean) =>
        source.placesOf({ ...pkg, repositories: reached.filter((n) => indexes[n]?.local === local) })
      const cached = placeInCache(cache, pkg.stanza)
      return [...from(true), ...(cached === undefined ? [] : [cached]), ...from(false)]
    },
  }
}

/** Its own, and those that it provides. */
function namesOf(stanza: string): readonly string[] {
  const provided = (field(stanza, 'p') ?? '').split(' ').map((word) => word.replace(/[<=>~].*/, ''))
  return [field(stanza, 'P') ?? '', ...provided]
}
