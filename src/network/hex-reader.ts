/** Bytes from the network, read from their hex text: nothing beyond the end is ever read. Pure. */

import { formatIpv6 } from '../boot/ipv6.ts'
import type { IpAddress } from '../sys/index.ts'

export class HexReader {
  readonly #hex: string
  #at = 0

  constructor(hex: string) {
    this.#hex = hex
  }

  /** Bytes that are left. */
  get left(): number {
    return (this.#hex.length - this.#at) / 2
  }

  /** The next bytes, in hex; undefined when there are not so many. */
  take(bytes: number): string | undefined {
    if (bytes > this.left) return undefined
    const from = this.#at
    this.#at += bytes * 2
    return this.#hex.slice(from, this.#at)
  }

  rest(): string {
    return this.take(this.left) ?? ''
  }

  /** Big-endian, of one to four bytes. */
  number(bytes: number): number | undefined {
    const hex = this.take(bytes)
    return hex === undefined ? undefined : Number.parseInt(hex, 16)
  }

  address(): IpAddress | undefined {
    const hex = this.take(16)
    return hex === undefined ? undefined : addressOf(hex)
  }
}

/** 32 digits as an address. */
export function addressOf(hex: string): IpAddress {
  return formatIpv6(Array.from({ length: 8 }, (_, at) => Number.parseInt(hex.slice(at * 4, at * 4 + 4), 16)))
}

/** As many whole addresses as there are; undefined when there is a rest. */
export function addressesOf(hex: string): IpAddress[] | undefined {
  if (hex.length % 32 !== 0) return undefined
  return Array.from({ length: hex.length / 32 }, (_, at) => addressOf(hex.slice(at * 32, at * 32 + 32)))
}

/**
 * Domain names in RFC 1035’s form, uncompressed, one after another; zeros after them are padding. Undefined when one breaks
 * off or is longer than a name can be.
 */
export function namesOf(hex: string): string[] | undefined {
  const reader = new HexReader(hex)
  const names: string[] = []
  let labels: string[] = []
  while (reader.left > 0) {
    const length = reader.number(1) ?? 0
    if (length === 0) {
      if (labels.length > 0) names.push(labels.join('.'))
      labels = []
      continue
    }
    const label = length > 63 ? undefined : reader.take(length)
    if (label === undefined || labels.length > 126) return undefined
    labels.push(textOf(label))
  }
  return labels.length > 0 ? undefined : names
}

/** Bytes as characters of the same numbers: what is no ASCII is refused by whoever checks the name. */
export function textOf(hex: string): string {
  return (hex.match(/../g) ?? []).map((byte) => String.fromCharCode(Number.parseInt(byte, 16))).join('')
}

/** A number in so many bytes, big-endian. */
export function hexOf(value: number, bytes: number): string {
  return value
    .toString(16)
    .padStart(bytes * 2, '0')
    .slice(-bytes * 2)
}
