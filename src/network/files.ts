/** What other programs read of the network, in the form that they read it. */

import type { IpAddress } from '../sys/index.ts'
import type { Lease } from './lease.ts'
import type { AddressSource, NetworkUp } from './network-up.ts'

/** resolv.conf(5): one `search` line, then a line a server; empty when there is neither. */
export function formatResolvConf(names: {
  readonly dns: readonly IpAddress[]
  readonly search: readonly string[]
}): string {
  const search = names.search.length > 0 ? [`search ${names.search.join(' ')}`] : []
  return [...search, ...names.dns.map((server) => `nameserver ${server}`)].map((line) => `${line}\n`).join('')
}

/** /run/diskless/lease.json: how the network came up; times in seconds, `…At` in ms of CLOCK_BOOTTIME. */
export function formatLease(up: NetworkUp): string {
  const { source, ...common } = up
  return `${JSON.stringify({ ...common, ...givenBy(source) }, null, 2)}\n`
}

function givenBy(source: AddressSource): object {
  switch (source.kind) {
    case 'lease': {
      const { raw: _, ...lease } = source.lease
      return { lease, ...timesOf(lease) }
    }
    case 'static':
      return { static: source.configuration }
    case 'ipv6':
      return { ipv6: source.configuration }
  }
}

/** When it is to be renewed, by anybody, and ends; what comes later is in keeper.json beside this file. */
function timesOf({ obtainedAt, renewalTime, rebindingTime, leaseTime }: Omit<Lease, 'raw'>): object {
  if (leaseTime === undefined) return {}
  const after = (seconds = leaseTime) => obtainedAt + seconds * 1000
  return { renewAt: after(renewalTime), rebindAt: after(rebindingTime), expiresAt: after() }
}
