/** diskless.lease=, from the command line to what PID 1 is given. */
import { describe, expect, it } from 'vitest'
import { parseCommandLine } from '../../../src/boot/command-line.ts'
import type { Identity } from '../../../src/boot/identity.ts'
import { makePlan } from '../../../src/boot/plan.ts'
import { renewedUp, renewLeases, settleLeases } from '../../../src/init/lease.ts'
import { joinNetwork } from '../../../src/network/join.ts'
import { keeperPath } from '../../../src/network/keeper.ts'
import { dhcp6Server, dhcpServer, fakeMachine, type LinkScript } from '../../support/machine/index.ts'

const ownResolver = 'nameserver 9.9.9.9\nnameserver 10.0.2.3\n'

const machineOf = (uuid: string | undefined): Identity => ({
  ...{ uuid, product: undefined, kernel: '6.1.0', architecture: 'x86_64' },
  ...{ memoryAvailable: 2 ** 30, clock: undefined },
})

interface Around {
  readonly files?: Record<string, string>
  readonly leaseTime?: number
  /** Milliseconds from the lease to the hand-over. */
  readonly bootMs?: number
  readonly links?: readonly LinkScript[]
  readonly ip?: string
}

async function settle(words: string, around: Around = {}) {
  const { files = { [keeperPath]: 'the keeper' }, leaseTime = 600, bootMs = 0, ip = 'ip=dhcp' } = around
  const eth0 = {
    ...{ name: 'eth0', mac: '52:54:00:00:00:01' },
    dhcp: dhcpServer({ options: { leaseTime, dnsServers: ['10.0.2.3'] } }),
  }
  const machine = fakeMachine({
    links: [{ name: 'lo', physical: false }, ...(around.links ?? [eth0])],
    files: { '/sysroot/etc/resolv.conf': ownResolver, ...files },
  })
  const plan = makePlan(
    parseCommandLine(`${ip} nameserver=9.9.9.9 ${words}`),
    machineOf('11111111-2222-3333-4444-555555555555'),
  )
  const notices: string[] = []
  const told = (text: string) => void notices.push(text)
  const beside: Promise<void>[] = []
  const meanwhile = (_: string, run: (signal: AbortSignal) => Promise<void>) => {
    beside.push(run(new AbortController().signal))
  }
  const report = { notice: told, warn: told, meanwhile }
  const [keeper, up] = await machine.run(
    (async () => {
      if (plan.network.kind !== 'join') throw new Error('no network')
      const { ip, others, nameservers } = plan.network
      const online = await joinNetwork(
        machine,
        { ip, others, nameservers },
        { onNotice: told },
        new AbortController().signal,
      )
      const renewals = renewLeases(machine, plan, online, report)
      await machine.clock.sleep(bootMs)
      const settled = await settleLeases(machine, plan, online, renewals, report)
      renewals.stop()
      await Promise.all(beside)
      return [settled, renewedUp(online, renewals)] as const
    })(),
  )
  const links = await machine.network.links()
  return {
    machine,
    notices,
    up,
    keeper: keeper === undefined ? undefined : JSON.parse(keeper),
    eth0: links.find(({ name }) => name === 'eth0'),
    /** The types of DHCPv6 messages. */
    said6: () => machine.network.ipv6('eth0').sent.map(({ bytes }) => bytes.slice(0, 2)),
  }
}

describe('the lease of a machine that boots into RAM', () => {
  it('is the keeper’s, with everything that it may do', async () => {
    const { keeper, eth0 } = await settle('apkovl=http://10.0.2.2/x.tar.gz')
    expect(keeper).toMatchObject({
      newRoot: '/..',
      leases: [
        {
          ...{ link: 'eth0', mac: '52:54:00:00:00:01', whenLost: 'remove' },
          resolver: { text: ownResolver, before: ['9.9.9.9'], after: [], search: [] },
          lease: {
            dhcp4: {
              acknowledged: {
                ...{ op: 'reply', yiaddr: '10.0.2.15' },
                options: { messageType: 'ack', leaseTime: 600 },
              },
              options: {
                ...{ clientId: '01525400000001', vendorClass: 'diskless', userClass: 'diskless' },
                clientUuid: '0011111111222233334444555555555555',
              },
            },
          },
        },
      ],
    })
    expect(keeper.leases[0].lease.dhcp4.options.messageType).toBeUndefined()
    expect(eth0?.up).toBe(true)
  })

  it('is renewed without touching a resolv.conf that the overlay brought', async () => {
    const files = { [keeperPath]: 'x', '/sysroot/etc/resolv.conf': 'nameserver 127.0.0.1\n' }
    const { keeper } = await settle('', { files })
    expect(keeper.leases).toHaveLength(1)
    expect(keeper.leases[0].resolver).toBeUndefined()
  })

  it('needs nobody when it never ends', async () => {
    expect((await settle('', { leaseTime: 0xffffffff })).keeper).toBeUndefined()
  })

  it('is left to end with a word where the initrd has no keeper', async () => {
    const { keeper, notices } = await settle('', { files: {} })
    expect(keeper).toBeUndefined()
    expect(notices.join()).toContain('nobody renews the lease of 10.0.2.15, which ends in 600 s')
  })

  it('is given back, and the card with it, when the command line says so', async () => {
    const { keeper, notices, eth0 } = await settle('diskless.lease=release')
    expect(keeper).toBeUndefined()
    expect(notices.join()).toContain('gave 10.0.2.15 back to 10.0.2.2')
    expect(eth0?.up).toBe(false)
  })

  it('is nobody’s when the new system’s own client is to take it', async () => {
    const { keeper, eth0 } = await settle('diskless.lease=handoff')
    expect(keeper).toBeUndefined()
    expect(eth0?.up).toBe(true)
  })
})

