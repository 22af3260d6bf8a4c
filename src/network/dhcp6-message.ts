/** DHCPv6 messages (RFC 8415, 8 and 21), of and for a client. Pure. */

import { isHostAddress6, parseIpv6 } from '../boot/ipv6.ts'
import type { IpAddress } from '../sys/index.ts'
import { addressesOf, HexReader, hexOf, namesOf, textOf } from './hex-reader.ts'

/** RFC 8415, 7.3. */
const TYPES = {
  solicit: 1,
  advertise: 2,
  request: 3,
  renew: 5,
  rebind: 6,
  reply: 7,
  release: 8,
  decline: 9,
  'information-request': 11,
} as const

export type Dhcp6MessageType = keyof typeof TYPES

export interface Dhcp6Message {
  readonly type: Dhcp6MessageType
  /** 24 bits. */
  readonly xid: number
  /** 1: a DUID, in hex. */
  readonly clientId: string | undefined
  /** 2 */
  readonly serverId: string | undefined
  /** 3: the first with an address, or the first at all. */
  readonly address: Dhcp6Address | undefined
  /** 7: 0 when absent. */
  readonly preference: number
  /** 13, of the message or of its IA; 0 is success. */
  readonly status: { readonly code: number; readonly message: string }
  /** 14 */
  readonly rapidCommit: boolean
  /** 23, RFC 3646 */
  readonly dns: readonly IpAddress[]
  /** 24, RFC 3646; as it came. */
  readonly search: readonly string[]
  /** 56 (RFC 5908), else 31 (RFC 4075) */
  readonly ntp: readonly IpAddress[]
  /** 82, SOL_MAX_RT, milliseconds: how seldom solicits are to be repeated. */
  readonly longestSolicit: number | undefined
  /** 59, RFC 5970; as it came. */
  readonly bootFileUrl: string | undefined
}

/** An IA_NA and the one address in it that counts. Seconds; 0xffffffff is for ever. */
export interface Dhcp6Address {
  readonly iaid: number
  readonly t1: number
  readonly t2: number
  readonly address: IpAddress
  readonly preferredLifetime: number
  readonly validLifetime: number
}

/** What a client says. */
export interface Dhcp6Question {
  readonly type: Exclude<Dhcp6MessageType, 'advertise' | 'reply'>
  readonly xid: number
  readonly clientId: string
  readonly serverId?: string
  /** Absent in an information-request. */
  readonly iaid?: number
  /** Asked for, given back, or declined. */
  readonly address?: IpAddress
  /** Hundredths of a second since the exchange began. */
  readonly elapsed: number
  readonly rapidCommit?: boolean
  readonly hostname?: string
}

/** What is asked for (option 6): DNS, search list, SNTP, NTP, boot file URL; 82 and 83 as RFC 8415 demands. */
const WANTED = [23, 24, 31, 56, 59]
const MOST = 32

export function encodeDhcp6(question: Dhcp6Question): string {
  const { type, xid, clientId, serverId, iaid, address, elapsed, rapidCommit, hostname } = question
  const asks = type !== 'release' && type !== 'decline'
  const leased = address && option(5, `${addressHex(address)}${hexOf(0, 8)}`)
  return [
    hexOf(TYPES[type], 1),
    hexOf(xid, 3),
    option(1, clientId),
    serverId === undefined ? '' : option(2, serverId),
    option(8, hexOf(Math.min(elapsed, 0xffff), 2)),
    iaid === undefined ? '' : option(3, `${hexOf(iaid, 4)}${hexOf(0, 8)}${leased ?? ''}`),
    rapidCommit ? option(14, '') : '',
    asks ? wantedOptions(hostname, type === 'information-request' ? 83 : 82) : '',
  ].join('')
}

/** What every question carries besides, whole options: who asks, for what. `limit`: the one that RFC 8415 demands. */
export function wantedOptions(hostname: string | undefined, limit: 82 | 83): string {
  return [
    // RFC 3315’s user class: one instance, with its length.
    option(15, `0008${hexOfText('diskless')}`),
    option(6, [...WANTED, limit].map((code) => hexOf(code, 2)).join('')),
    // RFC 4704: the server does what it likes with the name.
    hostname === undefined ? '' : option(39, `00${nameHex(hostname)}`),
  ].join('')
}

