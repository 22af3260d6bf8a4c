/** What joining a network is asked with: the links, the right one among them, and how long is waited for what. */

import type { IpConfiguration, LinkConfiguration } from '../boot/ip-parameter.ts'
import type { StaticRoute } from '../boot/route-parameter.ts'
import type { StackedLink } from '../boot/stacked-links.ts'
import type { IpAddress, Mac } from '../sys/index.ts'
import type { MissingFirmware } from './cards.ts'
import type { SourceHost } from './source-hosts.ts'

export interface JoinRequest {
  /** Of the link that is booted from. */
  readonly ip: IpConfiguration
  /** Further links; each names its device. One that does not come up is told, and no reason not to boot. */
  readonly others?: readonly LinkConfiguration[]
  /** vlan= and bond=. Where ip= names no device, the topmost are the only ones that race. */
  readonly stacked?: readonly StackedLink[]
  /** rd.route= */
  readonly routes?: readonly StaticRoute[]
  /** Where several cards race: what a lease must lead to, or another card's is preferred. */
  readonly sources?: readonly SourceHost[]
  /** BOOTIF=: the card that the firmware booted from. */
  readonly bootInterface?: Mac | undefined
  /** SMBIOS UUID, for the DHCP server. */
  readonly uuid?: string | undefined
  /** Sent to the DHCP server unless ip= names another. */
  readonly hostname?: string | undefined
  readonly userClass?: string | undefined
  /** nameserver=: asked before those of the lease. */
  readonly nameservers?: readonly IpAddress[]
  readonly deadlines?: Partial<JoinDeadlines>
  /** Settles when the drivers of what is there were loaded: only then does the wait for a card begin to count. */
  readonly coldplug?: Promise<unknown>
  /** The kernel's IPv6 may be a module: called before it is needed. */
  readonly loadIpv6?: () => Promise<void>
  /** Network cards without a driver, for the error when there is no card: `driverlessCards`. */
  readonly describeCards?: () => Promise<readonly string[]>
  /** For the error when a card cannot be brought up. */
  readonly missingFirmware?: MissingFirmware | undefined
}

/** Milliseconds. */
export interface JoinDeadlines {
  /** After the drivers were loaded, until a card appears: USB and slow firmware take seconds. Default 15 s. */
  readonly cardMs: number
  /** Until an up card has a carrier. Default 60 s. */
  readonly carrierMs: number
  /** DHCP on one carrier. Default 120 s. */
  readonly dhcpMs: number
}

export const DEFAULT_JOIN_DEADLINES: JoinDeadlines = { cardMs: 15_000, carrierMs: 60_000, dhcpMs: 120_000 }

export interface NetworkEvents {
  /** A line for the person who waits. */
  readonly onNotice: (text: string) => void
}

export function deadlinesOf(request: JoinRequest): JoinDeadlines {
  return { ...DEFAULT_JOIN_DEADLINES, ...request.deadlines }
}
