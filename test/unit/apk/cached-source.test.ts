/** Which of several equal packages is chosen, and where its file is taken from, when a cache has some: as apk 2.14 does. */

import { describe, expect, it } from 'vitest'
import { cachedName } from '../../../src/apk/cache.ts'
import { cachedSource } from '../../../src/apk/cached-source.ts'
import { selectPackages } from '../../../src/apk/select.ts'
import type { SourceIndex } from '../../../src/apk/source.ts'
import { makeWorld } from '../../../src/apk/world.ts'
import { memorySource, type Specs, stanzaOf } from '../../support/memory-source.ts'

interface At {
  readonly url: string
  readonly specs: Specs
  readonly local?: true
  readonly outOfReach?: true
}

/** What is installed for a world, each with the places of its file. */
async function choose(world: string, cached: readonly string[], installed: readonly string[], ...at: At[]) {
  const memory = memorySource(...at)
  const indexes: SourceIndex[] = at.map(({ url, local, outOfReach }, index) => ({
    index,
    urls: [url],
    tag: undefined,
    local: local ?? false,
    ...(outOfReach === undefined ? {} : { outOfReach }),
  }))
  const placed = {
    ...memory,
    placesOf: ({ repositories }: { readonly repositories: readonly number[] }) =>
      repositories.map((n) => at[n]?.url ?? 'none'),
  }
  const files = new Set(cached.map((stanza) => cachedName(stanza) ?? ''))
  const source = cachedSource(placed, indexes, { directory: 'cache', files, installed })
  const { packages, dropped } = await selectPackages(source, makeWorld(world.split(' ')))
  return {
    packages: packages.map((pkg) => `${pkg.name}-${pkg.version} ${source.placesOf(pkg).join(' ')}`),
    dropped: dropped.map(({ entry }) => entry),
  }
}

const one = { 'a-1': { provides: 'one' } }
const two = { 'a-1': { provides: 'two' } }
const inCache = (label: string, specs: Specs) => stanzaOf(label, specs[label] ?? {})

describe('of two builds of one version', () => {
  it('the first repository’s is chosen', async () => {
    const { packages } = await choose(
      'a',
      [],
      [],
      { url: 'first', specs: one },
      { url: 'second', specs: two },
    )
    expect(packages).toEqual(['a-1 first'])
  })
  it('the one in the cache is chosen, whichever repository has it', async () => {
    const cached = [inCache('a-1', two)]
    const { packages } = await choose(
      'a',
      cached,
      [],
      { url: 'first', specs: one },
      { url: 'second', specs: two },
    )
    expect(packages).toEqual([`a-1 cache/${cachedName(inCache('a-1', two))} second`])
  })
})

describe('a file', () => {
  it('is taken from a local repository, then from the cache, then from the network', async () => {
    const cached = [inCache('a-1', one)]
    const { packages } = await choose(
      'a',
      cached,
      [],
      { url: 'far', specs: one },
      { url: 'near', specs: one, local: true },
    )
    expect(packages).toEqual([`a-1 near cache/${cachedName(inCache('a-1', one))} far`])
  })
})

describe('a newer version', () => {
  it('of a repository in reach comes before an older one in the cache', async () => {
    const older = inCache('a-1', one)
    const { packages } = await choose('a', [older], [older], { url: 'far', specs: { 'a-2': {} } })
    expect(packages).toEqual(['a-2 far'])
  })
  it('of one out of reach does not, unless it is cached', async () => {
    const older = inCache('a-1', one)
    const specs = { 'a-2': {}, 'b-1': {} }
    const { packages, dropped } = await choose('a b', [older], [older], {
      url: 'far',
      specs,
      outOfReach: true,
    })
    expect(packages).toEqual([`a-1 cache/${cachedName(older)}`])
    expect(dropped).toEqual(['b'])
  })
})
