/** DHCP on a fake link: lost packets, late servers, switches that learn, and what is given back. */

import { expect, test } from 'vitest'
import { acquireLease, type DhcpOutcome } from '../../../src/network/dhcp-client.ts'
import { VirtualClock } from '../../support/machine/clock.ts'
import { type DhcpScript, dhcpServer } from '../../support/machine/dhcp.ts'
import { Faults } from '../../support/machine/faults.ts'
import type { LinkScript } from '../../support/machine/links.ts'
import { FakeNetwork } from '../../support/machine/network.ts'

function fixture(dhcp?: DhcpScript, more: Partial<LinkScript> = {}) {
  const clock = new VirtualClock({ now: 0 })
  const faults = new Faults()
  const network = new FakeNetwork(clock, faults, () => {})
  network.appear({ name: 'eth0', ...(dhcp ? { dhcp } : {}), ...more })
  const notices: string[] = []
  const controller = new AbortController()
  const acquire = async (): Promise<DhcpOutcome> => {
    await network.setLink('eth0', { up: true })
    // The carrier comes with the first tick.
    await clock.sleep(0)
    return acquireLease(
      { clock, network },
      { link: 'eth0', mac: '52:54:00:00:00:01' },
      { onNotice: (text) => notices.push(text) },
      controller.signal,
    )
  }
  const sent = () => network.sent.map(({ message }) => message.options.messageType)
  return { clock, faults, network, notices, controller, acquire, sent }
}

test('a healthy network: a lease after one exchange and the probe', async () => {
  const f = fixture(dhcpServer())
  const outcome = await f.clock.run(f.acquire())
  expect(outcome).toMatchObject({ kind: 'bound', lease: { address: '10.0.2.15', dns: ['10.0.2.3'] } })
  expect(f.sent()).toEqual(['discover', 'request'])
  expect(f.clock.now()).toBeLessThan(300)
  expect(f.notices).toEqual([])
})

test('two of three packets lost: it comes up', async () => {
  const server = dhcpServer()
  const f = fixture((message, context) => (context.attempt % 3 === 0 ? server(message, context) : []))
  expect(await f.clock.run(f.acquire())).toMatchObject({ kind: 'bound' })
  expect(f.sent()).toEqual(['discover', 'discover', 'discover', 'request', 'request', 'request'])
  expect(f.notices).toHaveLength(4)
})

test('a server that starts a hundred seconds after its clients (nixpkgs#306858)', async () => {
  const server = dhcpServer()
  const f = fixture((message, context) => (context.now < 100_000 ? [] : server(message, context)))
  expect(await f.clock.run(f.acquire())).toMatchObject({ kind: 'bound' })
  expect(f.clock.now()).toBeLessThan(110_000)
})

test('a switch port that learns for thirty seconds (linbo7#167)', async () => {
  const server = dhcpServer()
  const f = fixture((message, context) => (context.now < 30_000 ? [] : server(message, context)))
  expect(await f.clock.run(f.acquire())).toMatchObject({ kind: 'bound' })
  expect(f.clock.now()).toBeLessThan(40_000)
})

test('nobody: it ends after two minutes and says how often it asked', async () => {
  const f = fixture()
  const outcome = await f.clock.run(f.acquire())
  expect(outcome).toMatchObject({ kind: 'failed', tally: { offers: 0 } })
  expect(outcome.kind === 'failed' && outcome.tally.discovers).toBeGreaterThanOrEqual(16)
  expect(outcome.kind === 'failed' && Math.round(outcome.elapsedMs / 1000)).toBe(120)
})

test('a NAK, then another try', async () => {
  const f = fixture(dhcpServer({ naks: 1 }))
  expect(await f.clock.run(f.acquire())).toMatchObject({ kind: 'bound' })
  expect(f.sent()).toEqual(['discover', 'request', 'discover', 'request'])
})

test('rapid commit takes one message', async () => {
  const f = fixture(dhcpServer({ rapidCommit: true }))
  expect(await f.clock.run(f.acquire())).toMatchObject({ kind: 'bound' })
  expect(f.sent()).toEqual(['discover'])
})

test('an address in use is declined, and the boot ends with that word when there is no other', async () => {
  const f = fixture(dhcpServer(), { neighbours: ['10.0.2.15'] })
  const outcome = await f.clock.run(f.acquire())
  expect(f.sent().slice(0, 3)).toEqual(['discover', 'request', 'decline'])
  expect(outcome).toMatchObject({
    kind: 'failed',
    tally: { conflicts: ['10.0.2.15'], lastProblem: expect.stringContaining('10.0.2.15 is in use') },
  })
})

test('a send that the kernel refuses is a packet lost', async () => {
  const f = fixture(dhcpServer())
  f.faults.order({ operation: 'network.dhcpSend', code: 'ENOBUFS', times: 2 })
  expect(await f.clock.run(f.acquire())).toMatchObject({ kind: 'bound' })
  expect(f.notices[0]).toContain('could not send DHCP discover')
})

test('a probe that cannot be made does not stop the boot', async () => {
  const f = fixture(dhcpServer())
  f.faults.order({ operation: 'network.arpProbe', code: 'ENOBUFS' })
  expect(await f.clock.run(f.acquire())).toMatchObject({ kind: 'bound' })
  expect(f.notices[0]).toContain('could not probe for 10.0.2.15')
})

test('given up while nobody answers: the socket is closed, nothing is released', async () => {
  const f = fixture()
  const outcome = f.acquire()
  outcome.catch(() => {})
  await f.clock.advance(5000)
  f.controller.abort()
  await expect(f.clock.run(outcome)).rejects.toMatchObject({ code: 'ABORTED' })
  expect(f.sent()).not.toContain('release')
})

test('given up just after the grant: the lease goes back to its server', async () => {
  const f = fixture(dhcpServer())
  const outcome = f.acquire()
  outcome.catch(() => {})
  await f.clock.advance(50)
  f.controller.abort()
  await expect(f.clock.run(outcome)).rejects.toMatchObject({ code: 'ABORTED' })
  expect(f.network.sent.at(-1)).toMatchObject({
    message: { ciaddr: '10.0.2.15', options: { messageType: 'release', serverId: '10.0.2.2' } },
  })
  // To all: the address is not on the link, so nothing can be sent from it to one server.
  expect(f.network.sent.at(-1)?.to).toBeUndefined()
})

test('a lease that cannot be given back is told, and the abort stays an abort', async () => {
  const f = fixture(dhcpServer())
  const outcome = f.acquire()
  outcome.catch(() => {})
  await f.clock.advance(50)
  f.faults.order({ operation: 'network.dhcpSend', code: 'ENETDOWN' })
  f.controller.abort()
  await expect(f.clock.run(outcome)).rejects.toMatchObject({ code: 'ABORTED' })
  expect(f.notices[0]).toContain('could not give 10.0.2.15 back')
})
