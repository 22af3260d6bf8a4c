/** What a link with a carrier does to be configured: DHCP, IPv6, or nothing when its address is known. */

import type { LinkConfiguration } from '../boot/ip-parameter.ts'
import type { Link, Sys } from '../sys/index.ts'
import type { Contestant } from './contest.ts'
import { releaseLease } from './dhcp-client.ts'
import type { DhcpConfig } from './dhcp-config.ts'
import { releaseLease6 } from './dhcp6-client.ts'
import { acquireOrIpv6 } from './dual-stack.ts'
import { configureIpv6, type Ipv6Config } from './ipv6.ts'
import { deadlinesOf, type JoinRequest, type NetworkEvents } from './join-request.ts'
import type { AddressSource } from './network-up.ts'

export function contestantFor(
  sys: Pick<Sys, 'network' | 'clock'>,
  ip: LinkConfiguration,
  request: JoinRequest,
  events: NetworkEvents,
): Contestant<AddressSource> {
  if (ip.kind === 'static') {
    return {
      run: async () => ({ kind: 'won', value: { kind: 'static', configuration: ip } }),
      giveBack: async () => {},
    }
  }
  const { loadIpv6 } = request
  const configFor = (link: Link) => dhcpConfigFor(link, ip, request)
  const config6For = (link: Link) => ipv6ConfigFor(link, ip, request)
  return {
    run: async (link, signal) => {
      const outcome =
        ip.kind === 'dynamic6'
          ? await configureIpv6(sys, config6For(link), events, signal)
          : await acquireOrIpv6(
              sys,
              { four: configFor(link), six: config6For(link), loadIpv6 },
              events,
              signal,
            )
      switch (outcome.kind) {
        case 'bound':
          return { kind: 'won', value: { kind: 'lease', lease: outcome.lease } }
        case 'configured':
          return { kind: 'won', value: { kind: 'ipv6', configuration: outcome.configuration } }
        case 'failed':
        case 'failed6':
          return outcome
      }
    },
    giveBack: async (link, source) => {
      if (source.kind === 'lease') await releaseLease(sys, configFor(link), source.lease, events)
      const lease6 = source.kind === 'ipv6' ? source.configuration.lease : undefined
      if (lease6 !== undefined) await releaseLease6(sys, link.name, lease6, events)
    },
  }
}

function dhcpConfigFor(link: Link, ip: LinkConfiguration, request: JoinRequest): DhcpConfig {
  const { uuid, userClass } = request
  const hostname = ip.hostname ?? request.hostname
  return {
    link: link.name,
    mac: link.mac,
    totalMs: deadlinesOf(request).dhcpMs,
    ...(uuid === undefined ? {} : { uuid }),
    ...(hostname === undefined ? {} : { hostname }),
    ...(userClass === undefined ? {} : { userClass }),
  }
}

function ipv6ConfigFor(link: Link, ip: LinkConfiguration, request: JoinRequest): Ipv6Config {
  return {
    link,
    method: ip.kind === 'dynamic6' ? ip.method : 'auto6',
    uuid: request.uuid,
    hostname: ip.hostname ?? request.hostname,
    totalMs: deadlinesOf(request).dhcpMs,
  }
}