describe('a root that comes by the network', () => {
  it('keeps its address until there is another', async () => {
    const { keeper } = await settle('root=/dev/nfs nfsroot=10.0.2.2:/srv')
    expect(keeper.leases[0].whenLost).toBe('keep')
  })

  it('cannot do without', () => {
    const plan = () =>
      makePlan(
        parseCommandLine('root=/dev/nfs nfsroot=10.0.2.2:/srv diskless.lease=release'),
        machineOf(undefined),
      )
    expect(plan).toThrow('would take the network away from a root that comes by it')
  })
})

it('has three words', () => {
  const plan = () => makePlan(parseCommandLine('ip=dhcp diskless.lease=maybe'), machineOf(undefined))
  expect(plan).toThrow('none of keep, handoff and release')
})

describe('a lease that is shorter than the boot', () => {
  it('is renewed while the boot goes on, and handed over as it is then', async () => {
    const { keeper, machine, notices, up } = await settle('', { leaseTime: 60, bootMs: 300_000 })
    const requests = machine.network.sent.filter(({ message }) => message.ciaddr === '10.0.2.15')
    expect(requests.length).toBeGreaterThanOrEqual(9)
    expect(requests.length).toBeLessThanOrEqual(11)
    // RFC 2131, table 5: the address is in ciaddr alone, and the server is asked alone.
    expect(requests[0]).toMatchObject({
      to: '10.0.2.2',
      message: { options: { clientId: '01525400000001' } },
    })
    expect(requests[0]?.message.options).not.toHaveProperty('serverId')
    expect(requests[0]?.message.options).not.toHaveProperty('requestedAddress')
    const { obtainedAt } = keeper.leases[0].lease.dhcp4
    expect(machine.clock.now() - obtainedAt).toBeLessThan(31_000)
    expect(up.source).toMatchObject({ kind: 'lease', lease: { obtainedAt } })
    expect(notices.join()).not.toContain('lease')
  })

  it('is asked for with everybody when its server is gone, and boots on with a word at its end', async () => {
    const server = dhcpServer({ options: { leaseTime: 60 } })
    const dies: LinkScript = {
      ...{ name: 'eth0', mac: '52:54:00:00:00:01' },
      dhcp: (message, context) => (context.now > 40_000 ? [] : server(message, context)),
    }
    const { keeper, machine, notices } = await settle('', { links: [dies], bootMs: 300_000 })
    const requests = machine.network.sent.filter(({ message }) => message.ciaddr === '10.0.2.15')
    expect(requests.some(({ to }) => to === '10.0.2.2')).toBe(true)
    expect(requests.some(({ to }) => to === undefined)).toBe(true)
    expect(notices.join()).toContain('eth0: the lease of 10.0.2.15 is over, no server answered')
    expect(machine.network.addresses('eth0')).toMatchObject([{ address: '10.0.2.15' }])
    expect(keeper.leases).toHaveLength(1)
  })

  it('is not extended by a server that says no, which is told once', async () => {
    let acks = 0
    const server = dhcpServer({ options: { leaseTime: 60 } })
    const refuses: LinkScript = {
      name: 'eth0',
      dhcp: (message, context) =>
        server(message, context).map(({ afterMs, reply }) => {
          acks += reply.options.messageType === 'ack' ? 1 : 0
          const options = { messageType: 'nak' as const, serverId: '10.0.2.2', message: 'not yours' }
          return { afterMs, reply: acks > 1 ? { ...reply, options } : reply }
        }),
    }
    const { notices } = await settle('', { links: [refuses], bootMs: 300_000 })
    expect(notices.filter((text) => text.includes('not extended (not yours)'))).toHaveLength(1)
  })
})

