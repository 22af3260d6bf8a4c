/** dracut's `rd.route=NET/MASK:GATEWAY[:DEVICE]` (dracut.cmdline(7)), IPv4. Pure. */

import type { IpAddress } from '../sys/network.ts'
import { isHostAddress, isLinkName, normalizePrefix, prefixOfMask } from './ipv4.ts'

export interface StaticRoute {
  /** `10.0.0.0/8`. */
  readonly destination: string
  readonly gateway: IpAddress
  /** Undefined: the link that is booted from. */
  readonly device: string | undefined
}

/** A text is the reason of a refusal. */
export function parseRoute(text: string): StaticRoute | string {
  const [net = '', gateway = '', device, ...more] = text.split(':')
  const [address = '', mask = ''] = net.split('/')
  const length = /^\d{1,2}$/.test(mask) ? mask : prefixOfMask(mask)
  const prefix = length === undefined ? undefined : normalizePrefix(`${address}/${length}`)
  if (prefix === undefined || more.length > 0) {
    return `rd.route=${text} is no route: it looks like 10.0.0.0/8:10.1.0.1 or 10.0.0.0/255.0.0.0:10.1.0.1:eth0`
  }
  if (!isHostAddress(gateway)) return `rd.route=${text}: the gateway '${gateway}' is no host's address`
  if (device && !isLinkName(device)) return `rd.route=${text}: '${device}' is no name of a link`
  return { destination: prefix.destination, gateway, device: device || undefined }
}
