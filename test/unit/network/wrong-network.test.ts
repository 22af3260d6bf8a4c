/** The right card of several (pain 1: netboot.xyz#1599, #1640, mkinitfs#52, grml#73): a quick lease is not yet the right network. */

import { describe, expect, test } from 'vitest'
import { parseCommandLine } from '../../../src/boot/command-line.ts'
import { planProxies } from '../../../src/boot/proxy-plan.ts'
import { planRoot } from '../../../src/boot/root-plan.ts'
import { readSettings } from '../../../src/boot/settings.ts'
import { type SourceHost, sourceHosts } from '../../../src/network/source-hosts.ts'
import { dhcpServer, type LinkScript } from '../../support/machine/index.ts'
import { joining } from './join-fixture.ts'

/** On the right network only. */
const source: SourceHost = { kind: 'host', host: '10.0.2.2', port: 80 }
const sources = [source]

const wrong = (name: string, more: Partial<LinkScript> = {}): LinkScript => ({
  name,
  reachesServers: false,
  dhcp: dhcpServer({ address: '192.168.7.20', serverId: '192.168.7.1' }),
  ...more,
})
const right = (name: string, more: Partial<LinkScript> = {}): LinkScript => ({
  name,
  dhcp: dhcpServer({ delayMs: 2000 }),
  ...more,
})

describe('a lease from which the source cannot be reached gives way', () => {
  test('four cards: one dead, one silent, one with DHCP of a wrong network, and the last one (netboot.xyz#1640)', async () => {
    const f = joining([
      { name: 'eth0', carrierAfterMs: 'never' },
      { name: 'eth1' },
      wrong('eth2'),
      right('eth3', { carrierAfterMs: 3000 }),
    ])
    const up = await f.join({}, { sources })
    expect(up).toMatchObject({ link: 'eth3', address: '10.0.2.15' })
    expect(f.notices).toContain('eth2: nobody answers at 10.0.2.2:80: other cards go first')
    expect(await f.up()).toEqual(['lo', 'eth3'])
    expect(f.released()).toEqual(['eth2 192.168.7.20'])
    expect(f.machine.network.addresses('eth2')).toEqual([])
    expect(f.machine.network.routes('eth3')).toEqual([{ destination: '0.0.0.0/0', gateway: '10.0.2.2' }])
    expect(await f.resolvConf()).toBe('nameserver 10.0.2.3\n')
    // Eight seconds until the right one has its lease, and the look at the wrong one meanwhile.
    expect(f.elapsed()).toBeLessThan(16_000)
  })

  test('a lease that leads there wins at once, whoever else is racing', async () => {
    const f = joining([{ name: 'eth0' }, right('eth1', { dhcp: dhcpServer() })])
    expect((await f.join({}, { sources })).link).toBe('eth1')
    expect(f.elapsed()).toBeLessThan(300)
    expect(f.notices).toEqual([])
  })

  test('a name that the lease’s resolver does not know is no way either', async () => {
    const f = joining([wrong('eth0'), right('eth1')], { names: { 'boot.site': '10.0.2.2' } })
    const host: SourceHost = { kind: 'host', host: 'boot.site', port: 443 }
    expect((await f.join({}, { sources: [host] })).link).toBe('eth1')
    expect(f.notices.join()).toMatch(/eth0: boot\.site:443 cannot be asked: .*other cards go first/)
  })

  test('a fixed address without a device tries the next card, too', async () => {
    const f = joining([
      { name: 'eth0', reachesServers: false },
      { name: 'eth1', carrierAfterMs: 3000 },
    ])
    const up = await f.join({ ip: ['10.0.2.77:::24'] }, { sources })
    expect(up.link).toBe('eth1')
    expect(f.machine.network.addresses('eth0')).toEqual([])
  })

  test('a card whose drivers are still loading is a rival', async () => {
    const f = joining([wrong('eth0'), right('eth1', { appearsAfterMs: 8000 })])
    const coldplug = f.machine.clock.sleep(9000)
    expect((await f.join({}, { sources, coldplug })).link).toBe('eth1')
  })

  test('a gate of the wrong network that refuses: the server may start later, but the other card has it now', async () => {
    const f = joining([wrong('eth0', { refuses: ['10.0.2.2:80'] }), right('eth1')])
    expect((await f.join({}, { sources })).link).toBe('eth1')
    expect(f.notices).toContain('eth0: 10.0.2.2:80 refuses the connection: other cards go first')
  })

  test('TFTP goes by UDP: that TCP is refused is the answer of a server that is there', async () => {
    const f = joining([right('eth0', { dhcp: dhcpServer(), refuses: ['10.0.2.2:69'] }), { name: 'eth1' }])
    const tftp: SourceHost = { kind: 'host', host: '10.0.2.2', port: 69, datagrams: true }
    expect((await f.join({}, { sources: [tftp] })).link).toBe('eth0')
    expect(f.elapsed()).toBeLessThan(300)
  })

  test('several mirrors: one that answers is enough', async () => {
    const f = joining([right('eth0', { dhcp: dhcpServer() }), { name: 'eth1' }], {
      names: { 'mirror.example': '' },
    })
    const gone: SourceHost = { kind: 'host', host: 'mirror.example', port: 80 }
    expect((await f.join({}, { sources: [gone, source] })).link).toBe('eth0')
    expect(f.elapsed()).toBeLessThan(300)
  })
})

