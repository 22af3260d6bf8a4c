/** The choice of packages: what apk 2.14 was seen to choose for the same repositories and worlds. */

import { describe, expect, it } from 'vitest'
import { describeDropped, selectPackages } from '../../../src/apk/select.ts'
import { withUnknownTag } from '../../../src/apk/tags.ts'
import { makeWorld } from '../../../src/apk/world.ts'
import { memorySource, type RepositorySpec, type Specs } from '../../support/memory-source.ts'

/** Repositories in order. */
async function select(world: string, ...repositories: RepositorySpec[]) {
  return selectPackages(memorySource(...repositories), makeWorld(world.split(' ')))
}

async function chosen(...given: Parameters<typeof select>): Promise<string> {
  const { packages } = await select(...given)
  return packages.map(({ name, version }) => `${name}-${version}`).join(' ')
}

describe('order', () => {
  it('puts what a package depends on before it, and world entries by name', async () => {
    const specs = { 'b-1': { depends: 'd c' }, 'a-1': { depends: 'd' }, 'c-1': {}, 'd-1': {} }
    expect(await chosen('b a', { specs })).toBe('d-1 a-1 c-1 b-1')
  })
  it('takes a condition’s version for that one only, and a name that nothing asked about for no condition met', async () => {
    const specs = {
      'a-1': {},
      'b-1': {},
      'without-b-1': { installIf: 'a !b' },
      'with-a2-1': { installIf: 'a=2' },
      'with-any-1': { installIf: 'a b>0' },
    }
    expect(await chosen('a', { specs })).toBe('a-1')
    expect(await chosen('a b', { specs })).toBe('a-1 b-1 with-any-1')
  })
  it('lives with a circle', async () => {
    expect(await chosen('a', { specs: { 'a-1': { depends: 'b' }, 'b-1': { depends: 'a' } } })).toBe('b-1 a-1')
  })
  it('brings in what install_if asks for as soon as that is complete', async () => {
    const specs = {
      'openrc-1': {},
      'sshd-2': {},
      'sshd-openrc-2': { installIf: 'openrc sshd=2' },
      'sshd-doc-2': { installIf: 'docs sshd=2' },
      'z-1': {},
    }
    expect(await chosen('openrc sshd z', { specs })).toBe('openrc-1 sshd-2 sshd-openrc-2 z-1')
    expect(await chosen('sshd z', { specs })).toBe('sshd-2 z-1')
    expect(await chosen('openrc sshd !sshd-openrc', { specs })).toBe('openrc-1 sshd-2')
  })
})

describe('providers', () => {
  const shells = {
    'dash-1': { provides: '/bin/sh=1', depends: 'lib' },
    'bash-5': { provides: '/bin/sh=5' },
    'lib-1': {},
  }
  it('takes the highest version of a name, whoever provides it', async () => {
    expect(await chosen('/bin/sh', { specs: shells })).toBe('bash-5')
    expect(await chosen('/bin/sh<2', { specs: shells })).toBe('lib-1 dash-1')
  })
  it('does not install two that provide one name with a version', async () => {
    const { packages, dropped } = await select('bash dash', { specs: shells })
    expect(packages).toEqual([])
    expect(dropped.map(({ entry }) => entry)).toEqual(['bash', 'dash'])
    expect(dropped.map(({ chain }) => chain.join(' ')).join(' ')).toContain('provides /bin/sh as well')
  })
  it('lets several provide a name without a version, and picks none of them by itself', async () => {
    const mailers = { 'exim-4': { provides: 'mta' }, 'postfix-3': { provides: 'mta' } }
    expect(await chosen('exim postfix', { specs: mailers })).toBe('exim-4 postfix-3')
    const { dropped } = await select('mta', { specs: mailers })
    expect(dropped).toEqual([
      {
        entry: 'mta',
        chain: ['mta is provided by several packages and none is preferred: name one of exim, postfix'],
        nearMisses: [],
      },
    ])
    expect(await chosen('mta postfix', { specs: mailers })).toBe('postfix-3')
  })
  it('prefers by provider_priority', async () => {
    const mailers = {
      'exim-4': { provides: 'mta', priority: 10 },
      'postfix-3': { provides: 'mta', priority: 20 },
    }
    expect(await chosen('mta', { specs: mailers })).toBe('postfix-3')
  })
})

