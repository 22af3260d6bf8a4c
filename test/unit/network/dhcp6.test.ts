/** DHCPv6’s client against servers that are deaf, full, late, rival or wrong; by the clock of RFC 8415. */

import { expect, test } from 'vitest'
import type { Dhcp6Config } from '../../../src/network/dhcp6.ts'
import { releaseLease6, runDhcp6 } from '../../../src/network/dhcp6-client.ts'
import { untilAddress } from '../../../src/network/ipv6-address.ts'
import { dhcp6Server, fakeMachine, type Ipv6Script } from '../../support/machine/index.ts'
import { dhcp6Options } from '../../support/machine/ipv6-wire.ts'

const config: Dhcp6Config = {
  ...{ link: 'eth0', clientId: '00030001525400000001', iaid: 1, stateful: true, totalMs: 120_000 },
}

const types: Readonly<Record<string, string>> = {
  ...{ '01': 'solicit', '03': 'request', '08': 'release', '09': 'decline', '0b': 'information-request' },
}

async function fixture(ipv6: Ipv6Script = {}, change: Partial<Dhcp6Config> = {}, seed = 1) {
  const machine = fakeMachine({ links: [{ name: 'eth0', ipv6 }], seed })
  const notices: string[] = []
  const events = { onNotice: (text: string) => notices.push(text) }
  const controller = new AbortController()
  await machine.network.setLink('eth0', { up: true })
  const usable = untilAddress(machine, 'eth0', 60_000, (all) =>
    all.find((each) => each.state === 'preferred'),
  )
  await machine.run(usable)
  const startedAt = machine.clock.now()
  const start = () => runDhcp6(machine, { ...config, ...change }, events, controller.signal)
  const { sent } = machine.network.ipv6('eth0')
  return {
    ...{ machine, notices, events, controller, start, sent },
    run: () => machine.run(start()),
    elapsed: () => machine.clock.now() - startedAt,
    said: () => sent.map(({ bytes }) => types[bytes.slice(0, 2)] ?? bytes.slice(0, 2)),
    times: () => sent.map(({ at }) => at - startedAt),
    addresses: () =>
      machine.network.addresses('eth0').map(({ address, prefixLength }) => `${address}/${prefixLength}`),
  }
}

test('solicit, advertise, request, reply; the address is asked for on the link before it counts', async () => {
  const f = await fixture({
    dhcp: dhcp6Server({ dns: ['fd00::53'], search: ['lab.example'], ntp: ['fd00::123'] }),
  })
  expect(await f.run()).toMatchObject({
    kind: 'bound',
    lease: { address: 'fd00::100', dns: ['fd00::53'], search: ['lab.example'], ntp: ['fd00::123'] },
  })
  expect(f.said()).toEqual(['solicit', 'request'])
  expect(f.addresses()).toEqual(['fd00::100/128'])
  expect(f.sent.map(({ to }) => to)).toEqual(['ff02::1:2', 'ff02::1:2'])
  // The first wait is for others that may answer; then duplicate address detection.
  expect(f.elapsed()).toBeGreaterThan(2000)
  expect(f.elapsed()).toBeLessThan(2200)
})

test('rapid commit takes one message, and no wait for others', async () => {
  const f = await fixture({ dhcp: dhcp6Server({ rapidCommit: true }) })
  expect(await f.run()).toMatchObject({ kind: 'bound' })
  expect(f.said()).toEqual(['solicit'])
  expect(f.elapsed()).toBeLessThan(1100)
})

test('of two servers the one with the higher preference, and with the highest of all at once', async () => {
  const low = dhcp6Server({ addresses: ['fd00::1:1'], serverId: '000300015254000000aa' })
  for (const [preference, least] of [
    [10, 2000],
    [255, 1000],
  ] as const) {
    const high = dhcp6Server({
      addresses: ['fd00::2:2'],
      serverId: '000300015254000000bb',
      preference,
      delayMs: 20,
    })
    const f = await fixture({ dhcp: (bytes, context) => [...low(bytes, context), ...high(bytes, context)] })
    expect(await f.run()).toMatchObject({ kind: 'bound', lease: { address: 'fd00::2:2' } })
    expect(f.elapsed()).toBeGreaterThan(least)
    expect(f.elapsed()).toBeLessThan(least + 200)
  }
})

