/** What came up, from what the server or the command line said. */

import type { LinkConfiguration } from '../boot/ip-parameter.ts'
import { beneath, type StackedLink } from '../boot/stacked-links.ts'
import type { IpAddress, Link } from '../sys/index.ts'
import { settingsOfSource } from './apply.ts'
import { upByIpv6, withZone } from './ipv6-up.ts'
import type { AddressSource, NetworkUp } from './network-up.ts'

/** The links that this one lies on, down to the cards. */
function allBeneath(name: string, stacked: readonly StackedLink[]): readonly string[] {
  const below = stacked.filter((link) => link.name === name).flatMap(beneath)
  return [...below, ...below.flatMap((each) => allBeneath(each, stacked))]
}

export function networkUp(
  link: Link,
  source: AddressSource,
  ip: LinkConfiguration,
  {
    nameservers = [],
    stacked = [],
  }: { readonly nameservers?: readonly IpAddress[]; readonly stacked?: readonly StackedLink[] },
): NetworkUp {
  const unique = (dns: readonly IpAddress[]) => [
    ...new Set([...ip.dns, ...nameservers, ...dns].map((each) => withZone(each, link.name))),
  ]
  const below = allBeneath(link.name, stacked)
  const common = { link: link.name, mac: link.mac, source, stacked, beneath: below, others: [] }
  if (source.kind === 'lease') {
    const { address, prefixLength, routes, dns, search, domain, hostname, ntp, nextServer, serverId } =
      source.lease
    // resolv.conf(5): without a search list, the domain is one.
    const names = search.length > 0 || domain === undefined ? search : [domain]
    return {
      ...common,
      address,
      prefixLength,
      routes,
      dns: unique(dns),
      search: names,
      domain,
      hostname,
      ntp,
      server: nextServer ?? serverId,
    }
  }
  if (source.kind === 'ipv6') {
    const told = upByIpv6(source.configuration)
    return { ...common, ...told, dns: unique(told.dns) }
  }
  const { address, prefixLength, hostname, ntp, server } = source.configuration
  return {
    ...common,
    address,
    prefixLength,
    routes: settingsOfSource(source).routes,
    dns: unique([]),
    search: [],
    domain: undefined,
    hostname,
    ntp: ntp === undefined ? [] : [ntp],
    server,
  }
}
