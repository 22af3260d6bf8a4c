/**
 * The kernel's `ip=` and the boot loader's `BOOTIF=`, read once into a union. Pure.
 *
 * The form is that of Documentation/admin-guide/nfs/nfsroot.rst, the meaning that of Alpine's init where both differ:
 * `dhcp` in the autoconf field wins over an address beside it.
 */

import type { IpAddress, Mac } from '../sys/network.ts'
import { classfulPrefix, isHostAddress, isLinkName, prefixOfMask } from './ipv4.ts'
import { isHostAddress6, isLinkLocal, normalizeIpv6 } from './ipv6.ts'

interface OfLink {
  /** The only link that may be used. */
  readonly device: string | undefined
  /** Of a dynamic one: sent to the server, option 12. */
  readonly hostname: string | undefined
  /** Asked before those of the lease. */
  readonly dns: readonly IpAddress[]
  /** dracut’s tail. It wins over the lease’s. */
  readonly mtu: number | undefined
  /** dracut’s tail: the address that the link gets before it is used. */
  readonly mac: Mac | undefined
}

export type IpConfiguration =
  | (OfLink & { readonly kind: 'dynamic' })
  /** dracut’s words. */
  | (OfLink & { readonly kind: 'dynamic6'; readonly method: Ipv6Method })
  | (OfLink & {
      readonly kind: 'static'
      readonly address: IpAddress
      readonly prefixLength: number
      readonly gateway: IpAddress | undefined
      /** Where NFS and TFTP are, if a source does not say. */
      readonly server: IpAddress | undefined
      readonly ntp: IpAddress | undefined
    })
  | { readonly kind: 'off' }
  /** For a person: why this cannot be done. */
  | { readonly kind: 'refused'; readonly reason: string }

/** By router advertisement, by DHCPv6, or by DHCPv6 where no router speaks. */
export type Ipv6Method = 'auto6' | 'dhcp6' | 'either6'

/** What configures a link. */
export type LinkConfiguration = Extract<IpConfiguration, OfLink>

/** What all `ip=` of a command line ask for. */
export interface IpPlan {
  /** Of the link that is booted from. */
  readonly boot: IpConfiguration
  /** Configured and left up beside it; each names its device. */
  readonly others: readonly LinkConfiguration[]
}

const DYNAMIC: ReadonlySet<string> = new Set(['dhcp', 'on', 'any'])
const OFF: ReadonlySet<string> = new Set(['off', 'none'])
const IPV6: ReadonlyMap<string, Ipv6Method> = new Map(
  (['auto6', 'dhcp6', 'either6'] as const).map((word) => [word, word]),
)

/** Words that mean something to the kernel or to dracut, and nothing to us. */
const REFUSED: ReadonlyMap<string, string> = new Map([
  ['bootp', 'BOOTP is not spoken, DHCP is: ip=dhcp'],
  ['rarp', 'RARP is not spoken, DHCP is: ip=dhcp'],
  ['both', 'it asks for BOOTP and RARP, which are not spoken: ip=dhcp'],
  ['link6', 'link-local addresses reach no server: ip=auto6'],
  ['link-local', 'link-local addresses reach no server: ip=dhcp'],
  ['ibft', 'the iSCSI firmware table is not read: ip=dhcp'],
])

/**
 * None is `dhcp`. As dracut has it, several that each name a device are all for one boot, and `bootdev` is booted from
 * (else the last). As Alpine has it, of several others the last counts.
 */
