/** From cards to a configured network, on the fake machine: which card, how long, and what is said when none will do. */

import { describe, expect, test } from 'vitest'
import { parseIpParameter } from '../../../src/boot/ip-parameter.ts'
import { driverlessCards } from '../../../src/network/cards.ts'
import { joinNetwork } from '../../../src/network/join.ts'
import type { JoinRequest } from '../../../src/network/join-request.ts'
import type { NetworkUp } from '../../../src/network/network-up.ts'
import { BootError } from '../../../src/sys/index.ts'
import { dhcpServer, fakeMachine, type LinkScript, type MachineOptions } from '../../support/machine/index.ts'

function fixture(links: readonly LinkScript[], options: Omit<MachineOptions, 'links'> = {}) {
  const machine = fakeMachine({ ...options, links: [{ name: 'lo', physical: false }, ...links] })
  const notices: string[] = []
  const controller = new AbortController()
  const startedAt = machine.clock.now()
  const start = (ip = 'dhcp', request: Partial<JoinRequest> = {}) =>
    joinNetwork(
      machine,
      { ip: parseIpParameter(ip), ...request },
      { onNotice: (text) => notices.push(text) },
      controller.signal,
    )
  return {
    machine,
    notices,
    controller,
    start,
    join: (ip?: string, request?: Partial<JoinRequest>): Promise<NetworkUp> =>
      machine.run(start(ip, request)),
    async failure(ip?: string, request?: Partial<JoinRequest>): Promise<BootError> {
      const error: unknown = await machine.run(start(ip, request)).then(
        () => new Error('it came up'),
        (e: unknown) => e,
      )
      if (!(error instanceof BootError)) throw error
      return error
    },
    elapsed: () => machine.clock.now() - startedAt,
    up: async () => (await machine.network.links()).filter(({ up }) => up).map(({ name }) => name),
    released: () =>
      machine.network.sent
        .filter(({ message }) => message.options.messageType === 'release')
        .map(({ link, message }) => `${link} ${message.ciaddr}`),
    resolvConf: () => machine.files.readText('/etc/resolv.conf'),
  }
}

