/** The network as it came up: what the rest of the boot, and the new system, are told of it. Types only. */

import type { IpConfiguration } from '../boot/ip-parameter.ts'
import type { StackedLink } from '../boot/stacked-links.ts'
import type { IpAddress, Mac, Route } from '../sys/index.ts'
import type { Ipv6Configuration } from './ipv6.ts'
import type { Lease } from './lease.ts'

export type StaticConfiguration = Extract<IpConfiguration, { kind: 'static' }>

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
