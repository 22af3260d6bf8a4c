/** The index that `npm run measure:index` makes: the same from the same seed, as big as asked, and one that can be solved. */
import { expect, it } from 'vitest'
import { syntheticIndex, world } from '../../../scripts/measure-index/synthetic.ts'
import { selectPackages } from '../../../src/apk/select.ts'
import { makeWorld } from '../../../src/apk/world.ts'
import { stanzaSource } from '../../support/stanza-source.ts'

it('is the same text each time, and another from another seed', () => {
  expect(syntheticIndex(300, 7)).toBe(syntheticIndex(300, 7))
  expect(syntheticIndex(300, 7)).not.toBe(syntheticIndex(300, 8))
})

it('has the whole world, which needs more than it names', async () => {
  const stanzas = syntheticIndex(2000, 1).trim().split('\n\n')
  expect(stanzas.length).toBeGreaterThanOrEqual(2000)
  const { packages, dropped } = await selectPackages(stanzaSource([{ stanzas }]), makeWorld(world))
  expect(dropped).toEqual([])
  expect(packages.map(({ name }) => name)).toEqual(expect.arrayContaining(world))
  expect(packages.length).toBeGreaterThan(2 * world.length)
})
