/** The network comes up: the right card of however many, with a lease or the address of the command line. */

import type { IpConfiguration } from '../boot/ip-parameter.ts'
import { isHostAddress } from '../boot/ipv4.ts'
import type { IpAddress, Link, Mac, Route, Sys } from '../sys/index.ts'
import { BootError, SysError } from '../sys/index.ts'
import {
  applySettings,
  type StaticConfiguration,
  settingsOfLease,
  settingsOfStatic,
  writeResolvConf,
} from './apply.ts'
import type { DhcpConfig } from './dhcp.ts'
import { acquireLease, releaseLease } from './dhcp-client.ts'
import type { Lease } from './lease.ts'
import { type Contestant, raceCards } from './race.ts'

export interface JoinRequest {
  readonly ip: IpConfiguration
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
  /** Network cards without a driver, for the error when there is no card: `driverlessCards`. */
  readonly describeCards?: () => Promise<readonly string[]>
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

export type AddressSource =
  | { readonly kind: 'lease'; readonly lease: Lease }
  | { readonly kind: 'static'; readonly configuration: StaticConfiguration }

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
}

/**
 * Brings the network up and writes /etc/resolv.conf of the initramfs. Can be run again: what is configured on
 * the chosen link is replaced.
 *
 * Rejects with a `BootError`: no card, no carrier, no lease, on which cards and after how long; or with ABORTED.
 */
export async function joinNetwork(
  sys: Pick<Sys, 'network' | 'clock' | 'files'>,
  request: JoinRequest,
  events: NetworkEvents,
  signal: AbortSignal,
): Promise<NetworkUp> {
  const { ip } = request
  if (ip.kind === 'refused') throw new BootError(`ip= cannot be done: ${ip.reason}`)
  if (ip.kind === 'off') throw new BootError('the network was asked for, but ip= says off')
  const badName = request.nameservers?.find((address) => !isHostAddress(address))
  if (badName !== undefined) throw new BootError(`nameserver=${badName} is no host's address`)
  const deadlines = { ...DEFAULT_JOIN_DEADLINES, ...request.deadlines }

  await bringLoopbackUp(sys, events)
  const { link, value: source } = await raceCards(
    sys,
    {
      device: ip.device,
      bootInterface: request.bootInterface,
      coldplug: request.coldplug ?? Promise.resolve(),
      cardMs: deadlines.cardMs,
      carrierMs: deadlines.carrierMs,
      totalMs: deadlines.cardMs + deadlines.carrierMs + 2 * deadlines.dhcpMs,
      describeCards: request.describeCards ?? (async () => []),
      onNotice: events.onNotice,
    },
    contestantFor(sys, request, deadlines, events),
    signal,
  )
  const up = networkUp(link, source, [...ip.dns, ...(request.nameservers ?? [])])
  const settings =
    source.kind === 'lease' ? settingsOfLease(source.lease) : settingsOfStatic(source.configuration)
  await applySettings(sys, link, settings, events.onNotice)
  await writeResolvConf(sys, up)
  return up
}

/** Nothing in a boot needs it, but the new system's programs expect it. */
async function bringLoopbackUp(sys: Pick<Sys, 'network'>, events: NetworkEvents): Promise<void> {
  try {
    await sys.network.setLink('lo', { up: true })
  } catch (error) {
    if (!(error instanceof SysError)) throw error
    events.onNotice(`lo: could not be set up: ${error.message}`)
  }
}

/** What a card with a carrier does: DHCP, or nothing when its address is known. */
function contestantFor(
  sys: Pick<Sys, 'network' | 'clock'>,
  request: JoinRequest,
  deadlines: JoinDeadlines,
  events: NetworkEvents,
): Contestant<AddressSource> {
  const { ip } = request
  if (ip.kind === 'static') {
    return {
      run: async () => ({ kind: 'won', value: { kind: 'static', configuration: ip } }),
      giveBack: async () => {},
    }
  }
  const configFor = (link: Link) => dhcpConfigFor(link, request, deadlines)
  return {
    run: async (link, signal) => {
      const outcome = await acquireLease(sys, configFor(link), events, signal)
      if (outcome.kind === 'failed') return outcome
      return { kind: 'won', value: { kind: 'lease', lease: outcome.lease } }
    },
    giveBack: async (link, source) => {
      if (source.kind === 'lease') await releaseLease(sys, configFor(link), source.lease, events)
    },
  }
}

function dhcpConfigFor(link: Link, request: JoinRequest, deadlines: JoinDeadlines): DhcpConfig {
  const { ip, uuid, userClass } = request
  const hostname = (ip.kind === 'dynamic' ? ip.hostname : undefined) ?? request.hostname
  return {
    link: link.name,
    mac: link.mac,
    totalMs: deadlines.dhcpMs,
    ...(uuid === undefined ? {} : { uuid }),
    ...(hostname === undefined ? {} : { hostname }),
    ...(userClass === undefined ? {} : { userClass }),
  }
}

function networkUp(link: Link, source: AddressSource, dnsFirst: readonly IpAddress[]): NetworkUp {
  const unique = (dns: readonly IpAddress[]) => [...new Set([...dnsFirst, ...dns])]
  const common = { link: link.name, mac: link.mac, source }
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
  const { address, prefixLength, hostname, ntp, server } = source.configuration
  return {
    ...common,
    address,
    prefixLength,
    routes: settingsOfStatic(source.configuration).routes,
    dns: unique([]),
    search: [],
    domain: undefined,
    hostname,
    ntp: ntp === undefined ? [] : [ntp],
    server,
  }
}
