/** The lock file as text: what is written is what is read, and nothing else is. */

import { describe, expect, it } from 'vitest'
import { compareWorlds, formatLock, parseLock, splitLock } from '../../../src/apk/lock.ts'
import { makeWorld } from '../../../src/apk/world.ts'
import { inOrder, lockOf, signedLock } from '../../support/lock.ts'

const shown = 'the lock x'
const read = (text: string) => parseLock(splitLock(text, shown).text, shown)

describe('a lock file', () => {
  it('comes back as it was written, tags, mirrors and missing digests included', () => {
    const plain = lockOf(inOrder)
    const [first, ...others] = plain.packages
    if (first === undefined) throw new Error('the scenario has packages')
    const { sha256: _, ...unread } = first
    const lock = lockOf(inOrder, {
      world: makeWorld(['alpine-base', 'nano@edge', 'musl>1.2', '!vi', 'curl~8']),
      repositories: [
        { urls: ['../apks', 'http://mirror.example.org/apks'], tag: undefined },
        { urls: ['http://edge.example.org/apks'], tag: 'edge' },
      ],
      packages: [{ ...unread, repositories: [1, 0], tag: 'edge' }, ...others],
    })
    expect(read(signedLock(lock))).toEqual(lock)
  })

  it('has its packages’ stanzas as the index has them', () => {
    const [stanza] = lockOf(inOrder).packages.map((pkg) => pkg.stanza)
    expect(formatLock(lockOf(inOrder))).toContain(`\n\n${stanza}\nfrom: 1\nsha256: `)
  })

  it('takes no line of an index for one of its own', () => {
    const [first] = lockOf(inOrder).packages
    if (first === undefined) throw new Error('the scenario has packages')
    const packages = [{ ...first, stanza: `${first.stanza}\nfrom: 7\nsignature: me AAAA` }]
    expect(read(signedLock(lockOf([], { packages }))).packages).toEqual([first])
  })

  it.each([
    ['<html>Sorry</html>', /is no lock file/],
    ['', /is no lock file/],
    [signedLock().replace('lock 1', 'lock 2'), /of format 2; this diskless reads format 1/],
    [formatLock(lockOf(inOrder)), /no signature at its end: it is cut short, or was never signed/],
    [signedLock().slice(0, -30), /cut short/],
    [signedLock().slice(0, 900), /cut short/],
    [`${signedLock()}more\n`, /no signature at its end/],
  ])('%.20s… is refused', (text, why) => {
    expect(() => read(text)).toThrow(why)
  })

  it.each([
    [/^arch:.*\n/m, '', /no line `arch:`/],
    [/^packages: 3/m, 'packages: 4', /announces 4 packages, and 3 are there/],
    [/^world: .*/m, 'world: a=', /its world has a=/],
    [/^from: 1/m, 'from: 2', /its package 1 is not usable/],
    [/^from: 1\n/m, '', /package 1/],
    [/^sha256: ../m, 'sha256: xx', /package 1/],
    [/^P:.*/m, 'P:../../x', /package 1/],
    [/^V:.*/m, 'V:1/2', /package 1/],
    [/^A:.*/m, 'A:..', /package 1/],
    [/^S:.*/m, 'S:0', /package 1/],
    [/^C:.*\n/m, '', /package 1/],
  ])('with %s → %s is damaged', (from, to, why) => {
    expect(() => parseLock(formatLock(lockOf(inOrder)).replace(from, to), shown)).toThrow(why)
  })
})

describe('worlds', () => {
  it.each([
    [['a', 'b'], ['b', 'a'], [], []],
    [['a', 'c'], ['a', 'b'], ['c'], ['b']],
    [['a=1'], ['a'], ['a=1'], ['a']],
    [['a@edge'], ['a'], ['a@edge'], ['a']],
    [['a', 'b='], ['a'], ['b='], []],
  ])('%s and %s differ in %s and %s', (asked, locked, lacking, further) => {
    expect(compareWorlds(makeWorld(asked), makeWorld(locked))).toEqual({ lacking, further })
  })
})
