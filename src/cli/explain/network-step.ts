/** The network phase and what hangs on it, the clock: which cards, which addresses, how long. */

import type { LinkConfiguration } from '../../boot/ip-parameter.ts'
import { parseIpv4 } from '../../boot/ipv4.ts'
import { mirrorsIn } from '../../boot/mirrors.ts'
import type { BootPlan, NetworkPlan } from '../../boot/plan.ts'
import { urlsOf } from '../../boot/root-plan.ts'
import type { Settings } from '../../boot/settings.ts'
import { sourceHosts } from '../../network/source-hosts.ts'
import { hostOf, redactUrl, schemeOf } from '../../network/url.ts'
import { type Ask, listed, reasonsFor, type Step, showSeconds } from './step.ts'

type Join = Extract<NetworkPlan, { kind: 'join' }>

export function networkSteps(plan: BootPlan, settings: Settings): readonly Step[] {
  const { network } = plan
  if (network.kind === 'none') {
    return [
      {
        phase: 'network',
        says: ['Leaves the network alone: nothing that this boot needs comes by it.'],
        because: reasonsFor(settings, settings.all('ip').length > 0 ? ['ip'] : []),
        after: [],
        asks: [],
      },
    ]
  }
  return [joinStep(plan, network, settings), clockStep(plan, network)]
}

function joinStep(plan: BootPlan, network: Join, settings: Settings): Step {
  const { ip, others, stacked, routes, nameservers, bootInterface } = network
  if (ip.kind === 'off' || ip.kind === 'refused') throw new Error('a plan joins by what configures a link')
  const hosts = sourceHosts(plan.root, plan.proxies)
  const names = hosts.map((host) =>
    host.kind === 'host' ? `${host.host}:${host.port}` : 'the server of the lease',
  )
  const alone = ip.device !== undefined || bootInterface !== undefined
  const says = [
    ...stacked.map((link) =>
      link.kind === 'vlan'
        ? `Makes the VLAN ${link.name}, number ${link.id}, on ${link.parent}.`
        : `Makes the bond ${link.name} of ${listed(link.members)}${link.options.length === 0 ? '' : ` (${link.options.map(([name, value]) => `${name}=${value}`).join(', ')})`}.`,
    ),
    `${cardsOf(network, ip)} ${wayOf(ip)}`,
    ...(alone || names.length === 0
      ? []
      : [
          `Of several cards the first counts through which ${listed([...new Set(names)])} takes a connection; the others go down.`,
        ]),
    ...others.map((other) => `Beside it ${other.device}: ${wayOf(other)}`),
    ...routes.map(
      (route) =>
        `Adds the route ${route.destination} by ${route.gateway}${route.device === undefined ? '' : ` on ${route.device}`}.`,
    ),
    ...(nameservers.length === 0
      ? []
      : [`Asks ${listed(nameservers)} for names, besides those of the lease.`]),
    ...(plan.report === undefined
      ? []
      : [
          `From then on posts what happens, failures and the timeline to ${redactUrl(plan.report)}; nothing waits for it.`,
        ]),
    `Waits up to ${showSeconds(network.carrierTimeoutMs)} for a carrier${ip.kind === 'static' ? '' : `, and up to ${showSeconds(network.dhcpTimeoutMs)} for an address`}; a card whose driver comes late joins in.`,
  ]
  const given = (
    ['bootdev', 'vlan', 'bond', 'rd.route', 'nameserver', 'http_proxy', 'https_proxy', 'no_proxy'] as const
  ).filter((name) => settings.all(name).length > 0)
  return {
    phase: 'network',
    says,
    because: reasonsFor(settings, [
      'ip',
      ...(ip.device === undefined ? (['BOOTIF'] as const) : []),
      ...given,
      ...(ip.kind === 'static' ? [] : (['diskless.dhcp_timeout'] as const)),
      'diskless.carrier_timeout',
    ]),
    after: ['machine'],
    asks: [
      ...asksOf(ip),
      ...resolversFor(plan),
      ...others.flatMap(asksOf),
      ...(plan.report === undefined
        ? []
        : [{ whom: redactUrl(plan.report), what: 'nothing: it is told of the boot' }]),
    ],
  }
}

