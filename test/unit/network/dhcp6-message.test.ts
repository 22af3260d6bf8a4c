/** DHCPv6 on the wire: what we send, what real servers answer, and what is dropped. */

import { describe, expect, test } from 'vitest'
import { clientIdOf, iaidOf, lease6Of } from '../../../src/network/dhcp6-lease.ts'
import { decodeDhcp6, encodeDhcp6 } from '../../../src/network/dhcp6-message.ts'
import { damaged, inputs } from '../../support/fuzz.ts'
import { dhcp6Option, dhcp6Options } from '../../support/machine/ipv6-wire.ts'

const clientId = '00030001020000000001'

/** dnsmasq 2.90 to a solicit with rapid commit, option by option. */
const reply = [
  '07abcded',
  '0001000a00030001020000000001',
  '0002000a00030001020000000002',
  '000e0000',
  '00030028000000010000012c0000020d',
  '00050018fd0000010000000000000000000001840000025800000258',
  '000d0009000073756363657373',
  '000700010' + '0',
  '003b001c687474703a2f2f5b666430303a313a3a315d2f626f6f742e69707865',
  '0038001400010010fd000001000000000000000000000123',
  '00180016036c6162076578616d706c6500076578616d706c6500',
  '00170010fd000001000000000000000000000053',
].join('')

test('a reply of dnsmasq, and the lease in it', () => {
  const message = decodeDhcp6(reply)
  expect(message).toEqual({
    type: 'reply',
    xid: 0xabcded,
    clientId,
    serverId: '00030001020000000002',
    address: {
      ...{ iaid: 1, t1: 300, t2: 525, address: 'fd00:1::184' },
      ...{ preferredLifetime: 600, validLifetime: 600 },
    },
    preference: 0,
    status: { code: 0, message: 'success' },
    rapidCommit: true,
    dns: ['fd00:1::53'],
    search: ['lab.example', 'example'],
    ntp: ['fd00:1::123'],
    bootFileUrl: 'http://[fd00:1::1]/boot.ipxe',
  })
  const lease = message && lease6Of(message, { clientId, iaid: 1 }, 5000)
  expect(lease).toMatchObject({ renewalTime: 300, rebindingTime: 525, validLifetime: 600, warnings: [] })
  expect(message && lease6Of(message, { clientId, iaid: 2 }, 5000)).toBeUndefined()
})

test('what a client asks, option by option', () => {
  const asked = encodeDhcp6({
    ...{ type: 'request', xid: 0xabcdef, clientId, serverId: '000300015254000000ff', iaid: 7 },
    ...{ address: 'fd00::100', elapsed: 70_000, hostname: 'kiosk.example' },
  })
  expect(asked.slice(0, 8)).toBe('03abcdef')
  expect(Object.fromEntries(dhcp6Options(asked))).toEqual({
    1: clientId,
    2: '000300015254000000ff',
    3: `00000007${'0'.repeat(16)}${dhcp6Option(5, `fd00${'0'.repeat(25)}100${'0'.repeat(16)}`)}`,
    6: '00170018001f0038003b0052',
    8: 'ffff',
    15: '00086469736b6c657373',
    39: '00056b696f736b076578616d706c65',
  })
  const information = encodeDhcp6({ type: 'information-request', xid: 1, clientId, elapsed: 0 })
  expect(information.slice(0, 8)).toBe('0b000001')
  expect([...dhcp6Options(information).keys()]).toEqual([1, 8, 15, 6])
  expect(dhcp6Options(information).get(6)).toBe('00170018001f0038003b0053')
})

test('a client is its UUID, or its card where the firmware was never given one', () => {
  const uuid = '6C1F3F4E-0000-4000-8000-525400123456'
  expect(clientIdOf(uuid, '52:54:00:00:00:01')).toBe('00046c1f3f4e000040008000525400123456')
  for (const none of [undefined, '', 'ffffffff-ffff-ffff-ffff-ffffffffffff', 'Not Settable'])
    expect(clientIdOf(none, '52:54:00:00:00:01')).toBe('00030001525400000001')
  expect(iaidOf('52:54:00:00:00:01')).toBe(1)
  expect(iaidOf('52:54:ff:ff:ff:ff')).toBe(0xffffffff)
})

