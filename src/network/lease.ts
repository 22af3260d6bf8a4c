/**
 * What a DHCP server gave, parsed and checked once: RFC 2131 and 2132, 3442 (classless routes), 3397 (search list).
 *
 * Without an address there is no lease; every other field that makes no sense is left out, with a warning, because a
 * wrong NTP server is no reason not to boot.
 */

import { classfulPrefix, inPrefix, isHostAddress, normalizePrefix, prefixOfMask } from '../boot/ipv4.ts'
import type { DhcpMessage, IpAddress, Mac, Route } from '../sys/index.ts'

export interface Lease {
  readonly link: string
  readonly mac: Mac
  readonly address: IpAddress
  readonly prefixLength: number
  readonly broadcast: IpAddress | undefined
  /** Option 3 as it came, in the server's order of preference. */
  readonly routers: readonly IpAddress[]
  /** Option 121 as it came. */
  readonly classlessRoutes: readonly { readonly destination: string; readonly gateway: IpAddress }[]
  /** What is to be installed, in an order in which the kernel takes it: 121 over 3, gateways off the net `onlink`. */
  readonly routes: readonly Route[]
  readonly dns: readonly IpAddress[]
  readonly search: readonly string[]
  readonly domain: string | undefined
  readonly hostname: string | undefined
  readonly mtu: number | undefined
  readonly ntp: readonly IpAddress[]
  readonly rootPath: string | undefined
  readonly serverId: IpAddress
  /** siaddr: where the next file comes from. */
  readonly nextServer: IpAddress | undefined
  /** Option 67, or the `file` field. */
  readonly bootFile: string | undefined
  /** Option 66, or the `sname` field. */
  readonly tftpServerName: string | undefined
  readonly pathPrefix: string | undefined
  /** Seconds; undefined: it never ends. */
  readonly leaseTime: number | undefined
  /** T1 and T2, seconds; undefined for a lease that never ends. */
  readonly renewalTime: number | undefined
  readonly rebindingTime: number | undefined
  /** clock.now when it was acknowledged. */
  readonly obtainedAt: number
  /** What was in the message and is not used, and why. */
  readonly warnings: readonly string[]
  readonly raw: DhcpMessage
}

export type ParsedLease =
  | { readonly kind: 'lease'; readonly lease: Lease }
  /** For a person: `no usable address in it (0.0.0.0)`. */
  | { readonly kind: 'unusable'; readonly reason: string }

/** RFC 2131 wants a lease time in every ACK; where a server forgets it, an hour, as udhcpc takes. */
const FORGOTTEN_LEASE_TIME = 3600
/** RFC 2131, section 3.3: infinity. */
const FOR_EVER = 0xffffffff
/** RFC 791: every host must take datagrams of this size; some servers send smaller nonsense. */
const SMALLEST_MTU = 576

export function parseLease(message: DhcpMessage, link: string, obtainedAt: number): ParsedLease {
  const { options, yiaddr: address } = message
  const unusable = (reason: string): ParsedLease => ({ kind: 'unusable', reason })
  if (!isHostAddress(address)) return unusable(`no usable address in it (${address})`)
  const { serverId } = options
  if (serverId === undefined || !isHostAddress(serverId)) {
    return unusable(`no usable server identifier in it (${serverId ?? 'none'})`)
  }
  const prefixLength =
    options.subnetMask === undefined ? classfulPrefix(address) : prefixOfMask(options.subnetMask)
  if (prefixLength === undefined) return unusable(`its subnet mask ${options.subnetMask} is none`)

  const warnings: string[] = []
  const hosts = (name: string, list: readonly IpAddress[] = []) =>
    keep(list, isHostAddress, (bad) => warnings.push(`${name} ${bad} is no host's address: left out`))
  const name = (what: string, text: string | undefined) => {
    const value = trim(text)
    if (value === undefined || isDomainName(value)) return value
    warnings.push(`${what} ${JSON.stringify(value)} is no valid name: left out`)
    return undefined
  }
  const path = (what: string, text: string | undefined) => {
    const value = trim(text)
    if (value === undefined || isPrintable(value)) return value
    warnings.push(`${what} ${JSON.stringify(value)} has control characters: left out`)
    return undefined
  }

  const routers = hosts('router', options.routers).filter((router) => router !== address)
  const classlessRoutes = options.classlessRoutes ?? []
  const lease: Lease = {
    link,
    mac: message.chaddr,
    address,
    prefixLength,
    broadcast: broadcastOf(options.broadcastAddress, { address, prefixLength }, (text) =>
      warnings.push(text),
    ),
    routers,
    classlessRoutes,
    routes: routesFor({ address, prefixLength }, routers, classlessRoutes, (text) => warnings.push(text)),
    dns: hosts('DNS server', options.dnsServers),
    search: keep(options.domainSearch ?? [], isDomainName, (bad) =>
      warnings.push(`search domain ${JSON.stringify(bad)} is no valid name: left out`),
    ),
    domain: name('domain', options.domainName),
    hostname: name('hostname', options.hostname),
    mtu: mtuOf(options.mtu, (text) => warnings.push(text)),
    ntp: hosts('NTP server', options.ntpServers),
    rootPath: path('root path', options.rootPath),
    serverId,
    nextServer: isHostAddress(message.siaddr) ? message.siaddr : undefined,
    bootFile: path('boot file', options.bootFile) ?? path('boot file', message.file),
    tftpServerName: path('TFTP server', options.tftpServerName) ?? path('server name', message.sname),
    pathPrefix: path('path prefix', options.pathPrefix),
    ...timesOf(message),
    obtainedAt,
    warnings,
    raw: message,
  }
  return { kind: 'lease', lease }
}