describe('versions and repositories', () => {
  const old = { 'a-1-r0': {}, 'b-1-r0': {} }
  const fresh = { 'a-2-r0': {}, 'b-1-r0': { depends: 'a' } }
  it('takes the highest version of all repositories, and of equals the first', async () => {
    expect(await chosen('a', { specs: old }, { specs: fresh })).toBe('a-2-r0')
    expect(await chosen('b', { specs: old }, { specs: fresh })).toBe('b-1-r0')
    expect(await chosen('b', { specs: fresh }, { specs: old })).toBe('a-2-r0 b-1-r0')
  })
  it('knows =, <, > and ~', async () => {
    for (const entry of ['a=1-r0', 'a<2', 'a~1']) {
      expect(await chosen(entry, { specs: old }, { specs: fresh })).toBe('a-1-r0')
    }
    expect(await chosen('a>1-r0', { specs: old }, { specs: fresh })).toBe('a-2-r0')
  })
  it('takes no older version instead of one that lacks something: apk does not either', async () => {
    const { packages, dropped } = await select('a', {
      specs: {
        'a-2': { depends: 'missing' },
        'a-1': { depends: 'c' },
        'c-1': {},
      },
    })
    expect(packages).toEqual([])
    expect(dropped).toEqual([
      { entry: 'a', chain: ['a-2 needs missing', 'nothing provides missing'], nearMisses: ['a-1'] },
    ])
  })
  it('finds the version that several packages agree on', async () => {
    const specs = {
      'a-1': { depends: 'lib<3' },
      'b-1': { depends: 'lib>1' },
      'lib-1': {},
      'lib-2': {},
      'lib-3': {},
    }
    expect(await chosen('a b', { specs })).toBe('lib-2 a-1 b-1')
  })
  it('names all repositories of the very same package, a local one first', async () => {
    const { packages } = await select('a', { specs: old }, { specs: old, local: true })
    expect(packages[0]?.repositories).toEqual([1, 0])
  })
  it('takes from a tagged repository only what asks for its tag, and what that needs', async () => {
    const edge = { tag: 'edge', specs: { 'a-3-r0': { depends: 'c' }, 'c-1-r0': {}, 'b-9-r0': {} } }
    expect(await chosen('a b', { specs: old }, edge)).toBe('a-1-r0 b-1-r0')
    const { packages } = await select('a@edge b', { specs: old }, edge)
    expect(packages.map(({ name, version, tag }) => [name, version, tag])).toEqual([
      ['c', '1-r0', 'edge'],
      ['a', '3-r0', 'edge'],
      ['b', '1-r0', undefined],
    ])
    const { dropped } = await select('c', { specs: old }, edge)
    expect(dropped).toEqual([
      {
        entry: 'c',
        chain: ['c-1-r0: it is only in the repository tagged @edge'],
        nearMisses: ['c@edge'],
      },
    ])
  })
  it('takes what asks for a tag that no repository has from the others, and knows of it', async () => {
    const { packages } = await select('a@egde b', { specs: old })
    expect(packages.map(({ name, tag }) => [name, tag])).toEqual([
      ['a', undefined],
      ['b', undefined],
    ])
    const { repositories } = memorySource({ specs: old }, { specs: old, tag: 'edge' })
    const { entries } = makeWorld(['a@egde', 'b@edge', 'c'])
    expect(withUnknownTag(repositories, entries).map(({ name }) => name)).toEqual(['a'])
  })
})

