/**
 * Networks without IPv4 (netboot.xyz#1747, warewulf PR#2233): a router, DHCPv6, a web server, a file server, a name, the time;
 * and every way of ip= to an IPv6 address.
 */

import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, inject, it } from 'vitest'
import { makeOverlay, password } from '../../scripts/repository/overlay.ts'
import { type Machine, usualMac } from '../../src/cli/boot/machine.ts'
import { describeInLab } from '../support/lab/describe.ts'
import { type Ipv6Options, Lab, type LabOptions } from '../support/lab/index.ts'
import { bootGuest, handover, logIn, patience, runIn } from './guest.ts'

describeInLab('a network without IPv4', () => {
  const depot = mkdtempSync(join(tmpdir(), 'diskless-ipv6-'))
  let lab: Lab | undefined
  let guest: Machine | undefined

  const overlay = `http://[${Lab.address6}]/{MAC}.apkovl.tar.gz`
  const start = async (ipv6: Ipv6Options, more: LabOptions = {}) => {
    lab = await Lab.start({ ipv6, http: depot, dhcp: false, dns: { 'server.lab': Lab.address6 }, ...more })
    return lab
  }

  beforeAll(() => {
    cpSync(join(inject('demo'), 'apks'), join(depot, 'apks'), { recursive: true })
    writeFileSync(
      join(depot, `${usualMac}.apkovl.tar.gz`),
      makeOverlay({ hostname: 'six', world: [], runlevels: { boot: ['hostname'] } }),
    )
  })
  afterEach(async () => {
    await guest?.stop()
    await lab?.stop()
    lab = undefined
  })
  afterAll(() => rmSync(depot, { recursive: true }))

  it('brings a machine to its login: by a literal address, by a name, with what router and DHCPv6 say', async () => {
    const ipv6 = { mode: 'both', options: { 'option6:domain-search': 'lab' } } as const
    const lab = await start(ipv6, { exports: [{ path: depot, pseudo: '/media', access: 'ro' }] })
    guest = await bootGuest({
      cards: [{ kind: 'tap', lab }],
      initrd: inject('fullInitrd'),
      append: [
        ...['ip=auto6', `apkovl=${overlay}`],
        ...['alpine_repo=http://server.lab/apks', `alpine_dev=nfs:[${Lab.address6}]:/media`],
      ],
    })
    await logIn(guest, password, 2 * patience)
    const box = guest
    const output = async (command: string) => (await runIn(box, command)).output
    expect(await output('hostname')).toBe('six\n')
    expect(await output('cat /etc/resolv.conf')).toBe(`search lab\nnameserver ${Lab.address6}\n`)

    // What the router and the DHCPv6 server did.
    expect(lab.log('dhcp')).toMatch(/RTR-ADVERT\(br0\) fd77::/)
    expect(lab.log('dhcp')).toMatch(/DHCPREPLY\(br0\) fd77::1[0-9a-f]{2} /)
    expect(lab.log('dhcp')).toMatch(/query\[AAAA\] server\.lab/)
    expect(lab.log('http')).toMatch(/^fd77::\S+ "GET \/52:54\S+ HTTP\/1\.1" 200/m)

    expect(await output('grep nfs /proc/mounts')).toMatch(
      /^\[fd77::1\]:\/media \/media\/alpine_dev nfs4 .*vers=4\.2.*proto=tcp6/m,
    )

    // The kernel's own address has an end, which the router goes on moving; the lease is the machine's alone.
    const addresses = await output('ip -6 addr show dev eth0')
    expect(addresses).toMatch(/inet6 fd77::1[0-9a-f]{2}\/128 scope global/)
    expect(addresses).toMatch(/inet6 fd77::5054:ff:fe12:3456\/64 scope global dynamic/)
    expect(addresses).not.toMatch(/tentative|dadfailed/)
    const routes = await output('ip -6 route')
    expect(routes, lab.log('dhcp')).toMatch(/^default via fe80::\S+ dev eth0/m)
    expect(await output('ip -4 addr show dev eth0')).not.toMatch(/inet /)
    const lease: unknown = JSON.parse(await output('cat /run/diskless/lease.json'))
    expect(lease).toMatchObject({
      address: expect.stringMatching(/^fd77::1[0-9a-f]{2}$/),
      ipv6: {
        lease: { dns: [Lab.address6] },
        routers: [{ managed: true, prefixes: [{ prefix: 'fd77::', autonomous: true }] }],
      },
    })
  })

  it('boots by ip=dhcp6, whose lease is kept, and by an address of its own, where routers make none', async () => {
    const lab = await start({ mode: 'stateful', leaseSeconds: 120 })
    const sources = [`apkovl=${overlay}`, `alpine_repo=http://[${Lab.address6}]/apks`]
    const boot = async (...words: readonly string[]) => {
      const booted = await bootGuest({ cards: [{ kind: 'tap', lab }], append: [...words, ...sources] })
      guest = booted
      return booted
    }
    const leased = await boot('ip=dhcp6')
    await logIn(leased, password, 2 * patience)
    // After the hand-over: the address ends when the server says so, and the keeper moves that.
    const untilRenewed = 'until grep -q \'"renewals":[1-9]\' /run/diskless/keeper.json; do sleep 1; done'
    const { output } = await runIn(
      leased,
      `${untilRenewed}; cat /run/diskless/keeper.json; ip -6 addr show dev eth0`,
      2 * patience,
    )
    const [state = '', ...addresses] = output.split('\n')
    expect(JSON.parse(state)).toMatchObject({
      ...{ link: 'eth0', state: 'bound', address: expect.stringMatching(/^fd77::1[0-9a-f]{2}$/) },
      ...{ prefixLength: 128, others: [] },
    })
    expect(addresses.join('\n')).toMatch(
      /inet6 fd77::1[0-9a-f]{2}\/128 scope global dynamic\s+valid_lft 1[012]\dsec/,
    )
    expect(lab.log('dhcp')).toMatch(/DHCPRENEW\(br0\)/)
    await leased.stop()
    expect(lab.log('dhcp')).toMatch(/DHCPSOLICIT\(br0\)/)
    expect(lab.log('dhcp')).toMatch(/DHCPREPLY\(br0\) fd77::1[0-9a-f]{2} /)
    expect(lab.log('http')).toMatch(/^fd77::1[0-9a-f]{2} "GET \/52:54\S+ HTTP\/1\.1" 200/m)

    const still = await boot(`ip=[fd77::20]::[${Lab.address6}]:64::eth0:none`)
    await handover(still, 2 * patience)
    await still.stop()
    expect(lab.log('http')).toMatch(/^fd77::20 "GET \/52:54\S+ HTTP\/1\.1" 200/m)
    expect(lab.log('dhcp').match(/DHCPSOLICIT/g), 'an address that is given is not asked for').toHaveLength(1)
  })

  it('boots by ip=either6 where the router makes addresses and DHCPv6 knows the rest: DNS, and the time', async () => {
    const lab = await start({ mode: 'stateless', quietRouter: true }, { ntpAhead: 3600 })
    guest = await bootGuest({
      cards: [{ kind: 'tap', lab }],
      clock: '1970-01-01T00:00:00',
      append: ['ip=either6', `apkovl=${overlay}`, 'alpine_repo=http://server.lab/apks'],
    })
    await logIn(guest, password, 2 * patience)
    expect(guest.console.text).toMatch(/clock +\S+ s +was .* behind, says NTP server fd77::1/)
    expect(lab.log('ntp')).toMatch(/time for fd77::5054:ff:fe12:3456/)
    const { output } = await runIn(guest, 'date -u +%s; cat /etc/resolv.conf')
    const [seconds, ...resolvers] = output.trim().split('\n')
    // An hour ahead: that is what the time server says, and nobody else.
    expect(Math.abs(Number(seconds) - 3600 - Date.now() / 1000)).toBeLessThan(600)
    // That no advertisement names a resolver.
    expect(resolvers).toEqual([`nameserver ${Lab.address6}`])
    expect(lab.log('dhcp')).toMatch(/DHCPINFORMATION-REQUEST\(br0\)/)
    expect(lab.log('dhcp')).not.toMatch(/DHCPSOLICIT/)
    const lease: unknown = JSON.parse((await runIn(guest, 'cat /run/diskless/lease.json')).output)
    expect(lease).toMatchObject({
      address: 'fd77::5054:ff:fe12:3456',
      ipv6: {
        information: { dns: [Lab.address6], ntp: [Lab.address6] },
        routers: [{ managed: false, other: true, dns: [] }],
      },
    })
  })
})
