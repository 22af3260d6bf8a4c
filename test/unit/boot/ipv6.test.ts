/** IPv6 addresses as text. */

import { isIPv6 } from 'node:net'
import { describe, expect, test } from 'vitest'
import {
  inPrefix6,
  isHostAddress6,
  isLinkLocal,
  networkOf6,
  normalizeIpv6,
  parseIpv6,
} from '../../../src/boot/ipv6.ts'
import { VirtualClock } from '../../support/machine/clock.ts'

describe('one form of each (RFC 5952)', () => {
  test.each([
    ['2001:DB8:0:0:0:0:0:1', '2001:db8::1'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['2001:0:0:1:0:0:0:1', '2001:0:0:1::1'],
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['::', '::'],
    ['0:0:0:0:0:0:0:1', '::1'],
    ['fe80::', 'fe80::'],
    ['[fd00::1]', 'fd00::1'],
    ['::ffff:10.0.0.1', '::ffff:a00:1'],
  ])('%s', (text, form) => expect(normalizeIpv6(text)).toBe(form))
})

test.each([
  ...['', ':', ':::', '1', '1:2:3:4:5:6:7', '1:2:3:4:5:6:7:8:9', '1::2::3', '12345::', 'g::', '::1%eth0'],
  ...[
    '1:2:3:4:5:6:7:8::',
    '10.0.0.1',
    '::10.0.0.256',
    '::1.2.3',
    '1.2.3.4::',
    '[::1',
    ':1:2:3:4:5:6:7',
    ' ::1',
  ],
])('%j is none', (text) => expect(normalizeIpv6(text)).toBeUndefined())

test('what Node takes for one is one, and nothing else, in ten thousand texts', () => {
  const chance = new VirtualClock({ seed: 7 })
  const parts = ['', '0', 'ff', '1:', '::', ':', 'fe80', '1.2.3.4', '0001', '12345', 'g', '2001:db8']
  for (let round = 0; round < 10_000; round += 1) {
    const length = 1 + Math.floor(chance.random() * 9)
    const text = Array.from({ length }, () => parts[Math.floor(chance.random() * parts.length)]).join(
      chance.random() < 0.5 ? ':' : '',
    )
    expect([text, parseIpv6(text) !== undefined]).toEqual([text, isIPv6(text)])
  }
})

test('kinds and prefixes', () => {
  expect(['fd00::1', 'fe80::1', '2001:db8::'].map(isHostAddress6)).toEqual([true, true, true])
  expect(['::', '::1', 'ff02::1', '::ffff:1.2.3.4', 'x', '10.0.0.1'].filter(isHostAddress6)).toEqual([])
  expect([isLinkLocal('fe80::1'), isLinkLocal('febf::1'), isLinkLocal('fec0::1')]).toEqual([
    true,
    true,
    false,
  ])
  expect(inPrefix6('fd00::1:2', 'fd00::', 64)).toBe(true)
  expect(inPrefix6('fd00:0:0:1::2', 'fd00::', 64)).toBe(false)
  expect(inPrefix6('fd00:0:0:1::2', 'fd00::', 63)).toBe(true)
  expect(networkOf6('fd00::1:2:3:4', 64)).toBe('fd00::/64')
  expect(networkOf6('fd00:1:2:3::4', 36)).toBe('fd00:1::/36')
})
