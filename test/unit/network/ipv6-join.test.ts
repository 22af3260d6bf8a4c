/** From cards to a network by IPv6, on the fake machine: what routers ask for, and what is said when nothing comes. */

import { describe, expect, test } from 'vitest'
import { parseIpParameter } from '../../../src/boot/ip-parameter.ts'
import { formatLease } from '../../../src/network/files.ts'
import { joinNetwork } from '../../../src/network/join.ts'
import type { JoinRequest } from '../../../src/network/join-request.ts'
import { BootError } from '../../../src/sys/index.ts'
import {
  dhcp6Server,
  dhcpServer,
  fakeMachine,
  type Ipv6Script,
  type LinkScript,
} from '../../support/machine/index.ts'

const slaac = 'fd00::5054:ff:fe00:2'

function fixture(
  ipv6: Ipv6Script | undefined,
  more: Partial<LinkScript> = {},
  others: readonly LinkScript[] = [],
) {
  const eth0: LinkScript = { name: 'eth0', mac: '52:54:00:00:00:02', ...(ipv6 && { ipv6 }), ...more }
  const machine = fakeMachine({ links: [{ name: 'lo', physical: false }, eth0, ...others] })
  const notices: string[] = []
  const startedAt = machine.clock.now()
  const join = (ip: string, request: Partial<JoinRequest> = {}) =>
    machine.run(
      joinNetwork(
        machine,
        { ip: parseIpParameter(ip), ...request },
        { onNotice: (text) => notices.push(text) },
        new AbortController().signal,
      ),
    )
  return {
    ...{ machine, notices, join },
    async failure(ip: string, request?: Partial<JoinRequest>) {
      const error: unknown = await join(ip, request).then(
        () => new Error('it came up'),
        (e: unknown) => e,
      )
      if (!(error instanceof BootError)) throw error
      return error
    },
    elapsed: () => machine.clock.now() - startedAt,
    said: (link = 'eth0') => machine.network.ipv6(link).sent.map(({ bytes }) => bytes.slice(0, 2)),
    resolvConf: () => machine.files.readText('/etc/resolv.conf'),
    addresses: (link = 'eth0') =>
      machine.network
        .ipv6(link)
        .addresses.map(({ address, prefixLength, state }) => `${address}/${prefixLength} ${state}`),
  }
}

const router = { prefixes: ['fd00::'], dns: ['fd00::53'], search: ['lab.example'] }

