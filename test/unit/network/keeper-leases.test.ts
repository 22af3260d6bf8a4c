/** The answers that the lease keeper, which has a parser of its own, is held to as well (runtime/src/keeper/lease.rs). */

import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { parseLease } from '../../../src/network/lease.ts'
import type { DhcpMessage } from '../../../src/sys/index.ts'

interface Case {
  readonly name: string
  readonly message: DhcpMessage
  readonly lease: unknown
}

const cases: readonly Case[] = JSON.parse(readFileSync(new URL('leases.json', import.meta.url), 'utf8'))

test.each(cases.map((each) => [each.name, each] as const))('%s', (_name, { message, lease }) => {
  expect(answer(message)).toEqual(lease)
})

function answer(message: DhcpMessage): unknown {
  const parsed = parseLease(message, 'eth0', 0)
  if (parsed.kind === 'unusable') return null
  const { address, prefixLength, broadcast, mtu, routes, dns, serverId, ...rest } = parsed.lease
  const { search, domain, leaseTime, renewalTime, rebindingTime } = rest
  return {
    ...{ address, prefixLength, broadcast: broadcast ?? null, mtu: mtu ?? null, dns, server: serverId },
    routes: routes.map(({ destination, gateway, onlink }) => ({
      ...{ destination, gateway: gateway ?? null, onlink: onlink ?? false },
    })),
    search: search.length > 0 || domain === undefined ? search : [domain],
    times: leaseTime === undefined ? null : [leaseTime, renewalTime, rebindingTime],
  }
}