/** The lease's end in clock.now's milliseconds; undefined: never. */
export function expiryOf(lease: Lease): number | undefined {
  return lease.leaseTime === undefined ? undefined : lease.obtainedAt + lease.leaseTime * 1000
}

/**
 * The routes to install. RFC 3442: with classless routes, routers are ignored. Of several routers the first is
 * taken: it is the one that the server prefers, and the kernel does not fail over.
 */
function routesFor(
  own: { readonly address: IpAddress; readonly prefixLength: number },
  routers: readonly IpAddress[],
  classless: Lease['classlessRoutes'],
  warn: (text: string) => void,
): readonly Route[] {
  if (classless.length === 0) return routers.slice(0, 1).map((router) => defaultRoute(own, router))
  const routes = new Map<string, { route: Route; prefixLength: number }>()
  for (const { destination, gateway } of classless) {
    const prefix = normalizePrefix(destination)
    const onLink = gateway === '0.0.0.0'
    if (prefix === undefined || !(onLink || isHostAddress(gateway))) {
      warn(`route ${destination} via ${gateway} makes no sense: left out`)
    } else if (!routes.has(prefix.destination)) {
      const route = onLink
        ? { destination: prefix.destination }
        : { ...defaultRoute(own, gateway), destination: prefix.destination }
      routes.set(prefix.destination, { route, prefixLength: prefix.prefixLength })
    }
  }
  // What is on the link first, then from the most specific to the default: each gateway is known when it is named.
  return [...routes.values()]
    .sort((a, b) => rank(a.route) - rank(b.route) || b.prefixLength - a.prefixLength)
    .map(({ route }) => route)
}

function rank(route: Route): number {
  return route.gateway === undefined ? 0 : 1
}

/** A default route through this gateway, which may be outside the link's own prefix (a /32 from a cloud's DHCP). */
export function defaultRoute(
  own: { readonly address: IpAddress; readonly prefixLength: number },
  gateway: IpAddress,
): Route {
  const route = { destination: '0.0.0.0/0', gateway }
  return inPrefix(gateway, own.address, own.prefixLength) ? route : { ...route, onlink: true }
}

/** RFC 2131, section 4.4.5: T1 and T2 default to 0.5 and 0.875 of the lease; T1 < T2 < its end. */
function timesOf({ options }: DhcpMessage): Pick<Lease, 'leaseTime' | 'renewalTime' | 'rebindingTime'> {
  const leaseTime = options.leaseTime || FORGOTTEN_LEASE_TIME
  if (leaseTime >= FOR_EVER) {
    return { leaseTime: undefined, renewalTime: undefined, rebindingTime: undefined }
  }
  const t2 = options.rebindingTime ?? 0
  const rebindingTime = t2 > 0 && t2 < leaseTime ? t2 : Math.floor(leaseTime * 0.875)
  const t1 = options.renewalTime ?? 0
  const renewalTime = t1 > 0 && t1 < rebindingTime ? t1 : Math.floor(Math.min(leaseTime / 2, rebindingTime))
  return { leaseTime, renewalTime, rebindingTime }
}

function broadcastOf(
  broadcast: IpAddress | undefined,
  own: { readonly address: IpAddress; readonly prefixLength: number },
  warn: (text: string) => void,
): IpAddress | undefined {
  if (broadcast === undefined || inPrefix(broadcast, own.address, own.prefixLength)) return broadcast
  warn(`broadcast address ${broadcast} is not of the net ${own.address}/${own.prefixLength}: left out`)
  return undefined
}

function mtuOf(mtu: number | undefined, warn: (text: string) => void): number | undefined {
  if (mtu === undefined || mtu >= SMALLEST_MTU) return mtu
  warn(`MTU ${mtu} is below ${SMALLEST_MTU}: left out`)
  return undefined
}

/** Once each, without what `good` refuses. */
function keep(
  list: readonly string[],
  good: (item: string) => boolean,
  bad: (item: string) => void,
): string[] {
  return [...new Set(list)].filter((item) => {
    if (!good(item)) bad(item)
    return good(item)
  })
}

/** Some servers end a text with NUL bytes, and send an empty one for none. */
function trim(text: string | undefined): string | undefined {
  const nul = text?.indexOf('\0') ?? -1
  return (nul === -1 ? text : text?.slice(0, nul)) || undefined
}

/** RFC 1123, and the underscore that some sites use. It ends up in files that shells read. */
export function isDomainName(text: string): boolean {
  return (
    text.length <= 253 &&
    /^(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)(?:\.(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?))*\.?$/i.test(
      text,
    )
  )
}

function isPrintable(text: string): boolean {
  return /^[\x20-\x7e\u00a0-\uffff]*$/.test(text)
}
