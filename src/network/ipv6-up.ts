/** What a network is that came up by IPv6: out of what routers advertise, and what DHCPv6 says. Pure. */

import { isHostAddress6, isLinkLocal } from '../boot/ipv6.ts'
import type { IpAddress } from '../sys/index.ts'
import { settingsOfIpv6 } from './apply.ts'
import type { Ipv6Configuration } from './ipv6.ts'
import type { NetworkUp } from './network-up.ts'
import { hostOf } from './url.ts'

type Told =
  | 'address'
  | 'prefixLength'
  | 'routes'
  | 'dns'
  | 'search'
  | 'domain'
  | 'hostname'
  | 'ntp'
  | 'server'

export function upByIpv6(configuration: Ipv6Configuration): Pick<NetworkUp, Told> {
  const { address, prefixLength, lease, information, routers } = configuration
  const told = lease ?? information
  const ways = routers.filter(({ lifetime }) => lifetime > 0)
  const bootServer = hostOf(told?.bootFileUrl ?? '')
  return {
    address,
    prefixLength,
    routes: [
      ...ways.map(({ router }) => ({ destination: '::/0', gateway: router })),
      ...settingsOfIpv6(configuration).routes,
    ],
    // RFC 8106, 5.3.1: what DHCPv6 says comes first.
    dns: [...(told?.dns ?? []), ...routers.flatMap((router) => router.dns)],
    search: [...new Set([...(told?.search ?? []), ...routers.flatMap((router) => router.search)])],
    domain: undefined,
    hostname: undefined,
    ntp: told?.ntp ?? [],
    server: bootServer !== undefined && isHostAddress6(bootServer) ? bootServer : undefined,
  }
}

/** resolv.conf(5): an address of one link only is said with its link, for routers like to name themselves so. */
export function withZone(address: IpAddress, link: string): string {
  return isLinkLocal(address) ? `${address}%${link}` : address
}
