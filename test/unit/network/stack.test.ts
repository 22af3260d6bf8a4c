/** VLANs and bonds (pain 10, netboot.xyz#1747), and several ip=, on the fake machine. */

import { describe, expect, test } from 'vitest'
import { dhcpServer } from '../../support/machine/index.ts'
import { joining } from './join-fixture.ts'

const tagged = { 5: { dhcp: dhcpServer({ address: '10.5.0.20', serverId: '10.5.0.1' }) } }
const bonded = 'bond0:eth0,eth1:mode=active-backup,miimon=50,primary=eth1'

describe('a VLAN', () => {
  test('is made on its card, is what DHCP runs on, and is told of', async () => {
    const f = joining([{ name: 'eth0', vlans: tagged, dhcp: dhcpServer() }], { modules: { '8021q': {} } })
    const up = await f.join({ vlan: ['eth0.5:eth0'] })
    expect(up).toMatchObject({
      link: 'eth0.5',
      address: '10.5.0.20',
      mac: '52:54:00:00:00:02',
      beneath: ['eth0'],
      stacked: [{ kind: 'vlan', name: 'eth0.5', parent: 'eth0', id: 5 }],
    })
    expect(f.machine.modules.loaded.has('8021q')).toBe(true)
    expect(await f.up()).toEqual(['lo', 'eth0', 'eth0.5'])
    expect(f.machine.network.sent.every(({ link }) => link === 'eth0.5')).toBe(true)
  })

  test('on a card that appears late', async () => {
    const f = joining([{ name: 'eth0', appearsAfterMs: 9000, vlans: tagged }])
    expect((await f.join({ vlan: ['vlan5:eth0'] })).link).toBe('vlan5')
  })

  test('with a fixed address, an MTU and a hardware address of the command line', async () => {
    const f = joining([{ name: 'eth0' }])
    const ip = '10.5.0.9::10.5.0.1:24:box:vlan5:none:1400:52:54:00:00:00:aa'
    await f.join({ vlan: ['vlan5:eth0'], ip: [ip] })
    expect(await f.link('vlan5')).toMatchObject({ mtu: 1400, mac: '52:54:00:00:00:aa', up: true })
    expect(f.machine.network.addresses('vlan5')).toEqual([{ address: '10.5.0.9', prefixLength: 24 }])
  })

  test('no such card: those that are there are named', async () => {
    const f = joining([{ name: 'eth0', mac: '52:54:00:00:00:aa' }])
    const error = await f.failure({ vlan: ['eth7.5:eth7'] })
    expect(error.message).toBe(
      'there is no eth7, on which eth7.5 is to lie; this machine has eth0 (52:54:00:00:00:aa)',
    )
    expect(f.elapsed()).toBeLessThan(16_000)
  })

  test('an initrd without its module says so', async () => {
    const f = joining([{ name: 'eth0' }])
    f.machine.faults.order({ operation: 'network.addLink', code: 'EOPNOTSUPP' })
    const error = await f.failure({ vlan: ['eth0.5:eth0'] })
    expect(error.message).toBe('eth0.5 cannot be made: this initrd has no module 8021q')
    expect(error.advice[0]).toContain('the group vlan-bond')
  })

  test('can be made twice: a phase that is tried again', async () => {
    const f = joining([{ name: 'eth0', vlans: tagged }, { name: 'eth1' }])
    const words = { vlan: ['bond0.5:bond0'], bond: [bonded] }
    await f.join(words)
    expect((await f.join(words)).link).toBe('bond0.5')
  })
})

