/** Links of the fake machine: what a test says of one, and what becomes of it. */

import type { Address, ErrorCode, IpAddress, Link, NewLink, Route } from '../../../src/sys/index.ts'
import type { DhcpScript } from './dhcp.ts'
import type { FakeSocket } from './dhcp-socket.ts'
import type { FakeIpv6, Ipv6Script } from './ipv6.ts'

/** A network card, or another link. */
export interface LinkScript {
  readonly name: string
  /** `52:54:00:00:00:0N` by its place unless told. */
  readonly mac?: string
  readonly driver?: string
  readonly physical?: boolean
  /** It appears when this module is loaded; at once when absent. */
  readonly module?: string
  /** Milliseconds from then (or from the start) until it appears. */
  readonly appearsAfterMs?: number
  /** Milliseconds from being set up to the carrier; 'never' for an unplugged cable. Default 0. */
  readonly carrierAfterMs?: number | 'never'
  /** Later changes of the carrier, milliseconds after being set up. */
  readonly carrier?: readonly { readonly afterMs: number; readonly up: boolean }[]
  /** Who answers DHCP there. Nobody when absent. */
  readonly dhcp?: DhcpScript
  /** Addresses that others on this network have: they answer ARP. */
  readonly neighbours?: readonly IpAddress[]
  /** Who speaks IPv6 there. Absent: the kernel itself has none. */
  readonly ipv6?: Ipv6Script
  /** False: what is behind this link leads to none of the scripted servers. */
  readonly reachesServers?: boolean
  /** Connections that somebody there refuses: `10.0.2.2:80`. */
  readonly refuses?: readonly string[]
  /** The networks that arrive tagged, by their numbers; another one is silent. */
  readonly vlans?: Readonly<Record<number, Wire>>
}

/** What is at the other end of a link. */
export type Wire = Pick<LinkScript, 'dhcp' | 'neighbours' | 'reachesServers' | 'refuses'>

/**
 * What servers tell, by address (NTP) or host (a web server's date): the time in milliseconds since 1970 when the machine
 * was switched on, or their refusal.
 */
export type Times = Readonly<Record<string, number | ErrorCode>>

export interface LinkState {
  readonly script: LinkScript
  link: Link
  addresses: Address[]
  routes: Route[]
  sockets: Set<FakeSocket>
  readonly ipv6: FakeIpv6 | undefined
  cancel: (() => void)[]
  attempts: number
  /** What it lies on: a VLAN’s parent, a bond’s members. */
  below: LinkState[]
  stacked: NewLink | undefined
}

/** What a link of this kind needs of the kernel. */
export const kernelModules = { vlan: '8021q', bond: 'bonding' } as const
