/** dnsmasq's configuration (dnsmasq(8)): DHCP, TFTP and, where asked for, DNS. */

import { bridge } from './namespace.ts'

export interface DhcpOptions {
  /** Option 17, as it is sent: `10.77.0.1:/root,ro` or only a path. */
  readonly rootPath?: string
  /** The header's siaddr, in place of the lab's own address. */
  readonly nextServer?: string
  /** The header's file: what a network card's firmware fetches over TFTP. */
  readonly bootFile?: string
  /** By number or by `option:NAME` (dnsmasq --help dhcp): `{ 'option:domain-name': 'lab', 43: '…' }`. */
  readonly options?: Readonly<Record<string, string>>
}

/** What its router advertises (`mode` of dhcp-range in dnsmasq(8)), with the lab itself as DNS server. */
export interface Ipv6Options {
  /** `slaac`: a prefix and nothing else. `stateless`: the rest by DHCPv6. `stateful`: addresses by DHCPv6 alone. `both`: either way. */
  readonly mode: 'slaac' | 'stateless' | 'stateful' | 'both'
  /** DHCPv6 alone tells of the DNS server, and no advertisement. */
  readonly quietRouter?: boolean
  /** Of an address by DHCPv6, 120 at least. Default an hour. */
  readonly leaseSeconds?: number
  /** By `option6:NAME` or `option6:NUMBER`. */
  readonly options?: Readonly<Record<string, string>>
}

export interface DnsmasqOptions {
  /** The lab's own, and what is advertised. */
  readonly ipv6: (Ipv6Options & { readonly address: string; readonly prefix: string }) | undefined
  readonly address: string
  /** The network's first three numbers. */
  readonly network: string
  readonly directory: string
  readonly dhcp: DhcpOptions | false
  /** Whether the lab itself is the leases' time server. */
  readonly ntp: boolean
  /** A directory. */
  readonly tftp: string | undefined
  /** Addresses by name; undefined: no DNS. */
  readonly dns: Readonly<Record<string, string>> | undefined
}

export function dnsmasqConfiguration(options: DnsmasqOptions): string {
  const { address, dhcp, directory, dns, ipv6, network, ntp, tftp } = options
  const lines = [
    `interface=${bridge}`,
    'bind-interfaces',
    'user=root',
    'no-resolv',
    'no-hosts',
    'log-facility=-',
    `pid-file=${directory}/dnsmasq.pid`,
    ...(dns === undefined ? ['port=0'] : ['port=53', 'log-queries']),
    ...Object.entries(dns ?? {}).map(([name, to]) => `address=/${name}/${to}`),
    ...(tftp === undefined ? [] : ['enable-tftp', `tftp-root=${tftp}`]),
  ]
  if (dhcp !== false) lines.push(...dhcpLines(dhcp, address, network))
  if (dhcp !== false && ntp) lines.push(`dhcp-option=option:ntp-server,${address}`)
  if (ipv6 !== undefined) lines.push(...ipv6Lines(ipv6))
  if (ipv6 !== undefined && ntp) lines.push(`dhcp-option=option6:ntp-server,[${ipv6.address}]`)
  if (dhcp !== false || ipv6 !== undefined) lines.push(`dhcp-leasefile=${directory}/leases`, 'log-dhcp')
  return `${lines.join('\n')}\n`
}

function ipv6Lines(ipv6: NonNullable<DnsmasqOptions['ipv6']>): string[] {
  const { mode, options = {}, quietRouter = false, leaseSeconds = 3600, address, prefix } = ipv6
  const ranges = {
    slaac: `${prefix},ra-only`,
    stateless: `${prefix},ra-stateless`,
    stateful: `${prefix}100,${prefix}1ff,64,${leaseSeconds}`,
    both: `${prefix}100,${prefix}1ff,slaac,64,${leaseSeconds}`,
  }
  return [
    'enable-ra',
    `dhcp-range=${ranges[mode]}`,
    ...(quietRouter
      ? // What has a tag is told to whom the tag fits, here whoever asks for anything (option 6), and never advertised.
        [
          'dhcp-match=set:asks,option6:6',
          'dhcp-option=option6:dns-server',
          `dhcp-option=tag:asks,option6:dns-server,[${address}]`,
        ]
      : [`dhcp-option=option6:dns-server,[${address}]`]),
    ...Object.entries(options).map(([name, value]) => `dhcp-option=${name},${value}`),
  ]
}

function dhcpLines(dhcp: DhcpOptions, address: string, network: string): string[] {
  const { bootFile = '', nextServer, options = {}, rootPath } = dhcp
  const boot = nextServer === undefined ? bootFile : `${bootFile},,${nextServer}`
  return [
    `dhcp-range=${network}.50,${network}.199,255.255.255.0,1h`,
    `dhcp-option=option:router,${address}`,
    ...(rootPath === undefined ? [] : [`dhcp-option=option:root-path,"${rootPath}"`]),
    ...Object.entries(options).map(([name, value]) => `dhcp-option=${name},${value}`),
    ...(boot === '' ? [] : [`dhcp-boot=${boot}`]),
    'dhcp-authoritative',
    // The header's fields stay what they are: some clients read no options there.
    'dhcp-no-override',
    'no-ping',
  ]
}
