/** A network without IPv4 (netboot.xyz#1747, warewulf PR#2233): a router, DHCPv6, a web server, a file server, a name. */

import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, inject, it } from 'vitest'
import { makeOverlay, password } from '../../scripts/repository/overlay.ts'
import { describeInLab } from '../support/lab/describe.ts'
import { Lab } from '../support/lab/index.ts'
import { type Machine, usualMac } from '../support/qemu/machine.ts'
import { bootGuest, logIn, patience, runIn } from './guest.ts'

describeInLab('a network without IPv4', () => {
  const depot = mkdtempSync(join(tmpdir(), 'diskless-ipv6-'))
  let lab: Lab
  let guest: Machine | undefined

  beforeAll(async () => {
    cpSync(join(inject('demo'), 'apks'), join(depot, 'apks'), { recursive: true })
    writeFileSync(
      join(depot, `${usualMac}.apkovl.tar.gz`),
      makeOverlay({ hostname: 'six', world: [], runlevels: { boot: ['hostname'] } }),
    )
    lab = await Lab.start({
      ...{ http: depot, dhcp: false, dns: { 'server.lab': Lab.address6 } },
      exports: [{ path: depot, pseudo: '/media', access: 'ro' }],
      ipv6: { mode: 'both', options: { 'option6:domain-search': 'lab' } },
    })
  })
  afterAll(async () => {
    await guest?.stop()
    await lab?.stop()
    rmSync(depot, { recursive: true })
  })

  it('brings a machine to its login: by a literal address, by a name, with what router and DHCPv6 say', async () => {
    guest = await bootGuest({
      cards: [{ kind: 'tap', lab }],
      initrd: inject('fullInitrd'),
      append: [
        ...['ip=auto6', `apkovl=http://[${Lab.address6}]/{MAC}.apkovl.tar.gz`],
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
})