export function parseIpParameters(values: readonly string[], bootdev?: string): IpPlan {
  const alone = (boot: IpConfiguration): IpPlan => ({ boot, others: [] })
  const parsed = values.map((text) => ({ text, ip: parseIpParameter(text) }))
  const bad = parsed.find(({ ip }) => ip.kind === 'refused')
  if (values.length > 1 && bad?.ip.kind === 'refused') {
    return alone(refused(`${bad.ip.reason} (ip=${bad.text})`))
  }
  if (values.length > 1 && parsed.every(({ text, ip }) => deviceOf(text, ip) !== undefined)) {
    return several(
      parsed.flatMap(({ ip }) => (isOfLink(ip) ? [ip] : [])),
      bootdev,
    )
  }
  const boot = parsed.at(-1)?.ip ?? parseIpParameter('dhcp')
  if (bootdev === undefined || !isOfLink(boot)) return alone(boot)
  if (!isLinkName(bootdev)) return alone(refused(`bootdev=${bootdev} is no name of a link`))
  if (boot.device !== undefined && boot.device !== bootdev) {
    return alone(refused(`it is for ${boot.device}, and bootdev= says ${bootdev}`))
  }
  return alone({ ...boot, device: bootdev })
}

function several(all: readonly LinkConfiguration[], bootdev: string | undefined): IpPlan {
  // A device that is named again gets what was said last.
  const byDevice = new Map(all.map((ip) => [ip.device, ip]))
  const chosen = bootdev ?? all.at(-1)?.device
  const boot = byDevice.get(chosen)
  if (boot !== undefined) {
    return { boot, others: [...byDevice.values()].filter((ip) => ip !== boot) }
  }
  if (bootdev === undefined) return { boot: { kind: 'off' }, others: [] }
  return { boot: refused(`none of them is for ${bootdev}, which bootdev= names`), others: [] }
}

function isOfLink(ip: IpConfiguration): ip is LinkConfiguration {
  return ip.kind === 'dynamic' || ip.kind === 'dynamic6' || ip.kind === 'static'
}

/** That of an `off`, too: that link is to be left alone. */
function deviceOf(text: string, ip: IpConfiguration): string | undefined {
  if (isOfLink(ip)) return ip.device
  const fields = splitFields(text)
  return (fields.length === 2 ? fields[0] : fields[5]) || undefined
}

/** One `ip=`'s value. */
export function parseIpParameter(text: string): IpConfiguration {
  if (text === '' || DYNAMIC.has(text)) return parseFields([])
  if (OFF.has(text)) return { kind: 'off' }
  const word = REFUSED.get(text)
  if (word !== undefined) return refused(word)
  if (IPV6.has(text)) return parseFields(['', '', '', '', '', '', text])

  const fields = splitFields(text)
  // dracut's short form: <device>:<autoconf>, and perhaps its tail.
  const [first = '', second = '', ...rest] = fields
  if (isAutoconf(second) && isLinkName(first) && !isHostAddress(first)) {
    return parseFields(['', '', '', '', '', first, second, ...rest])
  }
  return parseFields(fields)
}

/** At the colons outside of brackets, which are for IPv6 addresses; brackets that are not closed stay as they are. */
function splitFields(text: string): readonly string[] {
  return (text.match(/(?:\[[^\]]*\]|[^:])+|(?<=^|:)(?=:|$)/g) ?? []).map(
    (field) => normalizeIpv6(field) ?? field,
  )
}

/**
 * client:server:gateway:mask:hostname:device:autoconf, then :dns0:dns1:ntp as the kernel has it, or :mtu:mac as dracut
 * does: the tail is dracut's where a number or a hardware address is in it.
 */
