import { describe, expect, it } from 'vitest'
import { compareVersions, isVersion } from '../../../src/apk/version.ts'

/** Oldest first: every pair of these is compared. */
const LADDERS = [
  ['1.0_alpha', '1.0_alpha2', '1.0_beta', '1.0_pre1', '1.0_rc1', '1.0_rc2', '1.0', '1.0-r1', '1.0-r10'],
  ['1.0', '1.0_cvs1', '1.0_svn1', '1.0_git20230717', '1.0_hg1', '1.0_p1', '1.0_p2', '1.0_p2-r3'],
  ['9.6', '9.6_p1-r0', '9.6.1', '9.10', '10'],
  ['1.001', '1.0.1', '1.01', '1.1', '1.2', '1.10'],
  ['1.2', '1.2a', '1.2b', '1.2b-r1', '1.3'],
  ['1.2.4_git20230717-r3', '1.2.4_git20230717-r4', '1.2.4_git20230718-r0', '1.2.5-r0'],
  ['0.9999999999999998', '0.9999999999999999', '0.99999999999999991'],
]

describe('compareVersions', () => {
  it.each(LADDERS)('orders %s … %s', (...ladder: string[]) => {
    for (const [i, a] of ladder.entries())
      for (const [j, b] of ladder.entries()) {
        expect(`${a} ${Math.sign(compareVersions(a, b))} ${b}`).toBe(`${a} ${Math.sign(i - j)} ${b}`)
      }
  })

  it('takes a prefix for the same when it is asked to be fuzzy', () => {
    expect(compareVersions('3.1.4-r5', '3.1', true)).toBe(0)
    expect(compareVersions('3.1.4-r5', '3', true)).toBe(0)
    expect(compareVersions('3.10', '3.1', true)).toBeGreaterThan(0)
    expect(compareVersions('3.0.9', '3.1', true)).toBeLessThan(0)
  })
})

describe('isVersion', () => {
  it.each(['1', '1.2.3', '1.2a', '20240101', '1_p1', '1.2_git2-r0'])('accepts %s', (text) => {
    expect(isVersion(text)).toBe(true)
  })
  it.each(['ab', '1.0bc', '1_foo', '1-2', '1.0-r1.2', '1-', '1.123456789012345678'])('refuses %s', (text) => {
    expect(isVersion(text)).toBe(false)
  })
})
