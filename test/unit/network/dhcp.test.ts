/** The DHCP client's protocol, step by step, without a socket or a clock. */

import { expect, test } from 'vitest'
import {
  type DhcpEvent,
  type DhcpState,
  type DhcpStep,
  startDhcp,
  stepDhcp,
} from '../../../src/network/dhcp.ts'
import type { DhcpConfig } from '../../../src/network/dhcp-config.ts'
import type { DhcpMessage, DhcpOptions } from '../../../src/sys/index.ts'

const config: DhcpConfig = {
  link: 'eth0',
  mac: '52:54:00:00:00:01',
  uuid: '8D9F2A10-0000-4000-8000-00163E112233',
  hostname: 'kiosk7',
  userClass: 'fleet',
}

/** A client whose chance is the middle of every jitter, unless told. */
function client(random = 0.5, settings: DhcpConfig = config) {
  let step: DhcpStep = startDhcp(settings, { now: 0, random })
  const sent: DhcpMessage[] = []
  const notices: string[] = []
  const take = (next: DhcpStep) => {
    step = next
    for (const action of next.actions) {
      if (action.kind === 'send') sent.push(action.message)
      if (action.kind === 'notice') notices.push(action.text)
    }
  }
  take(step)
  const event = (what: DhcpEvent, now: number) => take(stepDhcp(settings, step.state, what, { now, random }))
  return {
    sent,
    notices,
    state: (): DhcpState => step.state,
    probes: () => step.actions.filter(({ kind }) => kind === 'probe'),
    last: () => sent.at(-1),
    receive: (message: DhcpMessage, now = 1) => event({ kind: 'received', message }, now),
    probed: (conflict: boolean, now = 1) => event({ kind: 'probed', conflict }, now),
    /** Lets `wakeAt` come; returns it. */
    wait(): number {
      const at = 'wakeAt' in step.state ? step.state.wakeAt : Number.NaN
      event({ kind: 'timer' }, at)
      return at
    },
  }
}

function reply(
  to: DhcpMessage | undefined,
  options: DhcpOptions,
  fields: Partial<DhcpMessage> = {},
): DhcpMessage {
  return {
    op: 'reply',
    xid: to?.xid ?? 0,
    secs: 0,
    broadcast: false,
    ciaddr: '0.0.0.0',
    yiaddr: '10.0.2.15',
    siaddr: '0.0.0.0',
    giaddr: '0.0.0.0',
    chaddr: config.mac,
    sname: '',
    file: '',
    ...fields,
    options: { serverId: '10.0.2.2', leaseTime: 3600, subnetMask: '255.255.255.0', ...options },
  }
}

test('discover, offer, request, ack, probe, bound', () => {
  const c = client()
  c.receive(reply(c.last(), { messageType: 'offer' }))
  expect(c.last()?.options).toMatchObject({
    messageType: 'request',
    requestedAddress: '10.0.2.15',
    serverId: '10.0.2.2',
  })
  expect(c.last()?.xid).toBe(c.sent[0]?.xid)
  c.receive(reply(c.last(), { messageType: 'ack' }))
  expect(c.probes()).toEqual([{ kind: 'probe', address: '10.0.2.15' }])
  c.probed(false)
  expect(c.state()).toMatchObject({ phase: 'bound', lease: { address: '10.0.2.15', serverId: '10.0.2.2' } })
  expect(c.sent).toHaveLength(2)
  expect(c.notices).toEqual([])
})

test('a discover says who asks, for what', () => {
  expect(client().sent[0]).toMatchObject({
    op: 'request',
    secs: 0,
    broadcast: false,
    ciaddr: '0.0.0.0',
    chaddr: '52:54:00:00:00:01',
    options: {
      messageType: 'discover',
      clientId: '01525400000001',
      clientUuid: '008d9f2a1000004000800000163e112233',
      vendorClass: 'diskless',
      userClass: 'fleet',
      hostname: 'kiosk7',
      rapidCommit: true,
    },
  })
  const wanted = client().sent[0]?.options.parameterRequestList ?? []
  expect(wanted.indexOf(121)).toBeLessThan(wanted.indexOf(3))
  expect(wanted).toEqual(expect.arrayContaining([1, 3, 6, 12, 15, 17, 26, 42, 51, 66, 67, 119, 121, 210]))
})