describe('one card', () => {
  test('a lease is applied: address, default route, names', async () => {
    const f = fixture([
      {
        name: 'eth0',
        dhcp: dhcpServer({ options: { mtu: 1400, domainName: 'site.example', domainSearch: ['a.example'] } }),
      },
    ])
    const up = await f.join()
    expect(up).toMatchObject({
      link: 'eth0',
      address: '10.0.2.15',
      prefixLength: 24,
      dns: ['10.0.2.3'],
      search: ['a.example'],
      domain: 'site.example',
      server: '10.0.2.2',
      source: { kind: 'lease', lease: { serverId: '10.0.2.2', mtu: 1400 } },
    })
    expect(f.machine.network.addresses('eth0')).toEqual([{ address: '10.0.2.15', prefixLength: 24 }])
    expect(f.machine.network.routes('eth0')).toEqual([{ destination: '0.0.0.0/0', gateway: '10.0.2.2' }])
    expect((await f.machine.network.links()).find(({ name }) => name === 'eth0')?.mtu).toBe(1400)
    expect(await f.resolvConf()).toBe('search a.example\nnameserver 10.0.2.3\n')
    expect(await f.up()).toEqual(['lo', 'eth0'])
    expect(f.elapsed()).toBeLessThan(300)
    expect(f.released()).toEqual([])
  })

  test('a carrier thirty seconds late (mkinitfs#58)', async () => {
    const f = fixture([{ name: 'eth0', carrierAfterMs: 30_000, dhcp: dhcpServer() }])
    await f.join()
    expect(f.elapsed()).toBeLessThan(30_500)
    expect(f.notices).toEqual(['waiting for a carrier on eth0'])
  })

  test('a card that appears ten seconds late, with a word', async () => {
    const f = fixture([{ name: 'eth0', appearsAfterMs: 10_000, dhcp: dhcpServer() }])
    await f.join()
    expect(f.notices).toEqual(['waiting for a network card', 'eth0: appeared late, joins'])
    expect(f.elapsed()).toBeLessThan(10_500)
  })

  test('drivers that load for twenty seconds: the wait for a card counts from then', async () => {
    const f = fixture([{ name: 'eth0', appearsAfterMs: 30_000, dhcp: dhcpServer() }])
    const coldplug = f.machine.clock.sleep(20_000)
    expect((await f.join('dhcp', { coldplug })).link).toBe('eth0')
  })

  test('drivers that fail to load are another phase’s error: a card may come all the same', async () => {
    const f = fixture([{ name: 'eth0', appearsAfterMs: 10_000, dhcp: dhcpServer() }])
    expect((await f.join('dhcp', { coldplug: Promise.reject(new Error('no driver')) })).link).toBe('eth0')
  })

  test('a carrier that comes back starts DHCP anew at once', async () => {
    const server = dhcpServer()
    const f = fixture([
      {
        name: 'eth0',
        carrier: [
          { afterMs: 20_000, up: false },
          { afterMs: 40_000, up: true },
        ],
        dhcp: (message, context) => (context.now < 30_000 ? [] : server(message, context)),
      },
    ])
    await f.join()
    expect(f.notices).toContain('eth0: its carrier is gone')
    expect(f.elapsed()).toBeLessThan(40_500)
  })

  test('a gateway off the net of a /32 is reached on the link (netboot.xyz#1485)', async () => {
    const options = { subnetMask: '255.255.255.255', routers: ['172.31.1.1'] }
    const f = fixture([{ name: 'eth0', dhcp: dhcpServer({ options }) }])
    await f.join()
    expect(f.machine.network.routes('eth0')).toEqual([
      { destination: '0.0.0.0/0', gateway: '172.31.1.1', onlink: true },
    ])
  })

  test('what the kernel refuses beside the address is told and left out', async () => {
    const options = {
      mtu: 9000,
      classlessRoutes: [
        { destination: '10.9.0.0/16', gateway: '10.0.2.1' },
        { destination: '0.0.0.0/0', gateway: '10.0.2.2' },
      ],
    }
    const f = fixture([{ name: 'eth0', dhcp: dhcpServer({ options }) }])
    f.machine.faults.order({ operation: 'network.addRoute', code: 'EINVAL', times: 1 })
    await f.join()
    expect(f.notices[0]).toContain('the route to 10.9.0.0/16 was refused')
    expect(f.machine.network.routes('eth0')).toEqual([{ destination: '0.0.0.0/0', gateway: '10.0.2.2' }])
  })

  test('an address that the kernel refuses is an error with its cause', async () => {
    const f = fixture([{ name: 'eth0', dhcp: dhcpServer() }])
    f.machine.faults.order({ operation: 'network.addAddress', code: 'EINVAL' })
    const error = await f.failure()
    expect(error.message).toBe('eth0 could not be given the address 10.0.2.15/24')
    expect(error.cause).toMatchObject({ code: 'EINVAL' })
  })

  test('can be joined twice: a phase that is tried again', async () => {
    const f = fixture([{ name: 'eth0', dhcp: dhcpServer() }])
    await f.join()
    await f.join()
    expect(f.machine.network.addresses('eth0')).toHaveLength(1)
  })
})

describe('several cards', () => {
  test('only the second has a DHCP server: it wins, the first goes down (netboot.xyz#1599)', async () => {
    const f = fixture([{ name: 'eth0' }, { name: 'eth1', dhcp: dhcpServer() }])
    expect(await f.join()).toMatchObject({ link: 'eth1' })
    expect(await f.up()).toEqual(['lo', 'eth1'])
    expect(f.elapsed()).toBeLessThan(300)
  })

  test('four cards, only the last one useful', async () => {
    const f = fixture([
      { name: 'eth0', carrierAfterMs: 'never' },
      { name: 'eth1' },
      { name: 'eth2', carrierAfterMs: 'never' },
      { name: 'eth3', carrierAfterMs: 2500, dhcp: dhcpServer() },
    ])
    expect(await f.join()).toMatchObject({ link: 'eth3' })
    expect(f.elapsed()).toBeLessThan(3000)
  })

  test('two servers: one lease is used, the other given back', async () => {
    const f = fixture([
      { name: 'eth0', dhcp: dhcpServer({ address: '10.0.2.15' }) },
      { name: 'eth1', dhcp: dhcpServer({ address: '10.0.3.15', serverId: '10.0.3.2' }) },
    ])
    const { link, address } = await f.join()
    expect([link, address]).toEqual(['eth0', '10.0.2.15'])
    expect(f.released()).toEqual(['eth1 10.0.3.15'])
    expect(f.machine.network.addresses('eth1')).toEqual([])
    expect(await f.up()).toEqual(['lo', 'eth0'])
  })

  test('BOOTIF chooses: the others are not touched', async () => {
    const f = fixture([
      { name: 'eth0', dhcp: dhcpServer() },
      { name: 'eth1', mac: '52:54:00:ab:cd:ef', dhcp: dhcpServer({ delayMs: 3000 }) },
    ])
    expect(await f.join('dhcp', { bootInterface: '52:54:00:ab:cd:ef' })).toMatchObject({ link: 'eth1' })
    expect(f.machine.network.sent.every(({ link }) => link === 'eth1')).toBe(true)
  })

  test('BOOTIF names no card that is here: every card is tried, with a word', async () => {
    const f = fixture([{ name: 'eth0', dhcp: dhcpServer() }])
    expect(await f.join('dhcp', { bootInterface: '52:54:00:ab:cd:ef' })).toMatchObject({ link: 'eth0' })
    expect(f.notices).toContainEqual(
      expect.stringContaining('no card has the address 52:54:00:ab:cd:ef of BOOTIF'),
    )
  })

  test('ip= with a device chooses, before BOOTIF', async () => {
    const f = fixture([
      { name: 'eth0', mac: '52:54:00:00:00:aa', dhcp: dhcpServer() },
      { name: 'eth1', dhcp: dhcpServer({ delayMs: 1000 }) },
    ])
    const up = await f.join(':::::eth1:dhcp', { bootInterface: '52:54:00:00:00:aa' })
    expect(up.link).toBe('eth1')
  })

  test('links that are no cards do not race', async () => {
    const f = fixture([
      { name: 'bond0', physical: false, dhcp: dhcpServer() },
      { name: 'eth0', dhcp: dhcpServer({ delayMs: 2000 }) },
    ])
    expect((await f.join()).link).toBe('eth0')
  })

  test('a card that cannot be set up does not keep the others from it', async () => {
    const f = fixture([{ name: 'eth0' }, { name: 'eth1', dhcp: dhcpServer() }])
    f.machine.faults.order({ operation: 'network.setLink', subject: 'eth0', code: 'EIO' })
    expect((await f.join()).link).toBe('eth1')
  })
})

