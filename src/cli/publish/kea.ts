/** A part of Kea's kea-dhcp4.conf (the Kea administrator reference manual, "The DHCPv4 server"), in JSON. */

import { scriptUrl } from './dnsmasq.ts'
import type { Network, Site, SiteMachine } from './site.ts'

/** Runs by itself: `kea-dhcp4 -c FILE`. */
export function keaConfiguration(site: Site, network: Network): string {
  const { interface: card, subnet, prefixLength, range, router, dns, leaseSeconds } = network
  const option = (name: string, data: string) => ({ name, data })
  const configuration = {
    Dhcp4: {
      'interfaces-config': { interfaces: [card ?? '*'] },
      'valid-lifetime': leaseSeconds,
      'client-classes': classes(site, network),
      subnet4: [
        {
          id: 1,
          subnet: `${subnet}/${prefixLength}`,
          pools: [{ pool: range.join(' - ') }],
          'option-data': [
            ...(router === undefined ? [] : [option('routers', router)]),
            ...(dns.length === 0 ? [] : [option('domain-name-servers', dns.join(', '))]),
          ],
          reservations: site.machines.flatMap(reservation),
        },
      ],
    },
  }
  return `${JSON.stringify(configuration, null, 2)}\n`
}

function classes(site: Site, { server }: Network): readonly object[] {
  const { firmware, loaders } = site
  const isIpxe = "substring(option[77].hex,0,4) == 'iPXE'"
  const unless = loaders.includes('ipxe') ? ` and not (${isIpxe})` : ''
  const entry = (name: string, test: string, file: string | undefined) =>
    file === undefined ? [] : [{ name, test, 'next-server': server, 'boot-file-name': file }]
  return [
    ...(loaders.includes('ipxe') ? entry('diskless-ipxe', isIpxe, scriptUrl(site)) : []),
    ...entry('diskless-bios', `option[93].hex == 0x0000${unless}`, firmware.bios),
    ...entry('diskless-efi', `(option[93].hex == 0x0007 or option[93].hex == 0x0009)${unless}`, firmware.efi),
  ]
}

function reservation({ mac, hostname, address }: SiteMachine): readonly object[] {
  if (hostname === undefined && address === undefined) return []
  return [
    {
      'hw-address': mac,
      ...(address === undefined ? {} : { 'ip-address': address }),
      ...(hostname === undefined ? {} : { hostname }),
    },
  ]
}