function cardsOf({ bootInterface, stacked }: Join, ip: LinkConfiguration): string {
  if (ip.device !== undefined) return `Takes ${ip.device}:`
  if (bootInterface !== undefined) return `Takes the card ${bootInterface}, which the firmware booted from:`
  const top = stacked.filter(
    ({ name }) =>
      !stacked.some((other) =>
        other.kind === 'vlan' ? other.parent === name : other.members.includes(name),
      ),
  )
  return top.length > 0
    ? `Takes ${listed(top.map(({ name }) => name))}:`
    : 'On every card that has a carrier:'
}

const six = {
  auto6: 'does what IPv6 routers advertise, DHCPv6 included.',
  dhcp6: 'asks for a lease by DHCPv6.',
  either6: 'does what IPv6 routers advertise, and asks by DHCPv6 where none does.',
} as const

function wayOf(ip: LinkConfiguration): string {
  const dns = ip.dns.length === 0 ? '' : `, with DNS by ${listed(ip.dns)}`
  switch (ip.kind) {
    case 'dynamic':
      return `asks for a lease by DHCP${ip.hostname === undefined ? '' : `, as ${ip.hostname}`}${dns}; where nobody gives one for 40 s, IPv6 alone will do.`
    case 'dynamic6':
      return six[ip.method]
    case 'static':
      return `sets ${ip.address}/${ip.prefixLength}${ip.gateway === undefined ? ', with no gateway' : `, by the gateway ${ip.gateway}`}${dns}; nobody is asked.`
  }
}

function asksOf(ip: LinkConfiguration): readonly Ask[] {
  switch (ip.kind) {
    case 'dynamic':
      return [{ whom: 'DHCP servers', what: 'an address, resolvers, routes, time servers' }]
    case 'dynamic6':
      return [
        ...(ip.method === 'dhcp6' ? [] : [{ whom: 'IPv6 routers', what: 'prefixes, resolvers' }]),
        { whom: 'DHCPv6 servers', what: 'an address or resolvers, as routers say' },
      ]
    case 'static':
      return []
  }
}

/** Names of servers, which somebody has to know. */
function resolversFor({ root, report, network }: BootPlan): readonly Ask[] {
  const urls = [...urlsOf(root), ...(report === undefined ? [] : [report])].flatMap(mirrorsIn)
  const shares = [
    root.kind === 'nfs' ? root.share : undefined,
    root.kind === 'image' && root.image.kind === 'nfs' ? root.image.share : undefined,
    root.kind === 'ram' && root.medium?.kind === 'nfs' ? root.medium.share : undefined,
  ]
  const hosts = [
    ...urls.flatMap((url) => hostOf(url) ?? []),
    ...shares.flatMap((share) => (typeof share === 'object' ? (share.server ?? []) : [])),
  ]
  const names = [...new Set(hosts)].filter((host) => parseIpv4(host) === undefined && !host.includes(':'))
  if (names.length === 0) return []
  const whom =
    network.kind === 'join' && network.ip.kind === 'static'
      ? 'resolvers of ip= and nameserver='
      : 'resolvers of the lease'
  return [{ whom, what: `the ${names.length === 1 ? 'address' : 'addresses'} of ${listed(names)}` }]
}

function clockStep({ machine, root }: BootPlan, network: Join): Step {
  const secure = urlsOf(root).some((url) => schemeOf(url) === 'https')
  const asksNobody = network.ip.kind === 'static' && network.ip.ntp === undefined
  const known =
    machine.clock === undefined
      ? 'the day of the initrd'
      : new Date(machine.clock.builtAt).toISOString().slice(0, 10)
  return {
    phase: 'clock',
    says: [
      asksNobody
        ? 'Leaves the clock as it runs.'
        : 'Sets the clock by the time servers that the lease names, where it names any.',
      `One that is before ${known} (an empty battery) is set by the date that the boot’s own servers tell, where no time server does.`,
      secure
        ? 'Certificates are judged after that.'
        : 'Nothing waits for it, as no certificate has to be judged, unless the clock stands.',
    ],
    because: [],
    after: ['network'],
    asks: asksNobody ? [] : [{ whom: 'NTP servers of the lease', what: 'the time' }],
  }
}
