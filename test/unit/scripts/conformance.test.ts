/** The second opinion on the solver: what it takes for a fault, and that worlds are drawn alike from one seed. */

import { describe, expect, it } from 'vitest'
import { drawWorld, fillUrn } from '../../../scripts/conformance/draw.ts'
import { difference } from '../../../scripts/conformance/ours.ts'
import { faultsOf, memberOf, needlessIn } from '../../../scripts/conformance/valid.ts'
import { parseDependencies } from '../../../src/apk/dependency.ts'
import { type Specs, stanzaOf } from '../../support/memory-source.ts'
import { randomNumbers } from '../../support/random.ts'

/** Of a world and `installed`, labels of `specs`. */
function judge(world: string, installed: string, specs: Specs) {
  const all = Object.entries(specs).map(([label, spec]) => memberOf(stanzaOf(label, spec)))
  const members = all.filter(({ label }) => installed.split(' ').includes(label))
  const { dependencies } = parseDependencies(world)
  const needless = needlessIn(members, dependencies).map(({ label }) => label)
  return { faults: faultsOf(members, dependencies, all), needless }
}

describe('a set of packages', () => {
  const specs = {
    'app-1': { depends: 'lib>1 !old' },
    'lib-1': {},
    'lib-2': { provides: 'so:lib=2' },
    'other-1': { provides: 'so:lib=3 lib=9' },
    'old-1': {},
    'app-doc-1': { installIf: 'app docs' },
    'docs-1': {},
  }
  it.each([
    ['app', 'app-1 lib-2', []],
    ['app', 'app-1', ['app-1 asks for lib>1']],
    ['app', 'app-1 lib-1', ['app-1 asks for lib>1']],
    ['app', 'app-1 other-1', []],
    ['app=2', 'app-1 lib-2', ['the world asks for app=2']],
    ['app old', 'app-1 lib-2 old-1', ['app-1 asks for !old']],
    ['app !lib', 'app-1 lib-2', ['the world asks for !lib']],
    ['app docs', 'app-1 lib-2 docs-1', ['app-doc-1 is left out, whose install_if is met']],
    ['app docs', 'app-1 lib-2 docs-1 app-doc-1', []],
    ['app docs !app-doc', 'app-1 lib-2 docs-1', []],
  ])('world %s, packages %s: %j', (world, installed, faults) => {
    expect(judge(world, installed, specs).faults).toEqual(faults)
  })
  it('has no two that provide one name with a version', () => {
    const { faults } = judge('lib other', 'lib-2 other-1', specs)
    expect(faults).toEqual(['lib-2 and other-1 both provide lib', 'other-1 and lib-2 both provide so:lib'])
  })
  it('has nothing that nobody asks for', () => {
    expect(judge('app', 'app-1 lib-2 old-1 app-doc-1', specs).needless).toEqual(['old-1', 'app-doc-1'])
  })
})

describe('worlds', () => {
  const stanzas = Array.from({ length: 50 }, (_, n) => stanzaOf(`p${n}-1-r0`, { provides: `v${n}=1` }))
  const urn = fillUrn([
    { stanzas, tag: undefined, local: true, file: '', description: '', signedBy: undefined },
  ])
  const draw = (seed: number) => {
    const random = randomNumbers(seed)
    return Array.from({ length: 40 }, () => drawWorld(random, urn, 'nothing'))
  }
  it('are the same for the same seed', () => {
    expect(draw(7)).toEqual(draw(7))
    expect(draw(7)).not.toEqual(draw(8))
  })
  it('have one to twelve entries, of kinds of every sort', () => {
    const drawn = draw(7)
    for (const world of drawn) expect(world.length).toBeGreaterThanOrEqual(1)
    for (const world of drawn) expect(world.length).toBeLessThanOrEqual(12)
    const words = drawn.flat().join(' ')
    for (const kind of ['=1-r0', '~1', '!p', 'v', '<', 'no-such-package']) expect(words).toContain(kind)
  })
})

it('tells two lists apart by what is in them, then by their order', () => {
  expect(difference(['a', 'b'], ['a', 'b'])).toBeUndefined()
  expect(difference(['a', 'b'], ['b', 'c'])).toBe('only ours: a; only theirs: c')
  expect(difference(['a', 'b'], ['b', 'a'])).toBe('in another order: a is number 1, theirs b')
})