describe('ip=auto6', () => {
  test('an address of what a router advertises, its DNS, and no DHCP of any kind', async () => {
    const f = fixture({ routers: [router] }, { dhcp: dhcpServer() })
    const up = await f.join('auto6')
    expect(up).toMatchObject({
      ...{ link: 'eth0', address: slaac, prefixLength: 64, dns: ['fd00::53'], search: ['lab.example'] },
      routes: [{ destination: '::/0', gateway: 'fe80::1' }],
      source: { kind: 'ipv6', configuration: { lease: undefined } },
    })
    expect(f.addresses()).toEqual(['fe80::5054:ff:fe00:2/64 preferred', `${slaac}/64 preferred`])
    expect(await f.resolvConf()).toBe('search lab.example\nnameserver fd00::53\n')
    expect(f.machine.network.sent).toEqual([])
    expect(f.said()).toEqual(['85'])
    // Duplicate address detection, twice, is all that is waited for.
    expect(f.elapsed()).toBeLessThan(2100)
    expect(f.machine.network.reaches('2001:db8::1')).toBe(true)
    expect(JSON.parse(formatLease(up))).toMatchObject({
      address: slaac,
      ipv6: { routers: [{ router: 'fe80::1' }] },
    })
  })

  test('a switch port that learns for thirty seconds: solicited again and again, not more and more seldom', async () => {
    const f = fixture({ routers: [{ ...router, readyAfterMs: 30_000 }] })
    await f.join('auto6')
    expect(f.elapsed()).toBeLessThan(36_500)
    expect(f.said().length).toBeGreaterThanOrEqual(7)
  })

  test('O: the rest by stateless DHCPv6, whose servers come first', async () => {
    const dhcp = dhcp6Server({ dns: ['fd00::54'], search: ['dhcp.example'], ntp: ['fd00::123'] })
    const f = fixture({ routers: [{ ...router, other: true }], dhcp })
    const up = await f.join('auto6')
    expect(up).toMatchObject({
      ...{
        address: slaac,
        dns: ['fd00::54', 'fd00::53'],
        search: ['dhcp.example', 'lab.example'],
        ntp: ['fd00::123'],
      },
    })
    expect(f.said()).toEqual(['85', '0b'])
  })

  test('O, and nobody to ask: ten seconds, a word, and on', async () => {
    const f = fixture({ routers: [{ ...router, other: true }] })
    expect(await f.join('auto6')).toMatchObject({ address: slaac, dns: ['fd00::53'] })
    expect(f.elapsed()).toBeLessThan(11_500)
    expect(f.notices.at(-1)).toBe(
      'eth0: the router fe80::1 says that DHCPv6 has more to know, but no server gave it',
    )
  })

  test('M: the address by DHCPv6', async () => {
    const dhcp = dhcp6Server({
      rapidCommit: true,
      dns: ['fd00::54'],
      bootFileUrl: 'http://[fd00::9]/boot.ipxe',
    })
    const f = fixture({ routers: [{ managed: true, onLinkOnly: ['fd00::'] }], dhcp })
    const up = await f.join('auto6')
    expect(up).toMatchObject({
      ...{ address: 'fd00::100', prefixLength: 128, dns: ['fd00::54'], server: 'fd00::9' },
      routes: [{ destination: '::/0', gateway: 'fe80::1' }],
      source: { configuration: { lease: { address: 'fd00::100', renewalTime: 900 } } },
    })
    expect(f.addresses()).toContain('fd00::100/128 preferred')
    // It is not set anew, which would ask the neighbours a second time.
    expect(f.elapsed()).toBeLessThan(2200)
  })

  test('M and a prefix, and nobody to ask: the kernel’s own address has to do', async () => {
    const f = fixture({ routers: [{ ...router, managed: true }] })
    expect(await f.join('auto6')).toMatchObject({
      address: slaac,
      source: { configuration: { lease: undefined } },
    })
    expect(f.notices.at(-1)).toContain('says that DHCPv6 has an address, but no server gave it')
  })

  test('a router that has nothing to give, and another that has', async () => {
    const f = fixture({ routers: [{ lifetime: 0 }, { ...router, from: 'fe80::2', readyAfterMs: 3000 }] })
    const up = await f.join('auto6')
    expect(up).toMatchObject({ address: slaac, routes: [{ destination: '::/0', gateway: 'fe80::2' }] })
  })

  test('a DNS server of the link only is named with its link', async () => {
    const f = fixture({ routers: [{ prefixes: ['fd00::'], dns: ['fe80::1'] }] })
    await f.join('auto6', { nameservers: ['[FD00::99]', '10.0.0.53'] })
    expect(await f.resolvConf()).toBe('nameserver fd00::99\nnameserver 10.0.0.53\nnameserver fe80::1%eth0\n')
  })

  test('the right one of three cards', async () => {
    const others: readonly LinkScript[] = [
      { name: 'eth1', ipv6: {} },
      { name: 'eth2', ipv6: { routers: [router] } },
    ]
    const f = fixture({ routers: [{ lifetime: 1800 }] }, {}, others)
    expect((await f.join('auto6')).link).toBe('eth2')
    expect((await f.machine.network.links()).filter(({ up }) => up).map(({ name }) => name)).toEqual([
      'lo',
      'eth2',
    ])
  })

  test('a loser’s lease by DHCPv6 is given back', async () => {
    const managed = { routers: [{ managed: true }], dhcp: dhcp6Server({ rapidCommit: true, delayMs: 5 }) }
    const f = fixture(managed, {}, [{ name: 'eth1', ipv6: { routers: [router] } }])
    expect((await f.join('auto6')).link).toBe('eth1')
    expect(f.said('eth0')).toEqual(['85', '01', '08'])
  })
})