test('nobody: solicits wait twice as long each time, to 8 s, a tenth more or less, and no two machines alike (RFC 8415, 15)', async () => {
  const waitsOf = async (seed: number) => {
    const f = await fixture({}, {}, seed)
    expect(await f.run()).toMatchObject({
      kind: 'failed',
      tally: { answers: 0, asked: expect.closeTo(17, -0.5) },
    })
    expect(Math.round(f.elapsed() / 1000)).toBe(120)
    const times = f.times()
    return times.slice(1).map((time, at) => time - (times[at] ?? 0))
  }
  const waits = await waitsOf(1)
  // The first is never shorter than its second.
  expect(waits[0]).toBeGreaterThanOrEqual(1000)
  expect(waits[0]).toBeLessThanOrEqual(1100)
  for (const wait of waits.slice(3)) expect(Math.abs(wait - 8000)).toBeLessThanOrEqual(950)
  for (const [at, wait] of waits.slice(1, 3).entries()) {
    const ratio = wait / (waits[at] ?? 0)
    expect(ratio).toBeGreaterThanOrEqual(1.9)
    expect(ratio).toBeLessThanOrEqual(2.1)
  }
  expect(await waitsOf(2)).not.toEqual(waits)
})

test('a switch port that learns for thirty seconds', async () => {
  const answer = dhcp6Server({ rapidCommit: true })
  const f = await fixture({ dhcp: (bytes, context) => (context.now < 33_000 ? [] : answer(bytes, context)) })
  expect(await f.run()).toMatchObject({ kind: 'bound' })
  expect(f.notices).toContain('eth0: no answer to DHCPv6 solicit 1, sending another')
  expect(f.elapsed()).toBeLessThan(33_000 + 10_000)
})

test('a server without addresses says how seldom it wants to be asked (SOL_MAX_RT), and is asked so', async () => {
  const full = dhcp6Server({ status: { code: 2, message: '' } })
  // Option 82: a minute. Too short to count: a second.
  const asked = async (seconds: string) => {
    const f = await fixture({
      dhcp: (bytes, context) =>
        full(bytes, context).map((each) => ({ ...each, bytes: `${each.bytes}00520004${seconds}` })),
    })
    await f.run()
    return f.said().length
  }
  expect(await asked('0000003c')).toBe(7)
  expect(await asked('00000001')).toBeGreaterThan(15)
})

test('elapsed time counts from the first solicit, so that a relay may know who waits', async () => {
  const f = await fixture({ dhcp: dhcp6Server({ deaf: 2, rapidCommit: true }) })
  await f.run()
  const elapsed = f.sent.map(({ bytes }) => Number.parseInt(dhcp6Options(bytes).get(8) ?? '', 16) * 10)
  expect(elapsed[0]).toBe(0)
  expect(elapsed[2]).toBeCloseTo((f.times()[2] ?? 0) - 5, -1)
})

test('a server without addresses, then one with: the full one is told once', async () => {
  const full = dhcp6Server({
    status: { code: 2, message: 'pool\u001b[2J exhausted' },
    serverId: '000300015254000000aa',
  })
  const good = dhcp6Server({ rapidCommit: true, serverId: '000300015254000000bb' })
  const f = await fixture({
    dhcp: (bytes, context) => [...full(bytes, context), ...(context.attempt > 3 ? good(bytes, context) : [])],
  })
  expect(await f.run()).toMatchObject({ kind: 'bound' })
  expect(f.notices.filter((text) => text.includes('no address left'))).toEqual([
    'eth0: the DHCPv6 server 52:54:00:00:00:aa offers nothing usable: it has no address left ("pool?[2J exhausted")',
  ])
})

test('a server that offers and then refuses (NoAddrsAvail): again from the beginning, later and later', async () => {
  const f = await fixture({ dhcp: dhcp6Server({ refusals: 2, preference: 255 }) })
  expect(await f.run()).toMatchObject({ kind: 'bound', lease: { address: 'fd00::100' } })
  expect(f.said()).toEqual(['solicit', 'request', 'solicit', 'request', 'solicit', 'request'])
  expect(f.notices[0]).toContain('gives no address: it has no address left ("no leases left")')
  const [, first = 0, second = 0, third = 0, fourth = 0] = f.times()
  expect(second - first).toBeGreaterThan(850)
  expect(fourth - third).toBeGreaterThan(1700)
})

