/** interfaces(5) for the new system: what the boot did, in the words of Alpine's setup-interfaces. Pure. */

import { formatIpv4, maskOf } from '../boot/ipv4.ts'
import type { LeasePlan } from '../boot/lease-plan.ts'
import type { StackedLink } from '../boot/stacked-links.ts'
import type { AddressSource, NetworkUp } from './network-up.ts'

/**
 * /etc/network/interfaces: loopback, what `vlan=` and `bond=` made, and each link of `ip=`, in this order. With a lease that
 * is handed over, udhcpc asks for the very address: the server knows our client identifier, but may have forgotten it.
 */
export function formatInterfaces(up: NetworkUp, lease: LeasePlan = 'keep'): string {
  const links = [...up.others, up]
  const configured = new Set(links.map(({ link }) => link))
  const beneath = up.stacked
    .filter(({ name }) => !configured.has(name))
    .map((link) => stanza(link.name, 'inet manual', [...optionsOf(link), ...upAndDown]))
  const stanzas = links.map((each) => {
    const stacked = up.stacked.filter(({ name }) => name === each.link).flatMap(optionsOf)
    const { family, lines } = addressing(each)
    const same = lease === 'handoff' && each.source.kind === 'lease' ? [`udhcpc_opts -r ${each.address}`] : []
    return stanza(each.link, family, [...stacked, ...lines, ...same])
  })
  return [stanza('lo', 'inet loopback', []), ...beneath, ...stanzas].join('\n')
}

const upAndDown = ['up ip link set $IFACE up', 'down ip link set $IFACE down']

function stanza(link: string, family: string, lines: readonly string[]): string {
  return [`auto ${link}`, `iface ${link} ${family}`, ...lines.map((line) => `\t${line}`), ''].join('\n')
}

/** As ifupdown-ng and the packages bonding and vlan for busybox’ ifup read them. */
function optionsOf(link: StackedLink): readonly string[] {
  if (link.kind === 'vlan') return [`vlan-raw-device ${link.parent}`, `vlan-id ${link.id}`]
  const options = link.options.map(
    ([name, value]) => `bond-${name.replaceAll('_', '-')} ${value.replaceAll(';', ' ')}`,
  )
  const mtu = link.mtu === undefined ? [] : [`mtu ${link.mtu}`]
  return [`bond-slaves ${link.members.join(' ')}`, ...options, ...mtu]
}

function addressing(up: NetworkUp): { readonly family: string; readonly lines: readonly string[] } {
  const { address, prefixLength, routes, source } = up
  const family = address.includes(':') ? 'inet6' : 'inet'
  const method = methodOf(source)
  if (method === 'manual') return { family: `${family} manual`, lines: upAndDown }
  if (method !== 'static') return { family: `${family} ${method}`, lines: [] }
  const [route] = routes.filter(({ destination }) => destination.endsWith('/0'))
  // A gateway off the net is refused where it is only named.
  const gateway =
    route?.gateway === undefined
      ? []
      : route.onlink
        ? [`up ip route add default via ${route.gateway} dev $IFACE onlink`]
        : [`gateway ${route.gateway}`]
  const netmask = family === 'inet' ? formatIpv4(maskOf(prefixLength)) : String(prefixLength)
  return { family: `${family} static`, lines: [`address ${address}`, `netmask ${netmask}`, ...gateway] }
}

/**
 * `manual` for IPv6 that routers or DHCPv6 configure: the kernel goes on by itself as soon as the link is up. Busybox' ifup
 * refuses a file with `inet6 auto` or `inet6 dhcp` in it, and ifupdown-ng takes the latter for DHCP over IPv4.
 */
function methodOf(source: AddressSource): 'dhcp' | 'manual' | 'static' {
  switch (source.kind) {
    case 'lease':
      return 'dhcp'
    case 'static':
      return 'static'
    case 'ipv6':
      return 'manual'
  }
}
