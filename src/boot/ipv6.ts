/** IPv6 addresses as eight groups of 16 bits: reading, writing (RFC 5952), membership. Pure. */

import type { IpAddress } from '../sys/network.ts'
import { parseIpv4 } from './ipv4.ts'

export type Groups = readonly number[]

/** RFC 4291, 2.2, without a zone; undefined for anything else. */
export function parseIpv6(text: string): Groups | undefined {
  const sides = text.split('::')
  if (sides.length > 2) return undefined
  const [left = '', right] = sides
  const before = groupsOf(left, right === undefined)
  const after = right === undefined ? [] : groupsOf(right, true)
  if (before === undefined || after === undefined) return undefined
  if (right === undefined) return before.length === 8 ? before : undefined
  const missing = 8 - before.length - after.length
  // `::` stands for one group at least.
  return missing < 1 ? undefined : [...before, ...Array.from({ length: missing }, () => 0), ...after]
}

/** `last`: what may end in a dotted quad. */
function groupsOf(text: string, last: boolean): number[] | undefined {
  if (text === '') return []
  const parts = text.split(':')
  const groups: number[] = []
  for (const [at, part] of parts.entries()) {
    const quad = last && at === parts.length - 1 ? parseIpv4(part) : undefined
    if (quad !== undefined) groups.push(quad >>> 16, quad & 0xffff)
    else if (/^[0-9a-f]{1,4}$/i.test(part)) groups.push(Number.parseInt(part, 16))
    else return undefined
  }
  return groups
}

/** RFC 5952: lower case, no leading zeros, `::` for the first of the longest runs of two zeros or more. */
export function formatIpv6(groups: Groups): IpAddress {
  let best = { at: -1, length: 1 }
  for (let at = 0; at < 8; at += 1) {
    let length = 0
    while (at + length < 8 && groups[at + length] === 0) length += 1
    if (length > best.length) best = { at, length }
  }
  const text = (some: Groups) => some.map((group) => group.toString(16)).join(':')
  if (best.at === -1) return text(groups)
  return `${text(groups.slice(0, best.at))}::${text(groups.slice(best.at + best.length))}`
}

/** The address in its one form; undefined when it is no IPv6 address. Brackets around it are taken off. */
export function normalizeIpv6(text: string): IpAddress | undefined {
  const groups = parseIpv6(/^\[(.*)\]$/.exec(text)?.[1] ?? text)
  return groups && formatIpv6(groups)
}

/** fe80::/10: of one link only. */
export function isLinkLocal(text: IpAddress): boolean {
  return inPrefix6(text, 'fe80::', 10)
}

/** True for an address that a single host can have: not `::`, `::1`, multicast, nor an IPv4 one in disguise. */
export function isHostAddress6(text: IpAddress): boolean {
  const groups = parseIpv6(text)
  if (groups === undefined || inPrefix6(text, 'ff00::', 8)) return false
  return groups.slice(0, 5).some((group) => group !== 0)
}

export function inPrefix6(address: IpAddress, network: IpAddress, prefixLength: number): boolean {
  const [a, b] = [parseIpv6(address), parseIpv6(network)]
  if (a === undefined || b === undefined) return false
  return formatIpv6(masked(a, prefixLength)) === formatIpv6(masked(b, prefixLength))
}

/** The network of an address: `fd00::2/64` is in `fd00::/64`. */
export function networkOf6(address: IpAddress, prefixLength: number): string | undefined {
  const groups = parseIpv6(address)
  return groups && `${formatIpv6(masked(groups, prefixLength))}/${prefixLength}`
}

function masked(groups: Groups, prefixLength: number): Groups {
  return groups.map((group, at) => {
    const bits = Math.min(16, Math.max(0, prefixLength - at * 16))
    return group & ((0xffff << (16 - bits)) & 0xffff)
  })
}
