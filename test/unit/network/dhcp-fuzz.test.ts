/** Servers that send anything: the client never throws, never binds to nonsense, and always comes to an end. */

import { expect, test } from 'vitest'
import { isHostAddress } from '../../../src/boot/ipv4.ts'
import { type DhcpState, startDhcp, stepDhcp } from '../../../src/network/dhcp.ts'
import type { DhcpConfig } from '../../../src/network/dhcp-config.ts'
import type { DhcpMessage, DhcpMessageType, DhcpOptions } from '../../../src/sys/index.ts'
import { inputs } from '../../support/fuzz.ts'
import { VirtualClock } from '../../support/machine/clock.ts'

const config: DhcpConfig = { link: 'eth0', mac: '52:54:00:00:00:01' }

const ADDRESSES = [
  '10.0.2.15',
  '10.0.2.2',
  '0.0.0.0',
  '255.255.255.255',
  '224.0.0.1',
  '127.0.0.1',
  '::1',
  '',
  '1.2.3',
]
const MASKS = ['255.255.255.0', '255.255.255.255', '0.0.0.0', '255.0.255.0', '', '128.0.0.0']
const TEXTS = [
  '',
  'name',
  'a.b.example',
  '\0',
  'x\0y',
  '$(reboot)',
  '\u001b[2J',
  'ä',
  'a'.repeat(300),
  '../..',
  '-',
]
/** The host decodes unsigned integers; there are no others. */
const NUMBERS = [0, 1, 60, 575, 576, 1500, 65_535, 0xffffffff]
const TYPES: readonly DhcpMessageType[] = ['offer', 'ack', 'nak', 'offer', 'ack', 'discover', 'inform']

function fuzzer(seed: number) {
  const chance = new VirtualClock({ seed })
  const one = <T>(from: readonly [T, ...T[]] | readonly T[], otherwise: T): T =>
    from[Math.floor(chance.random() * from.length)] ?? otherwise
  const maybe = <K extends string, T>(key: K, make: () => T) =>
    chance.random() < 0.5 ? Object.fromEntries([[key, make()]]) : {}
  const address = () => one(ADDRESSES, '')
  const addresses = () => Array.from({ length: Math.floor(chance.random() * 4) }, address)
  const options = (): DhcpOptions => ({
    messageType: one(TYPES, 'offer'),
    ...maybe('serverId', () => (chance.random() < 0.7 ? '10.0.2.2' : address())),
    ...maybe('subnetMask', () => one(MASKS, '')),
    ...maybe('broadcastAddress', address),
    ...maybe('routers', addresses),
    ...maybe('dnsServers', addresses),
    ...maybe('classlessRoutes', () =>
      addresses().map((gateway) => ({ destination: `${address()}/${one(NUMBERS, 0)}`, gateway })),
    ),
    ...maybe('leaseTime', () => one(NUMBERS, 0)),
    ...maybe('renewalTime', () => one(NUMBERS, 0)),
    ...maybe('rebindingTime', () => one(NUMBERS, 0)),
    ...maybe('mtu', () => one(NUMBERS, 0)),
    ...maybe('hostname', () => one(TEXTS, '')),
    ...maybe('domainName', () => one(TEXTS, '')),
    ...maybe('domainSearch', () => [one(TEXTS, ''), one(TEXTS, '')]),
    ...maybe('rootPath', () => one(TEXTS, '')),
    ...maybe('message', () => one(TEXTS, '')),
    ...maybe('rapidCommit', () => true),
  })
  const message = (xid: number): DhcpMessage => ({
    op: chance.random() < 0.95 ? 'reply' : 'request',
    xid: chance.random() < 0.95 ? xid : 7,
    secs: 0,
    broadcast: false,
    ciaddr: address(),
    yiaddr: chance.random() < 0.5 ? '10.0.2.15' : address(),
    siaddr: address(),
    giaddr: address(),
    chaddr: chance.random() < 0.95 ? config.mac : '52:54:00:00:00:99',
    sname: one(TEXTS, ''),
    file: one(TEXTS, ''),
    options: options(),
  })
  return { chance, message }
}

test('damaged exchanges: ten thousand messages in a thousand of them', () => {
  let bound = 0
  // About ten messages each.
  const exchanges = inputs(10_000) / 10
  for (let seed = 1; seed <= exchanges; seed++) {
    const { chance, message } = fuzzer(seed)
    let now = 0
    let state: DhcpState = startDhcp(config, { now, random: chance.random() }).state
    for (let steps = 0; state.phase !== 'bound' && state.phase !== 'failed'; steps++) {
      expect(steps).toBeLessThan(200)
      const moment = { now, random: chance.random() }
      if (state.phase === 'probing') {
        state = stepDhcp(config, state, { kind: 'probed', conflict: chance.random() < 0.5 }, moment).state
        continue
      }
      const received =
        'xid' in state && steps % 3 !== 0
          ? { kind: 'received' as const, message: message(state.xid) }
          : undefined
      if (!received) now = Math.max(now, state.wakeAt)
      state = stepDhcp(config, state, received ?? { kind: 'timer' }, { ...moment, now }).state
    }
    expect(now).toBeLessThan(140_000)
    if (state.phase !== 'bound') continue
    bound++
    const { lease } = state
    expect([lease.address, lease.serverId, ...lease.dns, ...lease.routers].every(isHostAddress)).toBe(true)
    expect(lease.prefixLength).toBeGreaterThanOrEqual(1)
    for (const { gateway } of lease.routes) expect(gateway === undefined || isHostAddress(gateway)).toBe(true)
    expect([lease.hostname, lease.domain, ...lease.search].join('')).toMatch(/^[\w.-]*$/)
    expect(lease.leaseTime === undefined || lease.leaseTime > 0).toBe(true)
  }
  expect(bound).toBeGreaterThan(exchanges / 10)
})