test('silence: 1, 2, 4, 8, 8 … s for two minutes, each told, then the end', () => {
  const c = client()
  const at: number[] = [0]
  while (c.state().phase === 'selecting') at.push(c.wait())
  const everyEight = Array.from({ length: 14 }, (_, index) => 15_000 + 8000 * index)
  expect(at).toEqual([0, 1000, 3000, 7000, ...everyEight, 120_000])
  expect(c.state()).toMatchObject({ phase: 'failed', tally: { discovers: 18, offers: 0 } })
  expect(c.sent.map(({ secs }) => secs * 1000)).toEqual(at.slice(0, -1))
  expect(c.notices).toHaveLength(17)
  expect(c.notices[0]).toBe('eth0: no answer to DHCP discover 1, sending another')
  expect(new Set(c.sent.map(({ xid }) => xid)).size).toBe(1)
  expect(c.sent.map(({ broadcast }) => broadcast).slice(0, 4)).toEqual([false, false, true, true])
})

test.each([
  [0, 800],
  [0.999, 1200],
])('jitter: chance %d makes the first wait %d ms', (random, wait) => {
  expect(client(random).wait()).toBeCloseTo(wait, -1)
})

test('at least three tries, however short the time', () => {
  const c = client(0.5, { ...config, totalMs: 10 })
  while (c.state().phase === 'selecting') c.wait()
  expect(c.sent).toHaveLength(3)
})

test('a NAK begins anew with a new exchange, after a wait', () => {
  const c = client()
  c.receive(reply(c.last(), { messageType: 'offer' }))
  c.receive(reply(c.last(), { messageType: 'nak', message: 'no lease' }, { yiaddr: '0.0.0.0' }), 5)
  expect(c.state().phase).toBe('pausing')
  expect(c.notices).toEqual(['eth0: 10.0.2.2 offered 10.0.2.15 and then refused it ("no lease")'])
  expect(c.wait()).toBe(1005)
  expect(c.state()).toMatchObject({ phase: 'selecting', sent: 1 })
  expect(c.last()?.options.messageType).toBe('discover')
})

test('a server that refuses for ever is not flooded, and ends', () => {
  const c = client()
  let rounds = 0
  while (c.state().phase !== 'failed') {
    const now = c.wait()
    if (c.state().phase !== 'selecting') continue
    rounds++
    c.receive(reply(c.last(), { messageType: 'offer' }), now)
    c.receive(reply(c.last(), { messageType: 'nak' }, { yiaddr: '0.0.0.0' }), now)
  }
  expect(rounds).toBeLessThan(12)
  expect(c.state()).toMatchObject({
    tally: { naks: rounds, lastProblem: expect.stringContaining('refused it') },
  })
})

test('an offer that is never acknowledged: four requests, then a new search', () => {
  const c = client()
  c.receive(reply(c.last(), { messageType: 'offer' }), 0)
  while (c.state().phase === 'requesting') c.wait()
  expect(c.sent.map(({ options }) => options.messageType)).toEqual(['discover', ...Array(4).fill('request')])
  expect(c.state().phase).toBe('pausing')
  c.wait()
  expect(c.last()?.options.messageType).toBe('discover')
})

test('the first acceptable offer wins; a later one changes nothing', () => {
  const c = client()
  const discover = c.last()
  c.receive(reply(discover, { messageType: 'offer', serverId: '10.0.2.9' }, { yiaddr: '0.0.0.0' }))
  expect(c.state()).toMatchObject({ phase: 'selecting' })
  expect(c.notices).toEqual(['eth0: ignored the offer of 10.0.2.9: no usable address in it (0.0.0.0)'])
  c.receive(reply(discover, { messageType: 'offer' }))
  c.receive(reply(discover, { messageType: 'offer', serverId: '10.0.2.3' }, { yiaddr: '10.0.2.99' }))
  expect(c.state()).toMatchObject({
    phase: 'requesting',
    offer: { address: '10.0.2.15', serverId: '10.0.2.2' },
  })
  expect(c.sent).toHaveLength(2)
})

