/** Router advertisements: what a host decides by, and what is dropped. */

import { describe, expect, test } from 'vitest'
import { parseAdvertisement, type RouterAdvertisement } from '../../../src/network/router-advertisement.ts'
import { damaged, inputs } from '../../support/fuzz.ts'
import { addressHex, advertisement } from '../../support/machine/ipv6-wire.ts'

const heard = (bytes: string, from = 'fe80::1') => parseAdvertisement({ from, bytes })
const plain = advertisement({})

test('all of it', () => {
  const bytes = advertisement({
    ...{ managed: true, other: true, lifetime: 600, mtu: 1400, prefixes: ['fd00::'], onLinkOnly: ['fd01::'] },
    ...{ dns: ['fd00::53', 'fe80::53'], search: ['lab.example', 'example'] },
  })
  const common = { prefixLength: 64, onLink: true, validLifetime: 3600 }
  expect(heard(bytes)).toEqual({
    router: 'fe80::1',
    lifetime: 600,
    managed: true,
    other: true,
    mtu: 1400,
    prefixes: [
      { ...common, prefix: 'fd00::', autonomous: true },
      { ...common, prefix: 'fd01::', autonomous: false },
    ],
    dns: ['fd00::53', 'fe80::53'],
    search: ['lab.example', 'example'],
  })
})

test('one that dnsmasq 2.90 sent', () => {
  const bytes = [
    '8600536d40c002580000000000000000',
    '030440c0000002580000025800000000fd000001000000000000000000000000',
    '0501000000000578',
    '0101020000000002',
    '1f04000000000258036c6162076578616d706c6500076578616d706c65000000',
    '1903000000000258fd000001000000000000000000000053',
  ].join('')
  expect(heard(bytes, 'fe80::ff:fe00:2')).toEqual({
    router: 'fe80::ff:fe00:2',
    lifetime: 600,
    managed: true,
    other: true,
    mtu: 1400,
    prefixes: [{ prefix: 'fd00:1::', prefixLength: 64, onLink: true, autonomous: true, validLifetime: 600 }],
    dns: ['fd00:1::53'],
    search: ['lab.example', 'example'],
  })
})

describe('dropped whole (RFC 4861, 6.1.2)', () => {
  test.each([
    ['not of a link-local address', heard(plain, 'fd00::1')],
    ['of no address', heard(plain, 'x')],
    ['too short', heard(plain.slice(0, -2))],
    ['empty', heard('')],
    ['of another type', heard(`85${plain.slice(2)}`)],
    ['with a code', heard(`8601${plain.slice(4)}`)],
    ['with an option without length', heard(`${plain}0100000000000000`)],
    ['with an option beyond its end', heard(`${plain}0102000000000000`)],
    ['with half an option', heard(`${plain}05`)],
  ])('%s', (_, parsed) => expect(parsed).toBeUndefined())
})

describe('left out of it', () => {
  const nothing: Partial<RouterAdvertisement> = { mtu: undefined, prefixes: [], dns: [], search: [] }
  test.each([
    ['an MTU that no link has', '0501000000000400'],
    ['a prefix of more than 128 bits', `030481c0${'00000e10'.repeat(2)}00000000${addressHex('fd00::')}`],
    ['a link-local prefix', `030440c0${'00000e10'.repeat(2)}00000000${addressHex('fe80::')}`],
    ['a prefix option that is too short', '030140c000000e10'],
    ['DNS servers whose time is over', `1903000000000000${addressHex('fd00::53')}`],
    ['a DNS server that is none', `1903000000000708${addressHex('ff02::fb')}`],
    ['half a DNS server', `190200000000070800000000${'00000000'}`],
    ['a name that breaks off', '1f02000000000708056c616200000000'],
    ['a name for a shell', `1f020000000007080724287265626f29`],
    ['an option that nobody knows', 'fe01000000000000'],
  ])('%s', (_, option) => expect(heard(plain + option)).toMatchObject(nothing))
})

test('a router that says more than anybody reads is cut short', () => {
  const many = Array.from({ length: 100 }, (_, at) => `fd00::${(at + 1).toString(16)}`)
  const said = heard(advertisement({ dns: many, prefixes: many.slice(0, 60) }))
  expect([said?.dns.length, said?.prefixes.length]).toEqual([32, 32])
})

test('damaged ones: none throws, none grows', () => {
  const good = advertisement({ mtu: 1500, prefixes: ['fd00::'], dns: ['fd00::53'], search: ['a.example'] })
  for (const bytes of damaged(good, inputs(30_000))) {
    const said = heard(bytes)
    for (const name of said?.search ?? []) expect(name).toMatch(/^[\w.-]+$/)
    for (const server of said?.dns ?? []) expect(server).toMatch(/^[0-9a-f:]+$/)
  }
})
