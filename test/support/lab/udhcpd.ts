/**
 * A second DHCP server, of another make: busybox's udhcpd (busybox 1.35, networking/udhcp). Unlike dnsmasq it grants
 * leases as short as wanted, and says whatever its file says.
 */

import { createRequire } from 'node:module'

const busybox = createRequire(import.meta.url).resolve('busybox-static/bin/busybox')

export interface SecondDhcpOptions {
  /** First and last; .200 to .220 of the lab's network unless told. They may make no sense. */
  readonly addresses?: readonly [string, string]
  readonly leaseSeconds?: number
  /** By udhcpd's names (`subnet`, `router`, `dns`, `ntpsrv`); the subnet is /24 unless told. */
  readonly options?: Readonly<Record<string, string>>
}

export function udhcpdConfiguration(
  { addresses, leaseSeconds = 600, options = {} }: SecondDhcpOptions,
  place: { readonly device: string; readonly network: string; readonly directory: string },
): string {
  const [first, last] = addresses ?? [`${place.network}.200`, `${place.network}.220`]
  return [
    `interface ${place.device}`,
    `start ${first}`,
    `end ${last}`,
    // Else leases below a minute are made one.
    'min_lease 1',
    `lease_file ${place.directory}/udhcpd.leases`,
    `pidfile ${place.directory}/udhcpd.pid`,
    ...Object.entries({ subnet: '255.255.255.0', lease: String(leaseSeconds), ...options }).map(
      ([name, value]) => `option ${name} ${value}`,
    ),
    '',
  ].join('\n')
}

/** Its own look whether an address is free takes 2 s unless told. */
export function udhcpdScript(configuration: string, directory: string): string {
  return `touch ${directory}/udhcpd.leases && exec ${busybox} udhcpd -f -a 100 ${configuration}`
}