describe('times that a server leaves open, or gets wrong', () => {
  const times = (t1: number, t2: number, preferred: number, valid: number) => {
    const hex = (value: number) => value.toString(16).padStart(8, '0')
    const address = dhcp6Option(5, `fd00${'0'.repeat(27)}1${hex(preferred)}${hex(valid)}`)
    const head = `07000001${dhcp6Option(1, clientId)}${dhcp6Option(2, clientId)}`
    const message = decodeDhcp6(`${head}${dhcp6Option(3, `00000001${hex(t1)}${hex(t2)}${address}`)}`)
    const lease = message && lease6Of(message, { clientId, iaid: 1 }, 0)
    return lease && [lease.renewalTime, lease.rebindingTime, lease.preferredLifetime, lease.validLifetime]
  }
  test('0 leaves T1 and T2 to the client', () =>
    expect(times(0, 0, 1000, 2000)).toEqual([500, 800, 1000, 2000]))
  test('T1 after T2', () => expect(times(900, 800, 1000, 2000)).toEqual([500, 800, 1000, 2000]))
  test('for ever', () =>
    expect(times(0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff)).toEqual([
      ...[undefined, undefined, undefined, undefined],
    ]))
  test('preferred for longer than valid: RFC 8415 has the address dropped', () =>
    expect(times(0, 0, 2000, 1000)).toBeUndefined())
  test('over already', () => expect(times(0, 0, 0, 0)).toBeUndefined())
})

describe('no message to a client', () => {
  test.each([
    ['nothing', ''],
    ['half a header', '0700'],
    ['a client’s own', `01${reply.slice(2)}`],
    ['of a relay', `0d${reply.slice(2)}`],
    ['cut off in an option', reply.slice(0, -2)],
    ['with an option beyond its end', `${reply}00170020fd00`],
  ])('%s', (_, bytes) => expect(decodeDhcp6(bytes)).toBeUndefined())
})

describe('left out of one', () => {
  const with_ = (...options: readonly string[]) =>
    decodeDhcp6(`07000001${dhcp6Option(2, clientId)}${options.join('')}`)
  test.each([
    ['a DNS server that is none', dhcp6Option(23, `ff02${'0'.repeat(27)}1`), { dns: [] }],
    ['one and a half DNS servers', dhcp6Option(23, `fd00${'0'.repeat(27)}1fd00`), { dns: [] }],
    ['a name that never ends', dhcp6Option(24, '036c6162'), { search: [] }],
    ['a compressed name', dhcp6Option(24, 'c00c'), { search: [] }],
    ['a server’s name that is too long', dhcp6Option(1, '00'.repeat(200)), { clientId: undefined }],
    ['an association that is too short', dhcp6Option(3, '00000001'), { address: undefined }],
    [
      'an address that no host has',
      dhcp6Option(3, `${'0'.repeat(24)}${dhcp6Option(5, `ff02${'0'.repeat(28)}0000003c0000003c`)}`),
      { address: undefined },
    ],
  ])('%s', (_, option, expected) => expect(with_(option)).toMatchObject(expected))
})

test('damaged replies: none throws, and what is left in them is sound', () => {
  for (const bytes of damaged(reply, inputs(30_000))) {
    const message = decodeDhcp6(bytes)
    const lease = message && lease6Of(message, { clientId, iaid: 1 }, 0)
    if (lease === undefined) continue
    expect(lease.address).toMatch(/^[0-9a-f:]+$/)
    for (const name of lease.search) expect(name).toMatch(/^[\w.-]+$/)
    expect(lease.bootFileUrl ?? '').toMatch(/^[\x21-\x7e]*$/)
  }
})