describe('a bond', () => {
  test('takes its options, then its members in their order, whichever appeared first', async () => {
    const f = joining(
      [
        { name: 'eth1', dhcp: dhcpServer(), mac: '52:54:00:00:00:b1' },
        { name: 'eth0', dhcp: dhcpServer(), mac: '52:54:00:00:00:b0', appearsAfterMs: 4000 },
      ],
      { modules: { bonding: {} } },
    )
    const up = await f.join({ bond: [`${bonded}:9000`] })
    expect(up).toMatchObject({ link: 'bond0', mac: '52:54:00:00:00:b0', beneath: ['eth0', 'eth1'] })
    // Else the driver makes a bond0 of its own, in another mode.
    expect(f.machine.modules.loaded.get('bonding')).toBe('max_bonds=0')
    expect(await f.bonding('bond0', 'mode')).toBe('active-backup')
    expect(await f.bonding('bond0', 'miimon')).toBe('50')
    expect(await f.bonding('bond0', 'primary')).toBe('eth1')
    expect(await f.link('bond0')).toMatchObject({ mtu: 9000, carrier: true })
    expect((await f.up()).sort()).toEqual(['bond0', 'eth0', 'eth1', 'lo'])
    expect(f.notices).not.toContainEqual(expect.stringContaining('its carrier is gone'))
  })

  test('one cable is enough', async () => {
    const f = joining([
      { name: 'eth0', carrierAfterMs: 'never', dhcp: dhcpServer() },
      { name: 'eth1', carrierAfterMs: 2000, dhcp: dhcpServer() },
    ])
    expect((await f.join({ bond: [bonded] })).link).toBe('bond0')
  })

  test('a member that is not there is told, and done without', async () => {
    const f = joining([{ name: 'eth0', dhcp: dhcpServer() }])
    expect((await f.join({ bond: [bonded] })).link).toBe('bond0')
    expect(f.notices).toContain('bond0: does without eth1: not there')
  })

  test('none of its members is there', async () => {
    const f = joining([{ name: 'enp3s0', mac: '52:54:00:00:00:aa' }])
    expect((await f.failure({ bond: [bonded] })).message).toBe(
      'there is none of eth0, eth1, on which bond0 is to lie; this machine has enp3s0 (52:54:00:00:00:aa)',
    )
  })

  test('an option that the driver refuses is named', async () => {
    const f = joining([{ name: 'eth0' }, { name: 'eth1' }])
    f.machine.faults.order({
      operation: 'files.writeText',
      subject: '/sys/class/net/bond0/bonding/miimon',
      code: 'EINVAL',
    })
    expect((await f.failure({ bond: [bonded] })).message).toBe('bond0 does not take miimon=50')
  })

  test('with a VLAN over it: both cards, the bond and the VLAN are up', async () => {
    const f = joining([
      { name: 'eth0', vlans: tagged },
      { name: 'eth1', vlans: tagged },
    ])
    const up = await f.join({ vlan: ['bond0.5:bond0'], bond: [bonded] })
    expect(up).toMatchObject({
      link: 'bond0.5',
      beneath: ['bond0', 'eth0', 'eth1'],
      mac: '52:54:00:00:00:02',
    })
    expect(await f.up()).toEqual(['lo', 'eth0', 'eth1', 'bond0', 'bond0.5'])
  })
})

describe('several ip=', () => {
  const cards = [
    { name: 'eth0', dhcp: dhcpServer() },
    { name: 'eth1', dhcp: dhcpServer({ address: '10.0.3.15', serverId: '10.0.3.2' }) },
  ]

  test('each its device: all are configured and left up, the boot’s default route comes first', async () => {
    const f = joining(cards)
    const up = await f.join({ ip: ['eth0:dhcp', 'eth1:dhcp'], bootdev: 'eth0' })
    expect(up).toMatchObject({ link: 'eth0', others: [{ link: 'eth1', address: '10.0.3.15' }] })
    expect(await f.up()).toEqual(['lo', 'eth0', 'eth1'])
    expect(f.machine.network.routes('eth0')).toEqual([{ destination: '0.0.0.0/0', gateway: '10.0.2.2' }])
    expect(f.machine.network.routes('eth1')).toEqual([
      { destination: '0.0.0.0/0', gateway: '10.0.3.2', metric: 1000 },
    ])
    expect(await f.resolvConf()).toBe('nameserver 10.0.2.3\n')
    expect(f.released()).toEqual([])
  })

  test('one that does not come up is told, and no reason not to boot', async () => {
    const f = joining([{ name: 'eth0', carrierAfterMs: 'never' }, cards[1] ?? { name: 'none' }])
    const up = await f.join({ ip: ['eth0:dhcp', 'eth1:dhcp', 'eth7:dhcp'], bootdev: 'eth1' })
    expect(up).toMatchObject({ link: 'eth1', others: [] })
    expect(f.notices.join('\n')).toMatch(/eth7 is not up, which the boot does not need: there is no eth7/)
    expect(f.notices).toContain('the other links of ip= are not waited for any longer')
    expect(f.elapsed()).toBeLessThan(42_000)
  })

  test('rd.route= of each', async () => {
    const f = joining(cards)
    const routes = [
      { destination: '10.8.0.0/16', gateway: '10.0.2.9', device: undefined },
      { destination: '10.9.0.0/16', gateway: '10.0.3.9', device: 'eth1' },
      { destination: '10.10.0.0/16', gateway: '172.16.0.1', device: 'eth0' },
    ]
    await f.join({ ip: ['eth1:dhcp', 'eth0:dhcp'] }, { routes })
    expect(f.machine.network.routes('eth0')).toEqual([
      { destination: '0.0.0.0/0', gateway: '10.0.2.2' },
      { destination: '10.8.0.0/16', gateway: '10.0.2.9' },
      { destination: '10.10.0.0/16', gateway: '172.16.0.1', onlink: true },
    ])
    expect(f.machine.network.routes('eth1').at(-1)).toEqual({
      destination: '10.9.0.0/16',
      gateway: '10.0.3.9',
    })
  })

  test('one on a VLAN, one on the card below it', async () => {
    const f = joining([{ name: 'eth0', dhcp: dhcpServer(), vlans: tagged }])
    const up = await f.join({ vlan: ['eth0.5:eth0'], ip: ['eth0.5:dhcp', 'eth0:dhcp'] })
    expect(up).toMatchObject({ link: 'eth0', others: [{ link: 'eth0.5', beneath: ['eth0'] }] })
  })
})