describe('a lease by DHCPv6', () => {
  const six = (options: Parameters<typeof dhcp6Server>[0] = {}): LinkScript => ({
    ...{ name: 'eth0', mac: '52:54:00:00:00:01' },
    ipv6: {
      dhcp: dhcp6Server({ dns: ['fd00::3'], ...options }),
      routers: [{ managed: true, prefixes: [], dns: ['fd00::53'], search: ['lab.example'] }],
    },
  })

  it('is the keeper’s, and ends when the server says so', async () => {
    const { keeper, machine } = await settle('', { links: [six()], ip: 'ip=dhcp6' })
    expect(keeper.leases).toMatchObject([
      {
        ...{ link: 'eth0', mac: '52:54:00:00:00:01', whenLost: 'remove' },
        lease: {
          dhcp6: {
            ...{ clientId: '00030001525400000001', serverId: '000300015254000000ff' },
            ...{ iaid: 1, address: 'fd00::100', dns: ['fd00::3'], search: [] },
            ...{ renewalTime: 900, rebindingTime: 1440, validLifetime: 3600 },
            options: expect.stringMatching(/^000f000a0008.*000600/),
          },
        },
      },
    ])
    const found = machine.network.addresses('eth0').find(({ address }) => address === 'fd00::100')
    expect(found).toMatchObject({ prefixLength: 128, lifetimes: { valid: expect.any(Number) } })
    expect(found?.lifetimes?.valid).toBeGreaterThan(3590)
    expect(found?.lifetimes?.preferred).toBeLessThanOrEqual(1800)
  })

  it('knows which lines of resolv.conf are the routers’', async () => {
    const text = 'search lab.example\nnameserver 9.9.9.9\nnameserver fd00::3\nnameserver fd00::53\n'
    const files = { [keeperPath]: 'x', '/sysroot/etc/resolv.conf': text }
    const { keeper } = await settle('', { links: [six()], ip: 'ip=dhcp6', files })
    expect(keeper.leases[0].resolver).toEqual({
      ...{ text, before: ['9.9.9.9'], after: ['fd00::53'], search: ['lab.example'] },
    })
  })

  it('has no end where the root comes by it', async () => {
    const words = 'root=/dev/nfs nfsroot=[fd00::2]:/srv'
    const { keeper, machine } = await settle(words, { links: [six()], ip: 'ip=dhcp6' })
    expect(keeper.leases[0].whenLost).toBe('keep')
    const found = machine.network.addresses('eth0').find(({ address }) => address === 'fd00::100')
    expect(found).not.toHaveProperty('lifetimes')
  })

  it('is renewed while the boot goes on', async () => {
    const link = six({ validLifetime: 60 })
    const { keeper, machine, said6 } = await settle('', { links: [link], ip: 'ip=dhcp6', bootMs: 120_000 })
    expect(said6().filter((type) => type === '05').length).toBeGreaterThanOrEqual(7)
    expect(said6()).not.toContain('06')
    expect(machine.clock.now() - keeper.leases[0].lease.dhcp6.obtainedAt).toBeLessThan(16_000)
  })

  it('is asked for with every server at T2', async () => {
    const server = dhcp6Server({ validLifetime: 60 })
    const deaf: LinkScript = {
      ...{ name: 'eth0', mac: '52:54:00:00:00:01' },
      ipv6: {
        dhcp: (bytes, context) => (bytes.startsWith('05') ? [] : server(bytes, context)),
        routers: [{}],
      },
    }
    const { said6, notices } = await settle('', { links: [deaf], ip: 'ip=dhcp6', bootMs: 30_000 })
    expect(said6().filter((type) => type === '05' || type === '06')).toEqual(['05', '06'])
    expect(notices.join()).not.toContain('the boot goes on')
  })

  it('is given back when the command line says so', async () => {
    const { keeper, notices, eth0, said6 } = await settle('diskless.lease=release', {
      ...{ links: [six()], ip: 'ip=dhcp6' },
    })
    expect(keeper).toBeUndefined()
    expect(said6()).toContain('08')
    expect(notices.join()).toContain('gave fd00::100 back')
    expect(eth0?.up).toBe(false)
  })
})

it('keeps every lease of several ip=, that of the boot’s link first', async () => {
  const links: LinkScript[] = [
    { name: 'eth0', mac: '52:54:00:00:00:01', dhcp: dhcpServer({ options: { leaseTime: 600 } }) },
    {
      ...{ name: 'eth1', mac: '52:54:00:00:00:02' },
      dhcp: dhcpServer({ address: '10.0.3.15', serverId: '10.0.3.2', options: { leaseTime: 60 } }),
    },
  ]
  const ip = 'ip=eth0:dhcp ip=eth1:dhcp bootdev=eth0'
  const { keeper, machine } = await settle('', { links, ip, bootMs: 100_000 })
  expect(keeper.leases).toMatchObject([
    {
      link: 'eth0',
      resolver: { text: ownResolver },
      lease: { dhcp4: { acknowledged: { yiaddr: '10.0.2.15' } } },
    },
    { link: 'eth1', lease: { dhcp4: { acknowledged: { yiaddr: '10.0.3.15' } } } },
  ])
  expect(keeper.leases[1].resolver).toBeUndefined()
  const requests = machine.network.sent.filter(({ message }) => message.ciaddr === '10.0.3.15')
  expect(requests.map(({ link }) => link)).toEqual(['eth1', 'eth1', 'eth1'])
})