test('an address in use is declined, not taken again, and another one is', () => {
  const c = client()
  c.receive(reply(c.last(), { messageType: 'offer' }))
  c.receive(reply(c.last(), { messageType: 'ack' }))
  c.probed(true)
  expect(c.last()?.options).toMatchObject({
    messageType: 'decline',
    requestedAddress: '10.0.2.15',
    serverId: '10.0.2.2',
  })
  c.wait()
  c.receive(reply(c.last(), { messageType: 'offer' }))
  expect(c.state().phase).toBe('selecting')
  expect(c.notices.at(-1)).toContain('10.0.2.15 is in use by another machine')
  c.receive(reply(c.last(), { messageType: 'offer' }, { yiaddr: '10.0.2.16' }))
  c.receive(reply(c.last(), { messageType: 'ack' }, { yiaddr: '10.0.2.16' }))
  c.probed(false)
  expect(c.state()).toMatchObject({ phase: 'bound', lease: { address: '10.0.2.16' } })
})

test('rapid commit: an ACK with option 80 answers the discover, one without does not', () => {
  const c = client()
  c.receive(reply(c.last(), { messageType: 'ack' }))
  expect(c.state().phase).toBe('selecting')
  c.receive(reply(c.last(), { messageType: 'ack', rapidCommit: true }))
  expect(c.state().phase).toBe('probing')
  expect(c.sent).toHaveLength(1)
})

test.each<[string, Partial<DhcpMessage>, DhcpOptions]>([
  ['another exchange', { xid: 1 }, {}],
  ['another machine', { chaddr: '52:54:00:00:00:99' }, {}],
  ['a request', { op: 'request' }, {}],
])('ignores %s', (_, fields, options) => {
  const c = client()
  c.receive(reply(c.last(), { messageType: 'offer', ...options }, fields))
  expect(c.state().phase).toBe('selecting')
})

test('a stranger cannot refuse or grant what another server offered', () => {
  const c = client()
  c.receive(reply(c.last(), { messageType: 'offer' }))
  c.receive(reply(c.last(), { messageType: 'nak', serverId: '10.0.2.66' }))
  c.receive(reply(c.last(), { messageType: 'ack', serverId: '10.0.2.66' }, { yiaddr: '10.0.2.67' }))
  expect(c.state().phase).toBe('requesting')
})

test('an ACK that is not usable is said, and the search begins anew', () => {
  const c = client()
  c.receive(reply(c.last(), { messageType: 'offer' }))
  c.receive(reply(c.last(), { messageType: 'ack', subnetMask: '255.0.255.0' }))
  expect(c.notices).toEqual(['eth0: an acknowledgement is not usable: its subnet mask 255.0.255.0 is none'])
  expect(c.state().phase).toBe('pausing')
})

test('what a lease has that makes no sense is said once it is granted', () => {
  const c = client()
  c.receive(reply(c.last(), { messageType: 'offer', mtu: 68 }))
  expect(c.notices).toEqual([])
  c.receive(reply(c.last(), { messageType: 'ack', mtu: 68 }))
  expect(c.notices).toEqual(['eth0: MTU 68 is below 576: left out'])
})

test('relay agents: what came through one is taken, whatever net it is on; the third try asks for broadcasts', () => {
  const c = client()
  for (let tries = 1; tries < 3; tries++) c.wait()
  expect(c.last()).toMatchObject({ broadcast: true, giaddr: '0.0.0.0' })
  const relayed = { yiaddr: '172.16.9.20', giaddr: '172.16.9.1', broadcast: true }
  c.receive(reply(c.last(), { messageType: 'offer', serverId: '10.0.0.53' }, relayed))
  // By the server's identifier, not by the relay's address.
  expect(c.last()?.options).toMatchObject({ messageType: 'request', serverId: '10.0.0.53' })
  c.receive(reply(c.last(), { messageType: 'ack', serverId: '10.0.0.53' }, relayed))
  c.probed(false)
  expect(c.state()).toMatchObject({
    phase: 'bound',
    lease: { address: '172.16.9.20', serverId: '10.0.0.53' },
  })
})

test('a proxy of PXE, which offers a boot file and no address, is passed over for a server', () => {
  const c = client()
  const discover = c.last()
  c.receive(
    reply(discover, { messageType: 'offer', serverId: '10.0.2.9', bootFile: 'pxe' }, { yiaddr: '0.0.0.0' }),
  )
  c.receive(reply(discover, { messageType: 'offer' }))
  expect(c.state()).toMatchObject({ phase: 'requesting', offer: { serverId: '10.0.2.2' } })
})