describe('a fixed address', () => {
  test('needs no DHCP, waits for the carrier', async () => {
    const f = fixture([{ name: 'eth0', carrierAfterMs: 4000 }])
    const up = await f.join(
      '10.0.0.5:10.0.0.2:10.0.0.1:255.255.255.0:kiosk7:eth0:off:10.0.0.3:9.9.9.9:10.0.0.4',
    )
    expect(up).toMatchObject({
      link: 'eth0',
      address: '10.0.0.5',
      prefixLength: 24,
      dns: ['10.0.0.3', '9.9.9.9'],
      hostname: 'kiosk7',
      ntp: ['10.0.0.4'],
      server: '10.0.0.2',
      source: { kind: 'static' },
    })
    expect(f.machine.network.sent).toEqual([])
    expect(f.machine.network.routes('eth0')).toEqual([{ destination: '0.0.0.0/0', gateway: '10.0.0.1' }])
    expect(await f.resolvConf()).toBe('nameserver 10.0.0.3\nnameserver 9.9.9.9\n')
    expect(Math.round(f.elapsed())).toBe(4000)
  })

  test('without a device goes to the first card with a carrier', async () => {
    const f = fixture([{ name: 'eth0', carrierAfterMs: 'never' }, { name: 'eth1' }])
    expect((await f.join('10.0.0.5:::255.255.255.0')).link).toBe('eth1')
    expect(await f.up()).toEqual(['lo', 'eth1'])
  })

  test('without a carrier it is an error all the same', async () => {
    const f = fixture([{ name: 'eth0', carrierAfterMs: 'never' }])
    expect((await f.failure('10.0.0.5:::::eth0')).message).toBe('no carrier on eth0 after 60 s')
  })
})

describe('names', () => {
  test('nameserver= and those of ip= come before the lease’s, once each; a domain is a search list', async () => {
    const f = fixture([{ name: 'eth0', dhcp: dhcpServer({ options: { domainName: 'site.example' } }) }])
    await f.join('::::::dhcp:9.9.9.9', { nameservers: ['1.1.1.1', '10.0.2.3'] })
    expect(await f.resolvConf()).toBe(
      'search site.example\nnameserver 9.9.9.9\nnameserver 1.1.1.1\nnameserver 10.0.2.3\n',
    )
  })

  test('the server is told who asks', async () => {
    const f = fixture([{ name: 'eth0', dhcp: dhcpServer() }])
    await f.join('dhcp', { uuid: '8d9f2a10-0000-4000-8000-00163e112233', hostname: 'kiosk7' })
    expect(f.machine.network.sent[0]?.message.options).toMatchObject({
      clientId: expect.stringMatching(/^01525400/),
      clientUuid: '008d9f2a1000004000800000163e112233',
      hostname: 'kiosk7',
    })
  })
})