describe('what cannot be had', () => {
  it('is left out with the chain to what is missing, and the rest is installed', async () => {
    const specs = {
      'good-1': {},
      'app-2': { depends: 'good middle' },
      'middle-1': { depends: 'so:libgone.so.1' },
    }
    const { packages, dropped } = await select('app good', { specs })
    expect(packages.map(({ name }) => name)).toEqual(['good'])
    expect(dropped).toEqual([
      {
        entry: 'app',
        chain: ['app-2 needs middle', 'middle-1 needs so:libgone.so.1', 'nothing provides so:libgone.so.1'],
        nearMisses: [],
      },
    ])
  })
  it('says which versions there are, and which similar names', async () => {
    const specs = { 'a-1.2-r0': {}, 'openssh-9-r0': {}, 'py3-yaml-6-r0': {} }
    const { dropped } = await select('a=1.3 OpenSSH python-yaml', { specs })
    expect(dropped.map(({ entry, nearMisses }) => [entry, nearMisses])).toEqual([
      ['a=1.3', ['a-1.2-r0']],
      ['OpenSSH', ['openssh']],
      ['python-yaml', ['py3-yaml']],
    ])
  })
  it('knows names that are one edit away, and who provides them', async () => {
    const specs = {
      'chrony-4': { provides: 'cmd:chronyd=4' },
      'libssl3-3': { provides: 'so:libssl.so.3=3' },
      'app-1': { depends: 'so:libssl.so.2' },
    }
    const { dropped } = await select('chrnoy chony chronyx chromy cmd:chronyc far-off app', { specs })
    expect(Object.fromEntries(dropped.map(({ entry, nearMisses }) => [entry, nearMisses.join()]))).toEqual({
      chrnoy: 'chrony',
      chony: 'chrony',
      chronyx: 'chrony',
      chromy: 'chrony',
      'cmd:chronyc': 'cmd:chronyd of chrony',
      'far-off': '',
      app: 'so:libssl.so.3 of libssl3',
    })
  })
  it('names the versions that are nearest to what was asked for first', async () => {
    const specs = { 'a-3.0-r0': {}, 'a-2.4.1-r7': {}, 'a-2.4.0-r1': {} }
    const { dropped } = await select('a=2.4.1-r6', { specs })
    expect(dropped[0]?.nearMisses).toEqual([
      'a-2.4.1-r7 (a~2.4.1 takes any revision)',
      'a-2.4.0-r1',
      'a-3.0-r0',
    ])
  })
  it('says when a name is provided, but by nothing that comes by itself', async () => {
    const specs = { 'busybox-1': { provides: '/bin/sh' }, 'bash-5': { depends: '/bin/sh' } }
    const { dropped } = await select('bash', { specs })
    expect(dropped).toEqual([
      {
        entry: 'bash',
        chain: [
          'bash-5 needs /bin/sh',
          '/bin/sh is provided by busybox, which comes only if it is named itself',
        ],
        nearMisses: ['busybox'],
      },
    ])
  })
  it('follows the chain down to what two branches disagree on', async () => {
    const specs = {
      'top-1': { depends: 'left right' },
      'left-1': { depends: 'lib=1' },
      'right-1': { depends: 'lib=2' },
      'lib-1': {},
      'lib-2': {},
    }
    const { dropped } = await select('top', { specs })
    expect(dropped[0]?.chain).toEqual(['top-1 needs left', 'left-1 needs lib=1', 'lib-1: right-1 says lib=2'])
  })
  it('says what the world itself forbids', async () => {
    const specs = { 'b-1': { depends: 'c' }, 'c-1': { depends: 'a' }, 'a-1': {}, 'a-2': {} }
    const forbidden = await select('b !a', { specs })
    expect(forbidden.dropped).toEqual([
      { entry: 'b', chain: ['b-1 needs c', 'c-1 needs a', 'a-2: the world says !a'], nearMisses: [] },
    ])
    const contrary = await select('a<2 c', { specs: { ...specs, 'c-1': { depends: 'a>1' } } })
    expect(contrary.dropped.find(({ entry }) => entry === 'c')?.chain).toEqual([
      'c-1 needs a>1',
      'a-1 is there because the world says a<2',
    ])
  })
  it('goes on without what install_if would bring in and cannot be had, where apk tries for ever', async () => {
    const specs = { 'a-1': {}, 'a-extra-1': { depends: 'gone', installIf: 'a' } }
    const { packages, dropped } = await select('a', { specs })
    expect(packages.map(({ name }) => name)).toEqual(['a'])
    expect(dropped).toEqual([
      {
        entry: 'a-extra',
        chain: ['a-extra-1 comes by itself with a', 'a-extra-1 needs gone', 'nothing provides gone'],
        nearMisses: [],
      },
    ])
  })
  it('is told in one line', () => {
    const gone = { entry: 'a>2', chain: ['there is no a>2'], nearMisses: ['a-1'] }
    expect(describeDropped(gone)).toBe('a>2 cannot be had: there is no a>2 (there is a-1)')
    const forbidden = { entry: '!b', chain: ['b-1 is there because a-1 needs b'], nearMisses: [] }
    expect(describeDropped(forbidden)).toBe(
      'b is there, which the world forbids (!b): b-1 is there because a-1 needs b',
    )
  })
  it('knows at most 32 repositories, as apk does', async () => {
    const specs = { 'a-1': {} }
    const many = Array.from({ length: 32 }, () => ({ specs }))
    const { packages } = await select('a', ...many)
    expect(packages[0]?.repositories).toEqual(Array.from({ length: 32 }, (_, n) => n))
    await expect(select('a', ...many, { specs })).rejects.toThrow('there are 33 repositories')
  })
  it('says who forbids it', async () => {
    const { dropped, packages } = await select('a b', { specs: { 'a-1': { depends: '!b' }, 'b-1': {} } })
    expect(packages).toEqual([])
    expect(dropped.find(({ entry }) => entry === 'b')?.chain.join(' ')).toContain('a-1 says !b')
  })
  it('does not complain of what came in for another reason', async () => {
    const { dropped, packages } = await select('gone !nothing a', { specs: { 'a-1': {} } })
    expect(packages.map(({ name }) => name)).toEqual(['a'])
    expect(dropped.map(({ entry }) => entry)).toEqual(['gone'])
  })
  it('is the same in every run', async () => {
    const specs: Specs = Object.fromEntries(
      Array.from({ length: 60 }, (_, i) => [
        `p${i}-1`,
        { depends: `p${(i * 7 + 1) % 60} p${(i * 13 + 5) % 60}` },
      ]),
    )
    const first = await chosen('p3 p9 gone', { specs })
    expect(first.split(' ').length).toBeGreaterThan(20)
    for (let i = 0; i < 3; i++) expect(await chosen('gone p9 p3', { specs })).toBe(first)
  })
})

it('asks the source for no name twice, and for none that the world does not reach', async () => {
  const source = memorySource({
    specs: { 'a-1': { depends: 'b c' }, 'b-1': { depends: 'c' }, 'c-1': {}, 'z-1': { depends: 'y' } },
  })
  await selectPackages(source, makeWorld(['a']))
  expect([...source.asked].sort()).toEqual(['a', 'b', 'c'])
})
