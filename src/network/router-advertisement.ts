/** Router advertisements (RFC 4861, 4.2) as far as a host decides by them: the kernel reads the rest itself. Pure. */

import { isHostAddress6, isLinkLocal } from '../boot/ipv6.ts'
import type { Datagram, IpAddress } from '../sys/index.ts'
import { addressesOf, HexReader, namesOf } from './hex-reader.ts'
import { isDomainName } from './lease.ts'

export interface RouterAdvertisement {
  /** Link-local. */
  readonly router: IpAddress
  /** Seconds; 0: it is no default router. */
  readonly lifetime: number
  /** M: addresses are to be had by DHCPv6. */
  readonly managed: boolean
  /** O: everything else is. */
  readonly other: boolean
  readonly mtu: number | undefined
  readonly prefixes: readonly AdvertisedPrefix[]
  /** RFC 8106. Those with a lifetime of 0 are left out. */
  readonly dns: readonly IpAddress[]
  readonly search: readonly string[]
}

export interface AdvertisedPrefix {
  readonly prefix: IpAddress
  readonly prefixLength: number
  readonly onLink: boolean
  /** A: hosts make themselves an address of it. */
  readonly autonomous: boolean
  /** Seconds. */
  readonly validLifetime: number
}

/** RFC 4861, 4.1: type 133, no option. */
export const routerSolicitation = '8500000000000000'
export const allRouters = 'ff02::2'

/** No router has more to say; a datagram could hold two thousand. */
const MOST = 32

/**
 * Undefined for what RFC 4861, 6.1.2 wants dropped: not of a router’s own address, too short, an option without length or
 * beyond the end. Checksum and hop limit were looked at before. An option that makes no sense is left out.
 */
export function parseAdvertisement({ from, bytes }: Datagram): RouterAdvertisement | undefined {
  if (!isLinkLocal(from)) return undefined
  const reader = new HexReader(bytes)
  const head = reader.take(16)
  if (head === undefined || !head.startsWith('8600')) return undefined
  const header = new HexReader(head)
  header.take(5)
  const flags = header.number(1) ?? 0
  const lifetime = header.number(2) ?? 0
  let mtu: number | undefined
  const prefixes: AdvertisedPrefix[] = []
  const dns = new Set<IpAddress>()
  const search = new Set<string>()
  while (reader.left > 0) {
    const kind = reader.number(1)
    const units = reader.number(1)
    const body = units === undefined || units === 0 ? undefined : reader.take(units * 8 - 2)
    if (body === undefined) return undefined
    if (kind === 3) prefixes.push(...prefixOf(body))
    if (kind === 5) mtu = mtuOf(body)
    if (kind === 25) for (const each of listOf(body, addressesOf, isHostAddress6)) dns.add(each)
    if (kind === 31) for (const each of listOf(body, namesOf, isDomainName)) search.add(each)
  }
  return {
    router: from,
    lifetime,
    managed: (flags & 0x80) !== 0,
    other: (flags & 0x40) !== 0,
    mtu,
    prefixes: prefixes.slice(0, MOST),
    dns: [...dns].slice(0, MOST),
    search: [...search].slice(0, MOST),
  }
}

/** Whether the kernel makes an address of it: RFC 4862, 5.5.3, and its interface identifiers have 64 bits. */
export function makesAddress(prefix: AdvertisedPrefix): boolean {
  return prefix.autonomous && prefix.prefixLength === 64 && prefix.validLifetime > 0
}

/** RFC 4861, 4.6.2. */
function prefixOf(body: string): AdvertisedPrefix[] {
  const reader = new HexReader(body)
  const prefixLength = reader.number(1)
  const flags = reader.number(1)
  const validLifetime = reader.number(4)
  reader.take(8)
  const prefix = reader.address()
  if (prefix === undefined || prefixLength === undefined || flags === undefined) return []
  if (validLifetime === undefined || prefixLength > 128 || isLinkLocal(prefix)) return []
  return [
    {
      prefix,
      prefixLength,
      onLink: (flags & 0x80) !== 0,
      autonomous: (flags & 0x40) !== 0,
      validLifetime,
    },
  ]
}

function mtuOf(body: string): number | undefined {
  const reader = new HexReader(body)
  reader.take(2)
  const mtu = reader.number(4)
  // RFC 8200: no link has less.
  return mtu !== undefined && mtu >= 1280 ? mtu : undefined
}

/** RFC 8106, 5.1 and 5.2: two bytes of nothing, the lifetime, the list. */
function listOf(
  body: string,
  parse: (hex: string) => string[] | undefined,
  good: (item: string) => boolean,
): readonly string[] {
  const reader = new HexReader(body)
  reader.take(2)
  const lifetime = reader.number(4)
  return lifetime === undefined || lifetime === 0 ? [] : (parse(reader.rest()) ?? []).filter(good)
}
