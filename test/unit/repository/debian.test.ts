import { describe, expect, it } from 'vitest'
import { apkVersion, parseRelations } from '../../../scripts/repository/debian.ts'
import { isVersion } from '../../../src/apk/version.ts'

describe('a Debian version in the grammar of apk', () => {
  const known: Readonly<Record<string, string>> = {
    '1:9.2p1-2+deb12u10': '9.2_p1-r2010',
    '2.36-9+deb12u14': '2.36-r9014',
    '2026f-0+deb12u1': '2026f-r1',
    '20250419~deb12u2': '20250419-r0',
    '5.3.28+dfsg2-1': '5.3.28-r1000',
    '1.0~rc2-3': '1.0_rc2-r3000',
    '7.6.q-32': '7.6-r32000',
  }
  for (const [debian, apk] of Object.entries(known)) {
    it(`${debian} is ${apk}`, () => {
      expect(apkVersion(debian)).toBe(apk)
      expect(isVersion(apk)).toBe(true)
    })
  }

  it('refuses what has no number at its beginning', () => {
    expect(() => apkVersion('abc-1')).toThrow(/abc-1/)
  })
})

describe('a Debian dependency', () => {
  it('has alternatives, operators and versions', () => {
    expect(parseRelations('libc6 (>= 2.36), a:any (= 1-2) | b')).toEqual([
      [{ name: 'libc6', operator: '>=', version: '2.36' }],
      [
        { name: 'a', operator: '=', version: '1-2' },
        { name: 'b', operator: undefined, version: '' },
      ],
    ])
  })

  it('that cannot be read is an error with its text', () => {
    expect(() => parseRelations('a (>> )')).toThrow(/a \(>> \)/)
  })
})
