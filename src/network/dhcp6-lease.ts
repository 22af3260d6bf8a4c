/** What a DHCPv6 server gave, checked once; and who we are to it. Pure. */

import type { IpAddress, Mac } from '../sys/index.ts'
import type { Dhcp6Message } from './dhcp6-message.ts'
import { isDomainName } from './lease.ts'

/** What an information-request is answered with, too. */
export interface Dhcp6Information {
  readonly dns: readonly IpAddress[]
  readonly search: readonly string[]
  readonly ntp: readonly IpAddress[]
  readonly bootFileUrl: string | undefined
  /** What was in the message and is not used, and why. */
  readonly warnings: readonly string[]
}

export interface Lease6 extends Dhcp6Information {
  readonly address: IpAddress
  /** DUIDs in hex. */
  readonly serverId: string
  readonly clientId: string
  readonly iaid: number
  /** Seconds; undefined: never. */
  readonly renewalTime: number | undefined
  readonly rebindingTime: number | undefined
  readonly preferredLifetime: number | undefined
  readonly validLifetime: number | undefined
  /** clock.now of the reply. */
  readonly obtainedAt: number
}

/** RFC 8415, 7.7: infinity. */
const FOR_EVER = 0xffffffff

export function informationOf(message: Dhcp6Message): Dhcp6Information {
  const warnings: string[] = []
  const search = [...new Set(message.search)].filter((name) => {
    const good = isDomainName(name)
    if (!good) warnings.push(`search domain ${JSON.stringify(name)} is no valid name: left out`)
    return good
  })
  const url = message.bootFileUrl
  const isUrl = url === undefined || /^[\x21-\x7e]+$/.test(url)
  if (!isUrl) warnings.push(`boot file URL ${JSON.stringify(url)} is none: left out`)
  return { dns: message.dns, search, ntp: message.ntp, bootFileUrl: isUrl ? url : undefined, warnings }
}

/** Undefined without an address of this client’s association, or without the server’s name. */
export function lease6Of(
  message: Dhcp6Message,
  client: { readonly clientId: string; readonly iaid: number },
  obtainedAt: number,
): Lease6 | undefined {
  const { address: given, serverId } = message
  if (given === undefined || serverId === undefined || given.iaid !== client.iaid) return undefined
  const { address, preferredLifetime, validLifetime } = given
  const seconds = (value: number) => (value >= FOR_EVER ? undefined : value)
  // RFC 8415, 14.2 and 21.4: 0 leaves it to the client, and then these parts are recommended.
  const part = (value: number, share: number, most: number) =>
    value > 0 && value <= most ? value : Math.floor(preferredLifetime * share)
  const endless = preferredLifetime >= FOR_EVER
  const t2 = part(given.t2, 0.8, validLifetime)
  return {
    ...informationOf(message),
    ...{ address, serverId, clientId: client.clientId, iaid: client.iaid, obtainedAt },
    renewalTime: endless ? undefined : part(given.t1, 0.5, t2),
    rebindingTime: endless ? undefined : t2,
    preferredLifetime: seconds(preferredLifetime),
    validLifetime: seconds(validLifetime),
  }
}

/**
 * DUID-UUID (RFC 6355) where the firmware has a UUID, as UEFI and iPXE send it, so that the machine is one and the same to
 * the server whichever program and card asks; else DUID-LL (RFC 8415, 11.4).
 */
export function clientIdOf(uuid: string | undefined, mac: Mac): string {
  const digits = uuid?.replaceAll('-', '').toLowerCase() ?? ''
  // All digits the same: firmware that was never given one.
  if (/^[0-9a-f]{32}$/.test(digits) && !/^(.)\1*$/.test(digits)) return `0004${digits}`
  return `00030001${mac.replaceAll(':', '')}`
}

/** RFC 8415, 12: the same after every boot, another for each card. */
export function iaidOf(mac: Mac): number {
  return Number.parseInt(mac.replaceAll(':', '').slice(-8), 16)
}

/** For a person. */
export function describeDuid(duid: string): string {
  // DUID-LLT and DUID-LL of Ethernet end in the card’s address.
  const mac = /^(?:00010001.{8}|00030001)(.{12})$/.exec(duid)?.[1]
  return mac === undefined ? duid : (mac.match(/../g) ?? []).join(':')
}

export function newXid(random: number): number {
  return Math.floor(random * 2 ** 24)
}

/** Hundredths of a second, as option 8 has them. */
export function elapsedOf(since: number, now: number): number {
  return Math.min(0xffff, Math.floor((now - since) / 10))
}
