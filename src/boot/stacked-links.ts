/**
 * Links on top of network cards: `vlan=` and `bond=` in dracut's words (dracut.cmdline(7)). Pure.
 *
 *     vlan=vlan0005:eth0   vlan=vlan5:eth0   vlan=eth0.0005:eth0   vlan=eth0.5[:eth0]
 *     bond=bond0:eth0,eth1:mode=active-backup,miimon=100[:MTU]
 */

import { isLinkName } from './ipv4.ts'

export type StackedLink = VlanLink | BondLink

export interface VlanLink {
  readonly kind: 'vlan'
  readonly name: string
  /** A card, or another stacked link, which stands before this one. */
  readonly parent: string
  /** 1 to 4094. */
  readonly id: number
}

export interface BondLink {
  readonly kind: 'bond'
  readonly name: string
  /** In their order: the bond has the hardware address of the first. */
  readonly members: readonly string[]
  /** By the names of bonding.rst of the kernel, in an order in which the driver takes them. */
  readonly options: readonly (readonly [name: string, value: string])[]
  readonly mtu: number | undefined
}

export type StackedLinks =
  /** Whatever another one lies on stands before it. */
  | { readonly kind: 'links'; readonly links: readonly StackedLink[] }
  /** For a person: which parameter, and why not. */
  | { readonly kind: 'refused'; readonly reason: string }

/** By number, as the driver counts them. */
const MODES = [
  ...['balance-rr', 'active-backup', 'balance-xor', 'broadcast', '802.3ad', 'balance-tlb', 'balance-alb'],
]

/** `mode` and the link monitor come first: the others are refused without them, or reset by them. */
const OPTIONS = [
  ...['mode', 'miimon', 'arp_interval', 'updelay', 'downdelay', 'use_carrier', 'arp_ip_target'],
  ...['arp_validate', 'arp_all_targets', 'arp_missed_max', 'fail_over_mac', 'lacp_active', 'lacp_rate'],
  ...['ad_select', 'ad_actor_sys_prio', 'ad_actor_system', 'ad_user_port_key', 'xmit_hash_policy'],
  ...['all_slaves_active', 'lp_interval', 'min_links', 'num_grat_arp', 'num_unsol_na', 'packets_per_slave'],
  ...['peer_notif_delay', 'primary', 'primary_reselect', 'resend_igmp', 'tlb_dynamic_lb'],
]

/** dracut's, where bond= says no more than that there is to be one. */
const USUAL_BOND = 'bond0:eth0,eth1:mode=balance-rr'

/** Milliseconds between looks at a member's carrier. The driver's own default is never: a dead cable would go unseen. */
const MIIMON = '100'

/** What all `vlan=` and `bond=` of a command line ask for. */
export function parseStackedLinks(vlans: readonly string[], bonds: readonly string[]): StackedLinks {
  const parsed = [
    ...bonds.map((text) => parseBond(text === 'yes' || text === '' ? USUAL_BOND : text)),
    ...vlans.map(parseVlan),
  ]
  const reason = parsed.find((each) => typeof each === 'string')
  if (reason !== undefined) return { kind: 'refused', reason }
  return inOrder(parsed.filter((each) => typeof each !== 'string'))
}

/** The names of the links that a stacked one lies on. */
export function beneath(link: StackedLink): readonly string[] {
  return link.kind === 'vlan' ? [link.parent] : link.members
}

/** The stacked links on which no other lies: what a lease is asked for on. */
export function topmost(links: readonly StackedLink[]): readonly StackedLink[] {
  const covered = new Set(links.flatMap(beneath))
  return links.filter(({ name }) => !covered.has(name))
}

