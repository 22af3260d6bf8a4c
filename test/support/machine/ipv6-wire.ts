/** What routers and DHCPv6 servers of the fake machine say, as bytes in hex. Written apart from src/, to be checked against it. */

import { isIPv6 } from 'node:net'
import type { IpAddress } from '../../../src/sys/index.ts'

const hex = (value: number, bytes: number) => value.toString(16).padStart(bytes * 2, '0')

export function addressHex(address: IpAddress): string {
  if (!isIPv6(address)) throw new Error(`${address} is no IPv6 address`)
  const [left = '', right] = address.split('::')
  const groups = (side: string) => side.split(':').filter((group) => group !== '')
  const [before, after] = [groups(left), groups(right ?? '')]
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => '0')
  return [...before, ...zeros, ...after].map((group) => group.padStart(4, '0')).join('')
}

export function addressText(digits: string): IpAddress {
  return new URL(`http://[${digits.replace(/(.{4})(?!$)/g, '$1:')}]`).hostname.slice(1, -1)
}

export function namesHex(names: readonly string[]): string {
  return names
    .map(
      (name) =>
        `${name
          .split('.')
          .map((label) => hex(label.length, 1) + Buffer.from(label).toString('hex'))
          .join('')}00`,
    )
    .join('')
}

export interface Advertised {
  readonly managed?: boolean
  readonly other?: boolean
  /** Seconds. Default 1800. */
  readonly lifetime?: number
  /** /64, autonomous and on the link. */
  readonly prefixes?: readonly IpAddress[]
  /** /64, on the link only. */
  readonly onLinkOnly?: readonly IpAddress[]
  readonly dns?: readonly IpAddress[]
  readonly search?: readonly string[]
  readonly mtu?: number
}

/** RFC 4861, 4.2, and RFC 8106. */
export function advertisement(said: Advertised): string {
  const { managed = false, other = false, lifetime = 1800, prefixes = [], onLinkOnly = [], dns = [] } = said
  const { search = [], mtu } = said
  const option = (kind: number, body: string) => {
    const padded = body.padEnd(Math.ceil((body.length + 4) / 16) * 16 - 4, '0')
    return `${hex(kind, 1)}${hex((padded.length + 4) / 16, 1)}${padded}`
  }
  const prefix = (flags: number) => (address: IpAddress) =>
    option(3, `40${hex(flags, 1)}${hex(3600, 4)}${hex(1800, 4)}00000000${addressHex(address)}`)
  return [
    `8600000040${hex((managed ? 0x80 : 0) + (other ? 0x40 : 0), 1)}${hex(lifetime, 2)}${'0'.repeat(16)}`,
    ...prefixes.map(prefix(0xc0)),
    ...onLinkOnly.map(prefix(0x80)),
    mtu === undefined ? '' : option(5, `0000${hex(mtu, 4)}`),
    dns.length === 0 ? '' : option(25, `0000${hex(1800, 4)}${dns.map(addressHex).join('')}`),
    search.length === 0 ? '' : option(31, `0000${hex(1800, 4)}${namesHex(search)}`),
  ].join('')
}

/** The answers to one message. `attempt` counts those that reached this link’s network, from 1. */
export type Dhcp6Script = (
  bytes: string,
  context: { readonly attempt: number; readonly now: number },
) => readonly { readonly afterMs: number; readonly bytes: string }[]

export interface Dhcp6ServerOptions {
  /** Handed out, in turn; the last for ever. Default fd00::100. */
  readonly addresses?: readonly IpAddress[]
  /** Hex. */
  readonly serverId?: string
  readonly delayMs?: number
  /** So many first messages go unanswered. */
  readonly deaf?: number
  readonly rapidCommit?: boolean
  readonly preference?: number
  /** Of every IA, instead of an address. */
  readonly status?: { readonly code: number; readonly message: string }
  /** It advertises, and has no address left when it is asked for it: so many times. */
  readonly refusals?: number
  readonly dns?: readonly IpAddress[]
  readonly search?: readonly string[]
  readonly ntp?: readonly IpAddress[]
  readonly bootFileUrl?: string
  /** Seconds. Default 3600; T1 and T2 are left to the client. */
  readonly validLifetime?: number
}

