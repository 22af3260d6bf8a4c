/** dnsmasq's configuration (dnsmasq(8)): as the DHCP server of a network, and beside one (proxy DHCP, of the PXE specification). */

import { type Network, origin, type Site, type SiteMachine } from './site.ts'

/** What firmware says of itself: RFC 4578, 2.1, and its errata; 7 and 9 are both in use for x86-64. */
const architectures = { bios: [0], efi: [7, 9] } as const

/** What iPXE is told, other than firmware: it fetches by HTTP where there is some. */
export function scriptUrl({ url }: Site): string {
  return url === undefined ? 'boot.ipxe' : `${url}boot.ipxe`
}

/** A whole configuration: `dnsmasq --keep-in-foreground --conf-file=FILE`. */
export function dnsmasqServer(site: Site, network: Network): string {
  const { range, mask, router, dns, leaseSeconds } = network
  return lines([
    `# ${origin}`,
    '# dnsmasq as the DHCP server of the network. To run it: dnsmasq --keep-in-foreground --conf-file=THIS FILE',
    ...common(site, network),
    `dhcp-range=${range.join(',')},${mask},${leaseSeconds}`,
    router === undefined
      ? '# No router: machines reach this network alone.\ndhcp-option=option:router'
      : `dhcp-option=option:router,${router}`,
    dns.length === 0 ? 'dhcp-option=option:dns-server' : `dhcp-option=option:dns-server,${dns.join(',')}`,
    '# The only server here: a client with an address of another network is corrected at once.',
    'dhcp-authoritative',
    '# The boot file is in the header, where every firmware looks.',
    'dhcp-no-override',
    ...site.machines.flatMap(hostLine),
    ...classes,
    ...bootLines(site, network),
  ])
}

/** The same: the other server gives addresses, this one says what is booted. */
export function dnsmasqProxy(site: Site, network: Network): string {
  const { firmware, loaders } = site
  const ipxe = loaders.includes('ipxe')
  const service = (type: string, file: string | undefined) =>
    file === undefined
      ? []
      : [`pxe-service=${ipxe ? 'tag:!ipxe,' : ''}${type},"diskless",${file},${network.server}`]
  return lines([
    `# ${origin}`,
    '# dnsmasq beside a DHCP server that stays as it is (proxy DHCP): that one gives addresses, this one says what is booted.',
    '# To run it: dnsmasq --keep-in-foreground --conf-file=THIS FILE',
    ...common(site, network),
    `dhcp-range=${network.subnet},proxy,${network.mask}`,
    ...classes,
    '# Firmware asks port 4011 for one of these; dnsmasq takes the only one that fits without a menu.',
    ...service('x86PC', firmware.bios),
    ...service('BC_EFI', firmware.efi),
    ...service('X86-64_EFI', firmware.efi),
    ...(ipxe
      ? [
          '# iPXE takes the boot file of the proxy’s offer.',
          `dhcp-boot=tag:ipxe,${scriptUrl(site)},,${network.server}`,
        ]
      : []),
  ])
}

function common({ directory }: Site, { interface: card }: Network): readonly string[] {
  return [
    '# No DNS.',
    'port=0',
    ...(card === undefined ? [] : [`interface=${card}`, 'bind-dynamic']),
    'enable-tftp',
    `tftp-root=${directory}`,
    'log-dhcp',
  ]
}

/** iPXE says so in option 77, and in 175 what it can. */
const classes = [
  'dhcp-userclass=set:ipxe,iPXE',
  'dhcp-match=set:ipxe,175',
  ...Object.entries(architectures).flatMap(([tag, numbers]) =>
    numbers.map((number) => `dhcp-match=set:${tag},option:client-arch,${number}`),
  ),
]

function bootLines(site: Site, { server }: Network): readonly string[] {
  const { firmware, loaders } = site
  const ipxe = loaders.includes('ipxe')
  // A client that has iPXE in its card gets another loader all the same where iPXE's script is not published.
  const boot = (tag: string, file: string | undefined) =>
    file === undefined ? [] : [`dhcp-boot=${ipxe ? 'tag:!ipxe,' : ''}tag:${tag},${file},,${server}`]
  return [
    ...(ipxe ? [`dhcp-boot=tag:ipxe,${scriptUrl(site)},,${server}`] : []),
    ...boot('bios', firmware.bios),
    ...boot('efi', firmware.efi),
  ]
}

function hostLine({ mac, hostname, address }: SiteMachine): readonly string[] {
  if (hostname === undefined && address === undefined) return []
  return [`dhcp-host=${[mac, address, hostname].filter((each) => each !== undefined).join(',')}`]
}

function lines(all: readonly string[]): string {
  return `${all.join('\n')}\n`
}