describe('it did not come up', () => {
  test('no card: those without a driver are named', async () => {
    const pci = 'devices/pci0000:00/0000:00:03.0'
    const devices = [
      { path: pci, subsystem: 'pci', modalias: 'pci:v00008086d0000100E', pciClass: '020000' },
      { path: 'devices/pci0000:00/0000:00:04.0', subsystem: 'pci', pciClass: '010000' },
    ]
    const f = fixture([], { devices })
    const describeCards = async () =>
      driverlessCards(await f.machine.devices.list(), (each) => f.machine.modules.match([each]), new Map())
    const error = await f.failure('dhcp', { describeCards })
    expect(error.message).toBe(
      'no network card after 15 s; without a driver: 0000:00:03.0 (pci:v00008086d0000100E)',
    )
    expect(error.advice[0]).toContain('Build the initrd with the module')
  })

  test('no carrier anywhere', async () => {
    const f = fixture([
      { name: 'eth0', carrierAfterMs: 'never' },
      { name: 'eth1', carrierAfterMs: 'never' },
    ])
    const error = await f.failure('dhcp', { deadlines: { carrierMs: 30_000 } })
    expect(error.message).toBe('no carrier on eth0, eth1 after 30 s')
    expect(error.advice[0]).toContain('cable')
    expect(Math.round(f.elapsed() / 1000)).toBe(30)
  })

  test('no DHCP answer, and another card without a carrier', async () => {
    const f = fixture([{ name: 'eth0', carrierAfterMs: 'never' }, { name: 'eth1' }])
    const error = await f.failure()
    expect(error.message).toMatch(
      /^no DHCP answer on eth1: 1\d discovers in 120 s; no carrier on eth0 after 120 s$/,
    )
    expect(error.advice.join(' ')).toMatch(/DHCP server.*portfast.*ip=CLIENT.*cable/)
  })

  test('a server that offers and never acknowledges', async () => {
    const server = dhcpServer()
    const f = fixture([
      {
        name: 'eth0',
        dhcp: (message, context) =>
          message.options.messageType === 'request' ? [] : server(message, context),
      },
    ])
    const error = await f.failure()
    expect(error.message).toMatch(
      /^no DHCP lease on eth0: \d+ discovers in 12\d s, \d+ offers, the last problem: 10\.0\.2\.2 offered 10\.0\.2\.15 and does not acknowledge it$/,
    )
  })

  test('an address that somebody else has is named', async () => {
    const f = fixture([{ name: 'eth0', neighbours: ['10.0.2.15'], dhcp: dhcpServer() }])
    const error = await f.failure()
    expect(error.message).toContain('10.0.2.15 is in use by another machine')
    expect(error.advice[0]).toContain('Find the machine that uses 10.0.2.15')
  })

  test('a carrier that comes and goes for ever ends as well', async () => {
    const carrier = Array.from({ length: 200 }, (_, i) => ({ afterMs: (i + 1) * 5000, up: i % 2 === 1 }))
    const f = fixture([{ name: 'eth0', carrier }])
    const error = await f.failure()
    expect(error.message).toContain('eth0')
    expect(f.elapsed()).toBeLessThan(330_000)
  })

  test('a device that is not there: those that are, are named', async () => {
    const f = fixture([{ name: 'eth0', mac: '52:54:00:00:00:aa', dhcp: dhcpServer() }])
    const error = await f.failure(':::::eth7:dhcp')
    expect(error.message).toBe('there is no eth7 after 15 s; this machine has eth0 (52:54:00:00:00:aa)')
    expect(await f.up()).toEqual(['lo'])
  })

  test('a card that cannot be set up is the cause', async () => {
    const f = fixture([{ name: 'eth0' }])
    f.machine.faults.order({ operation: 'network.setLink', subject: 'eth0', code: 'EIO' })
    const error = await f.failure()
    expect(error.message).toBe('eth0 could not be used')
    expect(error.cause).toMatchObject({ code: 'EIO' })
  })

  test('a nameserver= that is none', async () => {
    expect((await fixture([]).failure('dhcp', { nameservers: ['dns.example'] })).message).toBe(
      "nameserver=dns.example is no host's address",
    )
  })

  test('ip= that is refused', async () => {
    expect((await fixture([]).failure('link6')).message).toBe(
      'ip= cannot be done: link-local addresses reach no server: ip=auto6',
    )
  })

  test('given up: every socket is closed, a lease just granted goes back', async () => {
    const f = fixture([{ name: 'eth0', dhcp: dhcpServer() }, { name: 'eth1' }])
    const join = f.start()
    join.catch(() => {})
    await f.machine.clock.advance(50)
    f.controller.abort()
    await expect(f.machine.run(join)).rejects.toMatchObject({ code: 'ABORTED' })
    expect(f.released()).toEqual(['eth0 10.0.2.15'])
  })
})