function parseFields(fields: readonly string[]): IpConfiguration {
  const [client = '', server = '', gateway = '', mask = '', hostname, device, autoconf = '', ...tail] = fields
  const word = REFUSED.get(autoconf)
  if (word !== undefined) return refused(word)
  if (autoconf !== '' && !isAutoconf(autoconf)) {
    // More colons come from an IPv6 address without brackets.
    if (fields.length > 10) return refused(tooMany(fields))
    return refused(`'${autoconf}' is no way to configure: dhcp, on, any, auto6, dhcp6, either6, off or none`)
  }
  if (device && !isLinkName(device)) return refused(`'${device}' is no name of a link`)
  if (hostname && !/^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/i.test(hostname)) {
    return refused(`'${hostname}' is no host name`)
  }
  const link = parseTail(tail)
  if (typeof link === 'string') return refused(link)
  const [dns0, dns1, ntp, ...more] = link.servers
  if (more.length > 0) return refused(tooMany(fields))
  const addresses = {
    client,
    server,
    gateway,
    'DNS server': dns0,
    'second DNS server': dns1,
    'NTP server': ntp,
  }
  for (const [what, address] of Object.entries(addresses)) {
    if (isGiven(address) && !isHostAddress(address) && !isHostAddress6(address))
      return refused(`the ${what} '${address}' is no host's address`)
  }
  const six = client.includes(':')
  if (isGiven(client) && isGiven(gateway) && gateway.includes(':') !== six) {
    return refused(`the client ${client} and the gateway ${gateway} are of two families`)
  }
  if (six && isLinkLocal(client)) return refused(REFUSED.get('link6') ?? '')
  const common = {
    device: device || undefined,
    hostname: hostname || undefined,
    dns: [dns0, dns1].filter(isGiven),
    mtu: link.mtu,
    mac: link.mac,
  }

  // An address of 0.0.0.0 is "none" to the kernel.
  const method = IPV6.get(autoconf)
  if (method !== undefined) return { kind: 'dynamic6', method, ...common }
  const wantsDhcp = autoconf === 'dhcp' || (!isGiven(client) && !OFF.has(autoconf))
  if (wantsDhcp) return { kind: 'dynamic', ...common }
  if (!isGiven(client)) return { kind: 'off' }
  const prefixLength = six ? readPrefix6(mask) : isGiven(mask) ? readMask(mask) : classfulPrefix(client)
  if (prefixLength === undefined) return refused(`the netmask '${mask}' is none`)
  return {
    kind: 'static',
    ...common,
    address: client,
    prefixLength,
    gateway: isGiven(gateway) ? gateway : undefined,
    server: isGiven(server) ? server : undefined,
    ntp: isGiven(ntp) ? ntp : undefined,
  }
}

/** What follows the autoconf field; a text is the reason of a refusal. */
function parseTail(
  tail: readonly string[],
): { readonly servers: readonly string[]; readonly mtu?: number; readonly mac?: Mac } | string {
  const [size = '', ...rest] = tail
  const mac = rest.join(':').toLowerCase()
  const isMac = /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/.test(mac)
  const isNumber = /^\d{2,5}$/.test(size)
  if (isNumber ? mac === '' || isMac : size === '' && isMac) {
    return { servers: [], ...(isNumber ? { mtu: Number(size) } : {}), ...(isMac ? { mac } : {}) }
  }
  if (isNumber) return `'${mac}' behind the MTU is no hardware address`
  return { servers: tail }
}

function tooMany(fields: readonly string[]): string {
  return `it has ${fields.length} fields, ten are known`
}

/**
 * `01-52-54-00-12-34-56` as pxelinux and iPXE write it, in either case, with `-` or `:`, with or without the leading
 * hardware type; undefined for anything else, and for hardware that is not Ethernet.
 */
export function parseBootInterface(text: string): Mac | undefined {
  const [, mac] = /^(?:01[-:])?([0-9a-f]{2}(?:[-:][0-9a-f]{2}){5})$/i.exec(text) ?? []
  return mac?.replaceAll('-', ':').toLowerCase()
}

/** A netmask, or a prefix length as dracut takes it. */
function readMask(mask: string): number | undefined {
  if (!/^\d{1,2}$/.test(mask)) return prefixOfMask(mask)
  const length = Number(mask)
  return length >= 1 && length <= 32 ? length : undefined
}

/** dracut: a prefix length; nearly every network has the one that is taken where none is said. */
function readPrefix6(text: string): number | undefined {
  if (text === '') return 64
  return /^\d{1,3}$/.test(text) && Number(text) >= 1 && Number(text) <= 128 ? Number(text) : undefined
}

function isAutoconf(word: string): boolean {
  return DYNAMIC.has(word) || IPV6.has(word) || OFF.has(word) || REFUSED.has(word)
}

function isGiven(field: string | undefined): field is string {
  return field !== undefined && field !== '' && field !== '0.0.0.0'
}

function refused(reason: string): IpConfiguration {
  return { kind: 'refused', reason }
}