describe('ip=auto6 that comes to nothing', () => {
  const soon = { deadlines: { dhcpMs: 30_000 } }
  test('no router', async () => {
    const error = await fixture({}).failure('auto6', soon)
    expect(error.message).toMatch(/^no IPv6 on eth0: no router advertises itself: \d solicitations in 30 s$/)
    expect(error.advice.join(' ')).toContain('ip=dhcp6')
  })
  test('a router without a prefix', async () => {
    const error = await fixture({ routers: [{}] }).failure('auto6', soon)
    expect(error.message).toContain('the router fe80::1 advertises neither a prefix for addresses nor DHCPv6')
  })
  test('junk that calls itself an advertisement', async () => {
    const f = fixture({
      routers: [{ bytes: '8600' }, { bytes: `${'86'.repeat(200)}` }, { from: 'fd00::1', ...router }],
    })
    expect((await f.failure('auto6', soon)).message).toContain('no router advertises itself')
  })
  test('M and nobody to ask', async () => {
    const error = await fixture({ routers: [{ managed: true }] }).failure('auto6', soon)
    expect(error.message).toMatch(/no DHCPv6 answer: 6 solicits in 29 s/)
  })
  test('another machine has the link-local address: two cards of the same hardware address', async () => {
    const f = fixture({ routers: [router], taken: ['own'] })
    const error = await f.failure('auto6', soon)
    expect(error.message).toContain('another machine has its link-local address fe80::5054:ff:fe00:2')
    expect(f.elapsed()).toBeLessThan(20_000)
  })
  test('another machine has the address that the kernel made', async () => {
    const error = await fixture({ routers: [router], taken: [slaac] }).failure('auto6', soon)
    expect(error.message).toContain(
      'the kernel made no usable address of what fe80::1 advertises (fd00::/64)',
    )
  })
  test('a kernel without IPv6', async () => {
    const error = await fixture(undefined).failure('auto6', soon)
    expect(error.message).toBe('no IPv6 on eth0: this kernel has no IPv6')
  })
})

describe('ip=dhcp6', () => {
  test('a lease, and the way out that a router knows', async () => {
    const f = fixture({
      routers: [{ lifetime: 600, dns: ['fd00::53'] }],
      dhcp: dhcp6Server({ rapidCommit: true }),
    })
    expect(await f.join(':::::eth0:dhcp6')).toMatchObject({
      ...{ address: 'fd00::100', dns: ['fd00::53'], routes: [{ destination: '::/0', gateway: 'fe80::1' }] },
    })
    expect(f.said()).toEqual(['01', '85'])
  })

  test('without a router this network alone can be reached, with a word', async () => {
    const f = fixture({ dhcp: dhcp6Server({ rapidCommit: true }) })
    expect(await f.join('dhcp6')).toMatchObject({
      address: 'fd00::100',
      routes: [{ destination: 'fd00::/64' }],
    })
    expect(f.notices).toEqual(['eth0: no router advertises itself: only this network can be reached'])
    expect(f.machine.network.reaches('fd00::1')).toBe(true)
    expect(f.machine.network.reaches('fd01::1')).toBe(false)
  })

  test('a server that has no address for it', async () => {
    const f = fixture({ dhcp: dhcp6Server({ status: { code: 2, message: 'full' } }) })
    const error = await f.failure('dhcp6', { deadlines: { dhcpMs: 20_000 } })
    expect(error.message).toMatch(/^no IPv6 on eth0: no DHCPv6 lease: .* no address left \("full"\)$/)
  })
})

describe('ip=either6', () => {
  test('a router that speaks decides', async () => {
    const f = fixture({ routers: [router], dhcp: dhcp6Server() })
    expect(await f.join('either6')).toMatchObject({ address: slaac })
    expect(f.said()).toEqual(['85'])
  })
  test('DHCPv6 where none does', async () => {
    const f = fixture({ dhcp: dhcp6Server({ rapidCommit: true }) })
    expect(await f.join('either6')).toMatchObject({ address: 'fd00::100' })
    expect(f.elapsed()).toBeLessThan(12_500)
  })
  test('a router that speaks late, where there is no DHCPv6', async () => {
    const f = fixture({ routers: [{ ...router, readyAfterMs: 40_000 }] })
    expect(await f.join('either6')).toMatchObject({ address: slaac })
    expect(f.elapsed()).toBeLessThan(47_000)
  })
  test('neither', async () => {
    const error = await fixture({}).failure('either6', { deadlines: { dhcpMs: 30_000 } })
    expect(error.message).toContain('no DHCPv6 answer')
  })
})

