/** IPv4 addresses as numbers: masks, prefixes, membership. Bits are kept unsigned (`>>> 0`). */

import type { IpAddress } from '../sys/network.ts'

/** A dotted quad as an unsigned number; undefined for anything else (no leading zeros: they are octal elsewhere). */
export function parseIpv4(text: string): number | undefined {
  const bytes = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text)?.slice(1)
  if (!bytes?.every((byte) => Number(byte) <= 255 && String(Number(byte)) === byte)) return undefined
  return bytes.reduce((sum, byte) => sum * 256 + Number(byte), 0)
}

export function formatIpv4(address: number): IpAddress {
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 255).join('.')
}

/** True for an address that a single host can have: not 0/8, 127/8, nor class D and E. */
export function isHostAddress(text: IpAddress): boolean {
  const address = parseIpv4(text)
  if (address === undefined) return false
  const first = address >>> 24
  return first !== 0 && first !== 127 && first < 224
}

export function maskOf(prefixLength: number): number {
  return prefixLength === 0 ? 0 : (0xffffffff << (32 - prefixLength)) >>> 0
}

/** The prefix length of a netmask; undefined when it is no run of ones followed by zeros, or all zeros. */
export function prefixOfMask(mask: IpAddress): number | undefined {
  const bits = parseIpv4(mask)
  if (bits === undefined || bits === 0) return undefined
  const length = Math.clz32(~bits >>> 0)
  return maskOf(length) === bits ? length : undefined
}

/** RFC 791: what a network was before masks, and what the kernel still takes where none is given. */
export function classfulPrefix(address: IpAddress): number {
  const bits = parseIpv4(address) ?? 0
  if (bits >>> 31 === 0) return 8
  return bits >>> 30 === 2 ? 16 : 24
}

export function inPrefix(address: IpAddress, network: IpAddress, prefixLength: number): boolean {
  const [a, b] = [parseIpv4(address), parseIpv4(network)]
  return a !== undefined && b !== undefined && ((a ^ b) & maskOf(prefixLength)) === 0
}

/** `10.1.2.3/8` → `10.0.0.0/8`; undefined when it is no prefix. */
export function normalizePrefix(text: string): { destination: string; prefixLength: number } | undefined {
  const [, quad = '', length = ''] = /^([\d.]+)\/(\d{1,2})$/.exec(text) ?? []
  const address = parseIpv4(quad)
  const prefixLength = Number(length)
  if (address === undefined || length === '' || prefixLength > 32) return undefined
  return { destination: `${formatIpv4(address & maskOf(prefixLength))}/${prefixLength}`, prefixLength }
}

/** What the kernel takes as a link's name (dev_valid_name). */
export function isLinkName(text: string): boolean {
  return text.length > 0 && text.length < 16 && text !== '.' && text !== '..' && !/[\s/:]/.test(text)
}