/** Undefined for what is no message to a client, or breaks off. An option that makes no sense is left out. */
export function decodeDhcp6(bytes: string): Dhcp6Message | undefined {
  const reader = new HexReader(bytes)
  const number = reader.number(1)
  const xid = reader.number(3)
  const type = number === TYPES.advertise ? 'advertise' : number === TYPES.reply ? 'reply' : undefined
  const options = optionsOf(reader.rest())
  if (type === undefined || xid === undefined || options === undefined) return undefined
  const first = (code: number) => options.find((each) => each.code === code)?.body
  const all = (code: number) => options.filter((each) => each.code === code)
  const duid = (code: number) => {
    const found = first(code)
    // RFC 8415, 11.1.
    return found !== undefined && found.length >= 6 && found.length <= 260 ? found : undefined
  }
  const associations = all(3).flatMap(({ body }) => associationOf(body))
  const given = associations.find(({ address }) => address !== undefined)
  const own = statusOf(first(13))
  const url = first(59)
  const ntp = all(56).flatMap(({ body }) => ntpOf(body))
  return {
    type,
    xid,
    clientId: duid(1),
    serverId: duid(2),
    address: given?.address,
    preference: first(7)?.length === 2 ? Number.parseInt(first(7) ?? '0', 16) : 0,
    status: own.code === 0 && given === undefined ? (associations[0]?.status ?? own) : own,
    rapidCommit: first(14) !== undefined,
    dns: hosts(first(23)),
    search: (namesOf(first(24) ?? '') ?? []).slice(0, MOST),
    ntp: (ntp.length > 0 ? ntp : hosts(first(31))).slice(0, MOST),
    longestSolicit: longestSolicitOf(first(82)),
    bootFileUrl: url === undefined || url === '' ? undefined : textOf(url),
  }
}

interface Option {
  readonly code: number
  readonly body: string
}

function optionsOf(hex: string): readonly Option[] | undefined {
  const reader = new HexReader(hex)
  const options: Option[] = []
  while (reader.left > 0) {
    const code = reader.number(2)
    const length = reader.number(2)
    const body = length === undefined ? undefined : reader.take(length)
    if (code === undefined || body === undefined) return undefined
    options.push({ code, body })
  }
  return options
}

/** RFC 8415, 21.24: what is not between a minute and a day is passed over. */
function longestSolicitOf(body: string | undefined): number | undefined {
  const seconds = body?.length === 8 ? new HexReader(body).number(4) : undefined
  return seconds !== undefined && seconds >= 60 && seconds <= 86_400 ? seconds * 1000 : undefined
}

interface Association {
  readonly address: Dhcp6Address | undefined
  readonly status: Dhcp6Message['status']
}

/** RFC 8415, 21.4 and 21.6. An address that no host can have, or whose time is over, is none. */
function associationOf(body: string): readonly Association[] {
  const reader = new HexReader(body)
  const [iaid, t1, t2] = [reader.number(4), reader.number(4), reader.number(4)]
  const options = optionsOf(reader.rest())
  if (iaid === undefined || t1 === undefined || t2 === undefined || options === undefined) return []
  const status = statusOf(options.find(({ code }) => code === 13)?.body)
  for (const { code, body: inner } of options) {
    if (code !== 5) continue
    const fields = new HexReader(inner)
    const address = fields.address()
    const [preferredLifetime, validLifetime] = [fields.number(4), fields.number(4)]
    if (address === undefined || preferredLifetime === undefined || validLifetime === undefined) continue
    const refused = statusOf(optionsOf(fields.rest())?.find((each) => each.code === 13)?.body).code !== 0
    if (refused || !isHostAddress6(address) || validLifetime === 0 || preferredLifetime > validLifetime)
      continue
    return [{ address: { iaid, t1, t2, address, preferredLifetime, validLifetime }, status }]
  }
  return [{ address: undefined, status }]
}

function statusOf(body: string | undefined): Dhcp6Message['status'] {
  const reader = new HexReader(body ?? '')
  return {
    code: reader.number(2) ?? 0,
    message: textOf(reader.rest())
      .replace(/[^\x20-\x7e]/g, '?')
      .slice(0, 200),
  }
}

/** RFC 5908: suboption 1 is an address; multicast and names are of no use here. */
function ntpOf(body: string): readonly IpAddress[] {
  const inner = optionsOf(body) ?? []
  return inner.flatMap((each) => (each.code === 1 && each.body.length === 32 ? hosts(each.body) : []))
}

function hosts(hex: string | undefined): readonly IpAddress[] {
  return [...new Set(addressesOf(hex ?? '') ?? [])].filter(isHostAddress6).slice(0, MOST)
}

function option(code: number, body: string): string {
  return `${hexOf(code, 2)}${hexOf(body.length / 2, 2)}${body}`
}

function addressHex(address: IpAddress): string {
  const groups = parseIpv6(address) ?? []
  return groups.map((group) => hexOf(group, 2)).join('')
}

function hexOfText(text: string): string {
  return [...text].map((letter) => hexOf(letter.charCodeAt(0), 1)).join('')
}

/** RFC 1035, without the root’s label: a name that the server completes. */
function nameHex(name: string): string {
  return name
    .split('.')
    .map((label) => `${hexOf(label.length, 1)}${hexOfText(label)}`)
    .join('')
}
