/** diskless.lease=, from the command line to what PID 1 is given. */
import { describe, expect, it } from 'vitest'
import { parseCommandLine } from '../../../src/boot/command-line.ts'
import type { Identity } from '../../../src/boot/identity.ts'
import { makePlan } from '../../../src/boot/plan.ts'
import { settleLease } from '../../../src/init/lease.ts'
import { joinNetwork } from '../../../src/network/join.ts'
import { keeperPath } from '../../../src/network/keeper.ts'
import { dhcpServer, fakeMachine } from '../../support/machine/index.ts'

const ownResolver = 'nameserver 9.9.9.9\nnameserver 10.0.2.3\n'

const machineOf = (uuid: string | undefined): Identity => ({
  ...{ uuid, product: undefined, kernel: '6.1.0', architecture: 'x86_64' },
  ...{ memoryAvailable: 2 ** 30, clock: undefined },
})

async function settle(
  words: string,
  files: Record<string, string> = { [keeperPath]: 'the keeper' },
  leaseTime = 600,
) {
  const machine = fakeMachine({
    links: [
      { name: 'lo', physical: false },
      {
        name: 'eth0',
        mac: '52:54:00:00:00:01',
        dhcp: dhcpServer({ options: { leaseTime, dnsServers: ['10.0.2.3'] } }),
      },
    ],
    files: { '/sysroot/etc/resolv.conf': ownResolver, ...files },
  })
  const plan = makePlan(
    parseCommandLine(`ip=dhcp nameserver=9.9.9.9 ${words}`),
    machineOf('11111111-2222-3333-4444-555555555555'),
  )
  const notices: string[] = []
  const told = (text: string) => void notices.push(text)
  const report = { notice: told, warn: told }
  const keeper = await machine.run(
    (async () => {
      if (plan.network.kind !== 'join') throw new Error('no network')
      const { ip, nameservers } = plan.network
      const up = await joinNetwork(
        machine,
        { ip, nameservers },
        { onNotice: told },
        new AbortController().signal,
      )
      return settleLease(machine, plan, up, report)
    })(),
  )
  const links = await machine.network.links()
  return {
    machine,
    notices,
    keeper: keeper === undefined ? undefined : JSON.parse(keeper),
    eth0: links.find(({ name }) => name === 'eth0'),
  }
}

describe('the lease of a machine that boots into RAM', () => {
  it('is the keeper’s, with everything that it may do', async () => {
    const { keeper, eth0 } = await settle('apkovl=http://10.0.2.2/x.tar.gz')
    expect(keeper).toMatchObject({
      link: 'eth0',
      mac: '52:54:00:00:00:01',
      acknowledged: { op: 'reply', yiaddr: '10.0.2.15', options: { messageType: 'ack', leaseTime: 600 } },
      options: {
        clientId: '01525400000001',
        vendorClass: 'diskless',
        clientUuid: '0011111111222233334444555555555555',
      },
      nameservers: ['9.9.9.9'],
      resolver: ownResolver,
      whenLost: 'remove',
      newRoot: '/..',
    })
    expect(keeper.options.messageType).toBeUndefined()
    expect(eth0?.up).toBe(true)
  })

  it('is renewed without touching a resolv.conf that the overlay brought', async () => {
    const { keeper } = await settle('', {
      [keeperPath]: 'x',
      '/sysroot/etc/resolv.conf': 'nameserver 127.0.0.1\n',
    })
    expect(keeper).toBeDefined()
    expect(keeper.resolver).toBeUndefined()
  })

  it('needs nobody when it never ends', async () => {
    expect((await settle('', undefined, 0xffffffff)).keeper).toBeUndefined()
  })

  it('is left to end with a word where the initrd has no keeper', async () => {
    const { keeper, notices } = await settle('', {})
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
    expect(keeper.whenLost).toBe('keep')
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