/** A text is the reason of a refusal. */
function parseVlan(text: string): VlanLink | string {
  const [name = '', given, more] = text.split(':')
  const refused = (why: string) => `vlan=${text}: ${why}`
  const [, device, number] = /^(?:vlan|(.+)\.)(\d+)$/.exec(name) ?? []
  const parent = given || device
  if (number === undefined || more !== undefined) {
    return refused('it is none of vlan5:eth0, vlan0005:eth0, eth0.5:eth0 and eth0.0005:eth0')
  }
  if (parent === undefined) return refused('it does not say on which card: vlan5:eth0')
  for (const each of [name, parent]) {
    if (!isLinkName(each)) return refused(`'${each}' is no name of a link (15 characters at most)`)
  }
  const id = Number(number)
  if (id < 1 || id > 4094) return refused(`${number} is no VLAN: their numbers are 1 to 4094`)
  return { kind: 'vlan', name, parent, id }
}

function parseBond(text: string): BondLink | string {
  const refused = (why: string) => `bond=${text}: ${why}`
  // dracut's options may hold IPv6 addresses (ns_ip6_target), which nobody needs here: the colons are four at most.
  const fields = text.split(':')
  const [name = '', list = '', words = '', size = ''] = fields
  if (fields.length > 4) return refused('it has more fields than NAME:MEMBERS:OPTIONS:MTU')
  const members = (list || 'eth0,eth1').split(',').filter((each) => each !== '')
  for (const each of [name, ...members]) {
    if (!isLinkName(each)) return refused(`'${each}' is no name of a link`)
  }
  if (new Set(members).size < members.length) return refused('it names a member twice')
  if (size !== '' && !/^\d{2,5}$/.test(size)) return refused(`'${size}' is no MTU`)
  const options = parseOptions(words, members)
  if (typeof options === 'string') return refused(options)
  return { kind: 'bond', name, members, options, mtu: size === '' ? undefined : Number(size) }
}

function parseOptions(words: string, members: readonly string[]): BondLink['options'] | string {
  const given = new Map<string, string>()
  for (const word of words.split(',').filter((each) => each !== '')) {
    const [, name = '', value] = /^([a-z0-9_]+)=([\w.+;-]+)$/.exec(word) ?? []
    if (value === undefined) return `'${word}' is no option (NAME=VALUE)`
    if (!OPTIONS.includes(name)) return `'${name}' is no option that can be set: ${OPTIONS.join(', ')}`
    given.set(name, value)
  }
  const mode = given.get('mode') ?? 'balance-rr'
  const known = MODES[Number(mode)] ?? mode
  if (!MODES.includes(known)) return `the mode '${mode}' is unknown: ${MODES.join(', ')}`
  const primary = given.get('primary')
  if (primary !== undefined && !members.includes(primary)) return `its primary ${primary} is no member`
  given.set('mode', known)
  const watched = Number(given.get('miimon') ?? 0) > 0 || Number(given.get('arp_interval') ?? 0) > 0
  if (!watched) given.set('miimon', MIIMON)
  return OPTIONS.flatMap((name) => {
    const value = given.get(name)
    return value === undefined ? [] : [[name, value] as const]
  })
}

function inOrder(links: readonly StackedLink[]): StackedLinks {
  const names = new Map<string, StackedLink>()
  const members = new Map<string, string>()
  for (const link of links) {
    if (names.has(link.name)) return { kind: 'refused', reason: `${link.name} is to be made twice` }
    names.set(link.name, link)
    for (const member of link.kind === 'bond' ? link.members : []) {
      const other = members.get(member)
      if (other !== undefined) {
        return { kind: 'refused', reason: `${member} cannot be a member of ${other} and of ${link.name}` }
      }
      members.set(member, link.name)
    }
  }
  const placed = new Set<StackedLink>()
  while (placed.size < links.length) {
    const ready = links.filter((link) => {
      const below = beneath(link).flatMap((name) => names.get(name) ?? [])
      return !placed.has(link) && below.every((each) => placed.has(each))
    })
    if (ready.length === 0) {
      const rest = links.filter((link) => !placed.has(link)).map(({ name }) => name)
      return { kind: 'refused', reason: `${rest.join(' and ')} would lie on themselves` }
    }
    for (const link of ready) placed.add(link)
  }
  return { kind: 'links', links: [...placed] }
}
