/**
 * The kernel's `ip=` and the boot loader's `BOOTIF=`, read once into a union. Pure.
 *
 * The form is that of Documentation/admin-guide/nfs/nfsroot.rst, the meaning that of Alpine's init where both differ:
 * `dhcp` in the autoconf field wins over an address beside it.
 */

import type { IpAddress, Mac } from '../sys/network.ts'
import { classfulPrefix, isHostAddress, isLinkName, prefixOfMask } from './ipv4.ts'

export type IpConfiguration =
  | {
      readonly kind: 'dynamic'
      /** The only link that may be used. */
      readonly device: string | undefined
      /** Sent to the server, option 12. */
      readonly hostname: string | undefined
      /** Asked before those of the lease. */
      readonly dns: readonly IpAddress[]
    }
  | {
      readonly kind: 'static'
      readonly device: string | undefined
      readonly hostname: string | undefined
      readonly address: IpAddress
      readonly prefixLength: number
      readonly gateway: IpAddress | undefined
      /** Where NFS and TFTP are, if a source does not say. */
      readonly server: IpAddress | undefined
      readonly dns: readonly IpAddress[]
      readonly ntp: IpAddress | undefined
    }
  | { readonly kind: 'off' }
  /** For a person: why this cannot be done. */
  | { readonly kind: 'refused'; readonly reason: string }

const DYNAMIC: ReadonlySet<string> = new Set(['dhcp', 'on', 'any'])
const OFF: ReadonlySet<string> = new Set(['off', 'none'])

/** Words that mean something to the kernel or to dracut, and nothing to us. */
const REFUSED: ReadonlyMap<string, string> = new Map([
  ['bootp', 'BOOTP is not spoken, DHCP is: ip=dhcp'],
  ['rarp', 'RARP is not spoken, DHCP is: ip=dhcp'],
  ['both', 'it asks for BOOTP and RARP, which are not spoken: ip=dhcp'],
  ['dhcp6', 'IPv6 is not supported yet: ip=dhcp'],
  ['auto6', 'IPv6 is not supported yet: ip=dhcp'],
  ['either6', 'IPv6 is not supported yet: ip=dhcp'],
  ['link6', 'IPv6 is not supported yet: ip=dhcp'],
  ['link-local', 'link-local addresses reach no server: ip=dhcp'],
  ['ibft', 'the iSCSI firmware table is not read: ip=dhcp'],
])

/** What all `ip=` of a command line ask for. None is `dhcp`; of several the last counts, as on Alpine. */
export function parseIpParameters(values: readonly string[]): IpConfiguration {
  return parseIpParameter(values.at(-1) ?? 'dhcp')
}

/** One `ip=`'s value. */
export function parseIpParameter(text: string): IpConfiguration {
  if (text === '' || DYNAMIC.has(text)) return dynamic(undefined, undefined, [])
  if (OFF.has(text)) return { kind: 'off' }
  const word = REFUSED.get(text)
  if (word !== undefined) return refused(word)
  if (text.includes('[')) return refused('IPv6 is not supported yet')

  const fields = text.split(':')
  // dracut's short form: <device>:<autoconf>.
  const [first = '', second = ''] = fields
  if (fields.length === 2 && isAutoconf(second) && isLinkName(first) && !isHostAddress(first)) {
    return parseFields(['', '', '', '', '', first, second])
  }
  // IPv4 has ten fields; more colons come from an IPv6 address without brackets or from dracut's :mtu:mac.
  return fields.length > 10 ? refused(`it has ${fields.length} fields, ten are known`) : parseFields(fields)
}

/** client:server:gateway:mask:hostname:device:autoconf:dns0:dns1:ntp */
function parseFields(fields: readonly string[]): IpConfiguration {
  const [
    client = '',
    server = '',
    gateway = '',
    mask = '',
    hostname,
    device,
    autoconf = '',
    dns0,
    dns1,
    ntp,
  ] = fields
  const word = REFUSED.get(autoconf)
  if (word !== undefined) return refused(word)
  if (autoconf !== '' && !isAutoconf(autoconf)) {
    return refused(`'${autoconf}' is no way to configure: dhcp, on, any, off or none`)
  }
  if (device && !isLinkName(device)) return refused(`'${device}' is no name of a link`)
  if (hostname && !/^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/i.test(hostname)) {
    return refused(`'${hostname}' is no host name`)
  }
  const addresses = {
    client,
    server,
    gateway: gateway,
    'DNS server': dns0,
    'second DNS server': dns1,
    'NTP server': ntp,
  }
  for (const [what, address] of Object.entries(addresses)) {
    if (isGiven(address) && !isHostAddress(address))
      return refused(`the ${what} '${address}' is no host's address`)
  }
  const dns = [dns0, dns1].filter(isGiven)

  // An address of 0.0.0.0 is "none" to the kernel.
  const wantsDhcp = autoconf === 'dhcp' || (!isGiven(client) && !OFF.has(autoconf))
  if (wantsDhcp) return dynamic(device || undefined, hostname || undefined, dns)
  if (!isGiven(client)) return { kind: 'off' }
  const prefixLength = isGiven(mask) ? readMask(mask) : classfulPrefix(client)
  if (prefixLength === undefined) return refused(`the netmask '${mask}' is none`)
  return {
    kind: 'static',
    device: device || undefined,
    hostname: hostname || undefined,
    address: client,
    prefixLength,
    gateway: isGiven(gateway) ? gateway : undefined,
    server: isGiven(server) ? server : undefined,
    dns,
    ntp: isGiven(ntp) ? ntp : undefined,
  }
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

function isAutoconf(word: string): boolean {
  return DYNAMIC.has(word) || OFF.has(word) || REFUSED.has(word)
}

function isGiven(field: string | undefined): field is string {
  return field !== undefined && field !== '' && field !== '0.0.0.0'
}

function dynamic(
  device: string | undefined,
  hostname: string | undefined,
  dns: readonly IpAddress[],
): IpConfiguration {
  return { kind: 'dynamic', device, hostname, dns }
}

function refused(reason: string): IpConfiguration {
  return { kind: 'refused', reason }
}