describe('where no other card leads there the lease stands', () => {
  test('one card: it is not even asked', async () => {
    const f = joining([wrong('eth0')])
    expect((await f.join({}, { sources })).link).toBe('eth0')
    expect(f.elapsed()).toBeLessThan(300)
    expect(f.notices).toEqual([])
  })

  test('the card that BOOTIF or ip= names, among others: not asked either', async () => {
    const cards = [wrong('eth0', { mac: '52:54:00:00:00:aa' }), right('eth1')]
    const byMac = joining(cards)
    expect((await byMac.join({}, { sources, bootInterface: '52:54:00:00:00:aa' })).link).toBe('eth0')
    const byName = joining(cards)
    expect((await byName.join({ ip: ['eth0:dhcp'] }, { sources })).link).toBe('eth0')
    expect(byName.elapsed()).toBeLessThan(300)
  })

  test('the others have no carrier: ten seconds for their negotiation, then it stays, with a word', async () => {
    const f = joining([
      wrong('eth0'),
      { name: 'eth1', carrierAfterMs: 'never' },
      { name: 'eth2', carrierAfterMs: 'never' },
    ])
    expect(await f.join({}, { sources })).toMatchObject({ link: 'eth0', address: '192.168.7.20' })
    expect(f.machine.network.addresses('eth0')).toEqual([{ address: '192.168.7.20', prefixLength: 24 }])
    expect(f.notices).toContain('eth0: no other card leads there either: it stays')
    expect(f.elapsed()).toBeLessThan(21_000)
    expect(f.released()).toEqual([])
    expect(await f.up()).toEqual(['lo', 'eth0'])
  })

  test('the others have no DHCP: they hold it up for less than a minute', async () => {
    const f = joining([wrong('eth0'), { name: 'eth1' }])
    expect((await f.join({}, { sources })).link).toBe('eth0')
    expect(f.elapsed()).toBeGreaterThan(40_000)
    expect(f.elapsed()).toBeLessThan(60_000)
  })

  test('of two leases the one whose server refuses is taken, not the one where nobody is', async () => {
    const f = joining([wrong('eth0'), right('eth1', { dhcp: dhcpServer(), refuses: ['10.0.2.2:80'] })])
    expect((await f.join({}, { sources })).link).toBe('eth1')
    expect(f.elapsed()).toBeGreaterThan(40_000)
    expect(f.elapsed()).toBeLessThan(60_000)
  })

  test('a server that starts after its clients: both leases are looked at in turns (nixpkgs#306858)', async () => {
    const f = joining([wrong('eth0'), right('eth1', { dhcp: dhcpServer() })])
    f.machine.faults.order({ operation: 'network.answers', code: 'EHOSTUNREACH', times: 3 })
    expect((await f.join({}, { sources })).link).toBe('eth1')
    expect(f.released()).toEqual(['eth0 192.168.7.20'])
  })

  test('a carrier that goes while its lease is looked at takes the lease with it', async () => {
    const f = joining([
      wrong('eth0', { carrier: [{ afterMs: 2000, up: false }] }),
      right('eth1', { carrierAfterMs: 6000 }),
    ])
    expect((await f.join({}, { sources })).link).toBe('eth1')
    expect(f.machine.network.addresses('eth0')).toEqual([])
  })

  test('a lease whose address the kernel refuses is the end of its card only', async () => {
    const f = joining([right('eth0', { dhcp: dhcpServer() }), right('eth1')])
    f.machine.faults.order({ operation: 'network.addAddress', subject: 'eth0', code: 'EINVAL' })
    expect((await f.join({}, { sources })).link).toBe('eth1')
    expect(f.released()).toEqual(['eth0 10.0.2.15'])
  })
})

describe('what a network is told by', () => {
  const hosts = (text: string) => {
    const settings = readSettings(parseCommandLine(text))
    return sourceHosts(planRoot(settings), planProxies(settings))
  }

  test.each<[string, readonly unknown[]]>([
    ['apkovl=http://a.example/x alpine_repo=http://b.example/apks', [['a.example', 80]]],
    ['apkovl=https://a.example:8443/x', [['a.example', 8443]]],
    ['alpine_repo=http://b.example/apks diskless.lock=http://a.example/x.lock', [['a.example', 80]]],
    ['alpine_repo=http://b.example/apks diskless.lock=/x.lock', [['b.example', 80]]],
    ['apkovl=http://user:word@[fd00::1]:81/x', [['fd00::1', 81]]],
    [
      'alpine_repo=http://a.example/x,https://b.example/y,/media/cdrom/apks',
      [
        ['a.example', 80],
        ['b.example', 443],
      ],
    ],
    ['modloop=tftp://10.0.0.1/modloop', [['10.0.0.1', 69]]],
    ['alpine_dev=nfs:10.0.0.1:/media', [['10.0.0.1', 2049]]],
    ['root=/dev/nfs nfsroot=10.0.0.1:/root', [['10.0.0.1', 2049]]],
    ['root=/dev/nfs nfsroot=/root', [[undefined, 2049]]],
    ['root=dhcp', [[undefined, 2049]]],
    ['root=live:http://10.0.0.1/root.squashfs', [['10.0.0.1', 80]]],
    ['http_proxy=http://10.0.0.9:3128 apkovl=http://a.example/x', [['10.0.0.9', 3128]]],
    ['http_proxy=http://10.0.0.9:3128 no_proxy=a.example apkovl=http://a.example/x', [['a.example', 80]]],
    ['root=/dev/sda1', []],
    ['apkovl=/x.apkovl.tar.gz', []],
    ['apkovl=http://a.example:99999/x', []],
  ])('%s', (text, expected) => {
    expect(hosts(text).map((each) => ['host' in each ? each.host : undefined, each.port])).toEqual(expected)
  })
})