export function dhcp6Option(code: number, body: string): string {
  return `${hex(code, 2)}${hex(body.length / 2, 2)}${body}`
}

/** Options of a message by code. */
export function dhcp6Options(bytes: string): ReadonlyMap<number, string> {
  const found = new Map<number, string>()
  for (let at = 8; at < bytes.length; ) {
    const length = Number.parseInt(bytes.slice(at + 4, at + 8), 16) * 2
    found.set(Number.parseInt(bytes.slice(at, at + 4), 16), bytes.slice(at + 8, at + 8 + length))
    at += 8 + length
  }
  return found
}

/** A server that answers as RFC 8415 has it: solicits, requests, information-requests, declines, releases. */
export function dhcp6Server(server: Dhcp6ServerOptions = {}): Dhcp6Script {
  const addresses = [...(server.addresses ?? ['fd00::100'])]
  const serverId = server.serverId ?? '000300015254000000ff'
  const valid = server.validLifetime ?? 3600
  let refusals = server.refusals ?? 0
  const status = (code: number, message: string) =>
    dhcp6Option(13, `${hex(code, 2)}${Buffer.from(message).toString('hex')}`)
  const association = (asked: string | undefined, refused: boolean) => {
    if (asked === undefined) return ''
    const body = `${addressHex(addresses[0] ?? '::')}${hex(valid / 2, 4)}${hex(valid, 4)}`
    const { code, message } = server.status ?? { code: 2, message: 'no leases left' }
    const inner = server.status || refused ? status(code, message) : dhcp6Option(5, body)
    return dhcp6Option(3, `${asked.slice(0, 8)}${'0'.repeat(16)}${inner}`)
  }
  const information = () =>
    [
      server.dns ? dhcp6Option(23, server.dns.map(addressHex).join('')) : '',
      server.search ? dhcp6Option(24, namesHex(server.search)) : '',
      server.ntp ? dhcp6Option(56, server.ntp.map((each) => dhcp6Option(1, addressHex(each))).join('')) : '',
      server.bootFileUrl ? dhcp6Option(59, Buffer.from(server.bootFileUrl).toString('hex')) : '',
    ].join('')
  return (bytes, { attempt }) => {
    if (attempt <= (server.deaf ?? 0)) return []
    const options = dhcp6Options(bytes)
    const client = options.get(1)
    const named = options.get(2)
    if (named !== undefined && named !== serverId) return []
    const rapid = server.rapidCommit === true && options.has(14)
    const say = (type: number, ...parts: readonly string[]) => [
      {
        afterMs: server.delayMs ?? 1,
        bytes: [
          `${hex(type, 1)}${bytes.slice(2, 8)}`,
          client === undefined ? '' : dhcp6Option(1, client),
          dhcp6Option(2, serverId),
          ...parts,
        ].join(''),
      },
    ]
    switch (bytes.slice(0, 2)) {
      case '01': {
        const preference = server.preference === undefined ? '' : dhcp6Option(7, hex(server.preference, 1))
        const body = [association(options.get(3), false), information(), preference]
        return rapid ? say(7, ...body, dhcp6Option(14, '')) : say(2, ...body)
      }
      case '03':
        refusals -= 1
        return say(7, association(options.get(3), refusals >= 0), information())
      // Renew and rebind: for the address that is handed out, as long as there is one.
      case '05':
      case '06':
        return say(7, association(options.get(3), false), information())
      case '09':
        if (addresses.length > 1) addresses.shift()
        return say(7, status(0, 'declined'))
      case '08':
        return say(7, status(0, 'released'))
      case '0b':
        return say(7, information())
      default:
        return []
    }
  }
}
