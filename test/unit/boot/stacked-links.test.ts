/** vlan= and bond= in dracut's words (pain 10, netboot.xyz#1747: no VLAN, no bond). */

import { describe, expect, test } from 'vitest'
import { parseStackedLinks, topmost } from '../../../src/boot/stacked-links.ts'

const usual = [
  ['mode', 'balance-rr'],
  ['miimon', '100'],
]
const bond0 = { kind: 'bond', name: 'bond0', members: ['eth0', 'eth1'], options: usual, mtu: undefined }

describe('vlan= (netboot.xyz#1747)', () => {
  test.each([
    ['vlan5:eth0', 'vlan5', 'eth0', 5],
    ['vlan0005:eth0', 'vlan0005', 'eth0', 5],
    ['eth0.5:eth0', 'eth0.5', 'eth0', 5],
    ['eth0.0005:eth0', 'eth0.0005', 'eth0', 5],
    ['eth0.5', 'eth0.5', 'eth0', 5],
    ['bond0.4094:bond0', 'bond0.4094', 'bond0', 4094],
    ['eth0.5.7:eth0.5', 'eth0.5.7', 'eth0.5', 7],
  ])('%s', (text, name, parent, id) => {
    expect(parseStackedLinks([text], [])).toEqual({
      kind: 'links',
      links: [{ kind: 'vlan', name, parent, id }],
    })
  })

  test.each([
    ['eth0:eth0', /vlan=eth0:eth0: it is none of vlan5:eth0/],
    ['eth0.0:eth0', /0 is no VLAN: their numbers are 1 to 4094/],
    ['vlan4095:eth0', /4095 is no VLAN/],
    ['vlan5', /does not say on which card/],
    ['vlan5:eth0:x', /it is none of/],
    ['enp0s31f6d12345.100:enp0s31f6d12345', /no name of a link \(15 characters/],
    ['yes', /it is none of/],
  ])('%s is refused', (text, reason) => {
    expect(parseStackedLinks([text], [])).toMatchObject({ reason: expect.stringMatching(reason) })
  })
})

describe('bond= (netboot.xyz#1747)', () => {
  test.each([
    ['bond0:eth0,eth1', bond0],
    ['yes', bond0],
    ['bond0', bond0],
    [
      'bond7:eth2:mode=1,miimon=50,primary=eth2:9000',
      {
        ...bond0,
        name: 'bond7',
        members: ['eth2'],
        options: [
          ['mode', 'active-backup'],
          ['miimon', '50'],
          ['primary', 'eth2'],
        ],
        mtu: 9000,
      },
    ],
    [
      'bond0:eth0,eth1:xmit_hash_policy=layer2+3,lacp_rate=fast,mode=802.3ad',
      {
        ...bond0,
        options: [
          ['mode', '802.3ad'],
          ['miimon', '100'],
          ['lacp_rate', 'fast'],
          ['xmit_hash_policy', 'layer2+3'],
        ],
      },
    ],
    [
      'bond0:eth0,eth1:mode=1,arp_ip_target=10.0.0.1;10.0.0.2,arp_interval=200',
      {
        ...bond0,
        options: [
          ['mode', 'active-backup'],
          ['arp_interval', '200'],
          ['arp_ip_target', '10.0.0.1;10.0.0.2'],
        ],
      },
    ],
  ])('%s', (text, link) => {
    expect(parseStackedLinks([], [text])).toEqual({ kind: 'links', links: [link] })
  })

  test.each([
    ['bond0:eth0:mode=fastest', /the mode 'fastest' is unknown: balance-rr, active-backup/],
    ['bond0:eth0:mode=7', /the mode '7' is unknown/],
    ['bond0:eth0:speed=9', /'speed' is no option/],
    ['bond0:eth0:fast', /'fast' is no option \(NAME=VALUE\)/],
    ['bond0:eth0:mode=1,primary=eth7', /its primary eth7 is no member/],
    ['bond0:eth0,eth0', /names a member twice/],
    ['bond0:eth0::big', /'big' is no MTU/],
    ['bond0:eth0:::', /more fields/],
    ['bond0:eth/0', /'eth\/0' is no name of a link/],
  ])('%s is refused', (text, reason) => {
    expect(parseStackedLinks([], [text])).toMatchObject({ reason: expect.stringMatching(reason) })
  })
})

test('a VLAN over a bond is made after it, and is what is booted from', () => {
  const stacked = parseStackedLinks(['bond0.5:bond0'], ['bond0:eth0,eth1'])
  const links = stacked.kind === 'links' ? stacked.links : []
  expect(links.map(({ name }) => name)).toEqual(['bond0', 'bond0.5'])
  expect(topmost(links).map(({ name }) => name)).toEqual(['bond0.5'])
  const other = parseStackedLinks(['vlan5:eth0', 'vlan6:eth1'], ['bond0:vlan5,vlan6'])
  expect(other.kind === 'links' ? other.links.at(-1)?.name : other).toBe('bond0')
})

test.each([
  [['eth0.5:eth0', 'eth0.5:eth1'], [], /eth0.5 is to be made twice/],
  [[], ['bond0:eth0', 'bond1:eth0'], /eth0 cannot be a member of bond0 and of bond1/],
  [['vlan5:vlan6', 'vlan6:vlan5'], [], /vlan5 and vlan6 would lie on themselves/],
])('vlan=%s bond=%s cannot be', (vlans, bonds, reason) => {
  expect(parseStackedLinks(vlans, bonds)).toMatchObject({ reason: expect.stringMatching(reason) })
})
