/** A part of ISC dhcpd's dhcpd.conf (dhcpd.conf(5)). */

import { scriptUrl } from './dnsmasq.ts'
import { hyphened, type Network, origin, type Site, type SiteMachine } from './site.ts'

export function iscConfiguration(site: Site, network: Network): string {
  const { server, subnet, mask, range, router, dns, leaseSeconds } = network
  return `# ${origin}
# For ISC's dhcpd: include "THIS FILE"; in dhcpd.conf. Files come by TFTP from ${server}.
option diskless-architecture code 93 = unsigned integer 16;

subnet ${subnet} netmask ${mask} {
  range ${range.join(' ')};
  default-lease-time ${leaseSeconds};
  max-lease-time ${leaseSeconds};
${router === undefined ? '' : `  option routers ${router};\n`}${dns.length === 0 ? '' : `  option domain-name-servers ${dns.join(', ')};\n`}  next-server ${server};
${choices(site)}}
${site.machines.map(host).join('')}`
}

function choices(site: Site): string {
  const { firmware, loaders } = site
  const number = (value: number) => `option diskless-architecture = 00:0${value}`
  const all = [
    ...(loaders.includes('ipxe')
      ? [{ when: 'exists user-class and option user-class = "iPXE"', file: scriptUrl(site) }]
      : []),
    ...(firmware.bios === undefined ? [] : [{ when: number(0), file: firmware.bios }]),
    ...(firmware.efi === undefined ? [] : [{ when: `${number(7)} or ${number(9)}`, file: firmware.efi }]),
  ]
  return all
    .map(
      ({ when, file }, at) =>
        `  ${at === 0 ? 'if' : '} elsif'} ${when} {\n    filename "${file}";\n${at === all.length - 1 ? '  }\n' : ''}`,
    )
    .join('')
}

function host({ mac, hostname, address }: SiteMachine): string {
  if (hostname === undefined && address === undefined) return ''
  const says = [
    `  hardware ethernet ${mac};`,
    ...(address === undefined ? [] : [`  fixed-address ${address};`]),
    ...(hostname === undefined ? [] : [`  option host-name "${hostname}";`]),
  ]
  return `host ${hostname ?? `diskless-${hyphened(mac)}`} {\n${says.join('\n')}\n}\n`
}
