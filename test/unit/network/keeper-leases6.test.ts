/** The answers that the lease keeper, which reads DHCPv6 by itself, is held to as well (runtime/src/keeper/message6.rs). */

import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { lease6Of } from '../../../src/network/dhcp6-lease.ts'
import { decodeDhcp6 } from '../../../src/network/dhcp6-message.ts'

interface Case {
  readonly name: string
  /** Hex. */
  readonly message: string
  readonly lease: unknown
}

const cases: readonly Case[] = JSON.parse(readFileSync(new URL('leases6.json', import.meta.url), 'utf8'))

test.each(cases.map((each) => [each.name, each] as const))('%s', (_name, { message, lease }) => {
  expect(answer(message)).toEqual(lease)
})

function answer(bytes: string): unknown {
  const message = decodeDhcp6(bytes)
  const client = { clientId: '00030001020000000001', iaid: 1 }
  const lease = message?.status.code === 0 ? lease6Of(message, client, 0) : undefined
  if (lease === undefined) return null
  const { address, renewalTime, rebindingTime, preferredLifetime, validLifetime, dns, search } = lease
  const times = [renewalTime, rebindingTime, preferredLifetime, validLifetime]
  return { address, times: times.map((time) => time ?? null), dns, search }
}
