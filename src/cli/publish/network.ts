/** The network that a DHCP server's file is for: addresses as numbers for a moment, so that what is not given can be chosen. */

import { isIPv4 } from 'node:net'
import type { Fields } from './fields.ts'
import type { Network } from './site.ts'

/** DHCP servers keep no shorter leases. */
const shortestLease = 120

/** Undefined, and a problem in `fields`, for what is no network. */
export function readNetwork(fields: Fields): Network | undefined {
  const text = fields.needed('server', 'the boot server’s address with its prefix length: 10.0.0.1/24')
  const range = fields.texts('range')
  const router = fields.text('router')
  const dns = fields.texts('dns') ?? []
  const card = fields.text('interface')
  const leaseSeconds = fields.integer('leaseSeconds', shortestLease, 0x7fff_ffff) ?? 3600
  const [, server = '', length = ''] = /^([\d.]+)\/(\d{1,2})$/.exec(text) ?? []
  const prefixLength = Number(length)
  if (!isIPv4(server) || length === '' || prefixLength < 8 || prefixLength > 30) {
    if (text !== '')
      fields.wrong('server', `is '${text}', and not an address with its prefix length (8 to 30): 10.0.0.1/24`)
    return undefined
  }
  const size = 2 ** (32 - prefixLength)
  const first = Math.floor(numberOf(server) / size) * size
  const contains = (address: string) =>
    isIPv4(address) && numberOf(address) > first && numberOf(address) < first + size - 1
  const subnet = addressOf(first)
  const here = `of ${subnet}/${prefixLength}`
  if (!contains(server)) fields.wrong('server', `is '${server}', and not a host's address ${here}`)
  if (router !== undefined && !contains(router)) fields.wrong('router', `is '${router}', and not ${here}`)
  for (const [at, address] of dns.entries())
    if (!isIPv4(address)) fields.wrong(`dns[${at}]`, `is '${address}', and not an IPv4 address`)
  if (card !== undefined && !/^[^\s/,]{1,15}$/.test(card)) fields.wrong('interface', `is '${card}'`)
  return {
    server,
    subnet,
    prefixLength,
    mask: addressOf(2 ** 32 - size),
    interface: card,
    range: rangeOf(fields, range, { first, size, contains, taken: [server, router] }),
    router,
    dns,
    leaseSeconds,
  }
}

interface Subnet {
  /** Its own address, as a number. */
  readonly first: number
  readonly size: number
  contains(address: string): boolean
  readonly taken: readonly (string | undefined)[]
}

/** Unless given, the longest run of free addresses in the upper half: the lower one is for what is fixed. */
function rangeOf(
  fields: Fields,
  given: readonly string[] | undefined,
  { first, size, contains, taken }: Subnet,
): readonly [string, string] {
  const [from = '', to = '', ...more] = given ?? []
  if (given === undefined) {
    const low = first + size / 2
    const high = first + size - 2
    const used = taken
      .filter((address) => address !== undefined)
      .map(numberOf)
      .filter((number) => number >= low && number <= high)
      .sort((a, b) => a - b)
    const runs = [...used, high + 1].map((end, at) => [(used[at - 1] ?? low - 1) + 1, end - 1] as const)
    const [start, end] = runs.reduce((a, b) => (b[1] - b[0] > a[1] - a[0] ? b : a))
    if (start <= end) return [addressOf(start), addressOf(end)]
    fields.wrong('range', 'is missing: the upper half of the subnet has no address that is free')
    return ['', '']
  }
  if (!contains(from) || !contains(to) || more.length > 0 || numberOf(from) > numberOf(to))
    fields.wrong(
      'range',
      `is ${JSON.stringify(given)}, and not the first and the last address of the subnet to hand out`,
    )
  return [from, to]
}

/** Whether it is a host's address there. */
export function isIn({ subnet, prefixLength }: Network, address: string): boolean {
  const size = 2 ** (32 - prefixLength)
  const first = numberOf(subnet)
  return isIPv4(address) && numberOf(address) > first && numberOf(address) < first + size - 1
}

function numberOf(address: string): number {
  return address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0)
}

function addressOf(number: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(number / 2 ** shift) % 256).join('.')
}