test('an offer that nobody stands by: ten requests, then again', async () => {
  const server = dhcp6Server({ preference: 255 })
  const f = await fixture(
    { dhcp: (bytes, context) => (bytes.startsWith('03') ? [] : server(bytes, context)) },
    { totalMs: 300_000 },
  )
  expect(await f.run()).toMatchObject({
    kind: 'failed',
    tally: { lastProblem: expect.stringContaining('does not give it') },
  })
  expect(f.said().slice(0, 12)).toEqual([
    'solicit',
    ...Array.from({ length: 10 }, () => 'request'),
    'solicit',
  ])
})

test('an address that another machine has: declined, taken off, and the next one asked for', async () => {
  const f = await fixture({
    taken: ['fd00::100'],
    dhcp: dhcp6Server({ addresses: ['fd00::100', 'fd00::101'], rapidCommit: true }),
  })
  expect(await f.run()).toMatchObject({ kind: 'bound', lease: { address: 'fd00::101' } })
  expect(f.said()).toEqual(['solicit', 'decline', 'solicit'])
  expect(f.addresses()).toEqual(['fd00::101/128'])
  expect(f.notices).toEqual(['eth0: declined fd00::100: another machine has it'])
})

test('answers to others, of others and of nobody are passed over', async () => {
  const server = dhcp6Server({ rapidCommit: true })
  const f = await fixture({
    dhcp: (bytes, context) => {
      const [good] = server(bytes, context)
      if (good === undefined) return []
      const wrong = [
        good.bytes.replace(/^07....../, '07ffffff'),
        good.bytes.replace('00030001525400000001', '000300015254000000ee'),
        good.bytes.replace('0002000a', 'ff02000a'),
        good.bytes.slice(0, -6),
        '',
      ]
      return [...wrong.map((each) => ({ afterMs: 1, bytes: each })), { ...good, afterMs: 500 }]
    },
  })
  expect(await f.run()).toMatchObject({ kind: 'bound' })
  expect(f.elapsed()).toBeGreaterThan(1499)
})

test('stateless: one question, no address', async () => {
  const f = await fixture({ dhcp: dhcp6Server({ dns: ['fd00::53'], deaf: 1 }) }, { stateful: false })
  expect(await f.run()).toMatchObject({ kind: 'informed', information: { dns: ['fd00::53'] } })
  expect(f.said()).toEqual(['information-request', 'information-request'])
  expect(f.addresses()).toEqual([])
})

test('a send that the kernel refuses is a packet lost', async () => {
  const f = await fixture({ dhcp: dhcp6Server({ rapidCommit: true }) })
  f.machine.faults.order({ operation: 'network.datagramSend', code: 'ENOBUFS', times: 1 })
  expect(await f.run()).toMatchObject({ kind: 'bound' })
  expect(f.notices[0]).toContain('could not send DHCPv6 solicit')
})

test('given up while the neighbours are asked: the address is given back', async () => {
  const f = await fixture({ dhcp: dhcp6Server({ rapidCommit: true }) })
  const outcome = f.start()
  outcome.catch(() => {})
  await f.machine.clock.advance(500)
  f.controller.abort()
  await expect(f.machine.run(outcome)).rejects.toMatchObject({ code: 'ABORTED' })
  expect(f.said()).toEqual(['solicit', 'release'])
})

test('given back on purpose, by its server and association', async () => {
  const f = await fixture({ dhcp: dhcp6Server({ rapidCommit: true }) })
  const outcome = await f.run()
  if (outcome.kind !== 'bound') throw new Error('no lease')
  await f.machine.run(releaseLease6(f.machine, 'eth0', outcome.lease, f.events))
  const options = dhcp6Options(f.sent.at(-1)?.bytes ?? '')
  expect(options.get(2)).toBe('000300015254000000ff')
  expect(options.get(3)).toContain('00000001')
})
