/** Every file that is a text made of the site, by its path in the directory. Pure. */

import { commandLines } from './command-lines.ts'
import { dnsmasqProxy, dnsmasqServer } from './dnsmasq.ts'
import { nfsExports } from './exports.ts'
import { grubFiles } from './grub.ts'
import { ipxeFiles } from './ipxe.ts'
import { iscConfiguration } from './isc.ts'
import { keaConfiguration } from './kea.ts'
import { nginxConfiguration } from './nginx.ts'
import { pxelinuxFiles } from './pxelinux.ts'
import type { Site } from './site.ts'

/** Throws a `CommandError` where a loader cannot say what it is to say. */
export function textsOf(site: Site): ReadonlyMap<string, string> {
  const { loaders } = site
  return new Map([
    ...serverFiles(site),
    ...(loaders.includes('pxelinux') ? pxelinuxFiles(site) : []),
    ...(loaders.includes('grub') ? grubFiles(site) : []),
    ...(loaders.includes('ipxe') ? ipxeFiles(site) : []),
  ])
}

/** For the person who runs the servers. */
function serverFiles(site: Site): ReadonlyMap<string, string> {
  const { network } = site
  return new Map([
    ['servers/nginx.conf', nginxConfiguration(site)],
    ['servers/exports', nfsExports(site)],
    ...commandLines(site),
    // Without the network's addresses they would be of use to nobody.
    ...(network === undefined
      ? []
      : ([
          ['servers/dnsmasq.conf', dnsmasqServer(site, network)],
          ['servers/dnsmasq-proxy.conf', dnsmasqProxy(site, network)],
          ['servers/dhcpd.conf', iscConfiguration(site, network)],
          ['servers/kea-dhcp4.json', keaConfiguration(site, network)],
        ] as const)),
  ])
}