describe('ip=dhcp on a network that may have no IPv4', () => {
  test('a lease is taken, and no router is asked', async () => {
    const f = fixture({ routers: [router] }, { dhcp: dhcpServer() })
    expect(await f.join('dhcp')).toMatchObject({ address: '10.0.2.15', dns: ['10.0.2.3'] })
    expect(f.said()).toEqual([])
    expect(f.elapsed()).toBeLessThan(300)
  })
  test('nobody gives a lease for forty seconds: IPv6 alone, with a word', async () => {
    const f = fixture({ routers: [router] })
    expect(await f.join('dhcp')).toMatchObject({ address: slaac, dns: ['fd00::53'] })
    expect(f.elapsed()).toBeLessThan(42_000)
    expect(f.notices.at(-1)).toBe(
      `eth0: no DHCP server gave an address, but there is IPv6: ${slaac} is used alone`,
    )
  })
  test('a DHCP server that starts twenty seconds after its clients and its router', async () => {
    const server = dhcpServer()
    const f = fixture(
      { routers: [router] },
      { dhcp: (message, context) => (context.now < 21_000 ? [] : server(message, context)) },
    )
    expect(await f.join('dhcp')).toMatchObject({ address: '10.0.2.15' })
  })
  test('neither: what is told is how DHCP failed', async () => {
    const error = await fixture({}).failure('dhcp')
    expect(error.message).toMatch(/^no DHCP answer on eth0: \d+ discovers in 120 s$/)
  })
})

describe('a static address', () => {
  const ip = '[fd00::2]::[fe80::1]:64::eth0:none:[fd00::53]'
  test('is used when the neighbours have been asked', async () => {
    const f = fixture({})
    expect(await f.join(ip)).toMatchObject({
      ...{ address: 'fd00::2', prefixLength: 64, dns: ['fd00::53'] },
      routes: [{ destination: '::/0', gateway: 'fe80::1' }],
    })
    expect(f.addresses()).toContain('fd00::2/64 preferred')
    expect(f.machine.network.routes('eth0')).toEqual([{ destination: '::/0', gateway: 'fe80::1' }])
    expect(f.said()).toEqual([])
  })
  test('that another machine has is an error, not a machine that answers now and then', async () => {
    const f = fixture({ taken: ['fd00::2'] })
    expect((await f.failure(ip)).message).toBe(
      'eth0 was not given the address fd00::2: another machine has it',
    )
    expect(f.addresses()).toEqual(['fe80::5054:ff:fe00:2/64 preferred'])
  })
  test('with a gateway off its net', async () => {
    const f = fixture({})
    await f.join('[fd00::2]::[fd99::1]:128::eth0:none')
    expect(f.machine.network.routes('eth0')).toEqual([
      { destination: '::/0', gateway: 'fd99::1', onlink: true },
    ])
  })
  test('a second time: what is there stays', async () => {
    const f = fixture({})
    await f.join(ip)
    const before = f.machine.clock.now()
    await f.join(ip)
    expect(f.machine.clock.now() - before).toBeLessThan(100)
  })
})

test('the kernel’s IPv6 is loaded before it is needed, and only then', async () => {
  const loads: string[] = []
  const loadIpv6 = async () => {
    loads.push('ipv6')
  }
  await fixture({ routers: [router] }, { dhcp: dhcpServer() }).join('dhcp', { loadIpv6 })
  expect(loads).toEqual([])
  await fixture({ routers: [router] }).join('auto6', { loadIpv6 })
  await fixture({}).join('[fd00::2]:::64::eth0:none', { loadIpv6 })
  expect(loads).toEqual(['ipv6', 'ipv6'])
})
