/** The network as it came up: what the rest of the boot, and the new system, are told of it. */

import type { LinkConfiguration } from '../boot/ip-parameter.ts'
import { beneath, type StackedLink } from '../boot/stacked-links.ts'
import type { IpAddress, Link, Mac, Route } from '../sys/index.ts'
import { type StaticConfiguration, settingsOfSource } from './apply.ts'
import type { Ipv6Configuration } from './ipv6.ts'
import { upByIpv6, withZone } from './ipv6-up.ts'
import type { Lease } from './lease.ts'

export type AddressSource =
  | { readonly kind: 'lease'; readonly lease: Lease }
  | { readonly kind: 'static'; readonly configuration: StaticConfiguration }
  | { readonly kind: 'ipv6'; readonly configuration: Ipv6Configuration }

/** The network as it is now configured. */
export interface NetworkUp {
  readonly link: string
  readonly mac: Mac
  readonly address: IpAddress
  readonly prefixLength: number
  readonly routes: readonly Route[]
  /** In the order in which they are asked. */
  readonly dns: readonly IpAddress[]
  readonly search: readonly string[]
  readonly domain: string | undefined
  readonly hostname: string | undefined
  readonly ntp: readonly IpAddress[]
  /** Where NFS and TFTP are, if a source does not say. */
  readonly server: IpAddress | undefined
  readonly source: AddressSource
  /** What vlan= and bond= made on the way. */
  readonly stacked: readonly StackedLink[]
  /** The links that this one lies on, down to the cards. */
  readonly beneath: readonly string[]
  /** Those that other ip= are for, as far as they came up; without `others` of their own. */
  readonly others: readonly NetworkUp[]
}

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
