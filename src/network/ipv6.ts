/**
 * IPv6 on a link: SLAAC, DHCPv6, or whichever of them the routers ask for.
 *
 * The kernel does SLAAC (RFC 4862): it makes the addresses and routes, and goes on renewing them after the hand-over. Init
 * reads the same advertisements for what the kernel does not do: DNS (RFC 8106), and whether DHCPv6 is to be asked.
 */

import type { Ipv6Method } from '../boot/ip-parameter.ts'
import type { IpAddress, Link, Sys } from '../sys/index.ts'
import { hasCode } from '../sys/index.ts'
import type { DhcpEvents } from './dhcp-exchange.ts'
import type { Dhcp6Config } from './dhcp6.ts'
import { type Dhcp6Outcome, runDhcp6 } from './dhcp6-client.ts'
import { clientIdOf, type Dhcp6Information, iaidOf, type Lease6 } from './dhcp6-lease.ts'
import { aborted, isUsable, untilAddress } from './ipv6-address.ts'
import { makesAddress, type RouterAdvertisement } from './router-advertisement.ts'
import { openRouters, type Routers } from './router-discovery.ts'

export interface Ipv6Config {
  readonly link: Link
  readonly method: Ipv6Method
  /** SMBIOS UUID. */
  readonly uuid?: string | undefined
  readonly hostname?: string | undefined
  /** Milliseconds until it gives up. */
  readonly totalMs: number
}

export interface Ipv6Configuration {
  /** On the link, and usable. */
  readonly address: IpAddress
  readonly prefixLength: number
  /** Present where DHCPv6 gave the address. */
  readonly lease: Lease6 | undefined
  /** What a stateless DHCPv6 server said. */
  readonly information: Dhcp6Information | undefined
  readonly routers: readonly RouterAdvertisement[]
}

export type Ipv6Outcome =
  | { readonly kind: 'configured'; readonly configuration: Ipv6Configuration }
  /** For a person: `no router advertises itself: 8 solicitations in 30 s`. */
  | { readonly kind: 'failed6'; readonly reason: string; readonly advice: readonly string[] }

/** `either6`: how long a router has to speak before DHCPv6 is asked all the same. */
const EITHER_MS = 10_000
/** What a router says there is by DHCPv6 is waited for as long, where there is an address without it. */
const EXTRA_MS = 10_000
/** After a lease, until a router speaks: RFC 4861 lets it wait for half a second, and more between two answers. */
const ROUTER_MS = 4000

type Ipv6Sys = Pick<Sys, 'network' | 'clock'>

/**
 * Configures a link that has a carrier. Rejects with ABORTED when the signal fires; an address by DHCPv6 is given back
 * then.
 */
export async function configureIpv6(
  sys: Ipv6Sys,
  config: Ipv6Config,
  events: DhcpEvents,
  signal: AbortSignal,
): Promise<Ipv6Outcome> {
  const deadline = sys.clock.now() + config.totalMs
  const { name } = config.link
  const routers = await openRouters(sys, name, events).catch((error: unknown) => {
    if (hasCode(error, 'EAFNOSUPPORT')) return undefined
    throw error
  })
  if (routers === undefined) {
    return failed('this kernel has no IPv6', [
      'Is it switched off (ipv6.disable=1 on the kernel command line), or its module not in the initrd?',
    ])
  }
  try {
    const own = await linkLocal(sys, name, deadline, signal)
    if (own !== 'usable') return own
    const run = new Run(sys, config, events, signal, routers, deadline)
    switch (config.method) {
      case 'auto6':
        return await run.automatic()
      case 'dhcp6':
        return await run.leased()
      case 'either6':
        return await run.either()
    }
  } finally {
    await routers.close()
  }
}

/** Nothing can be sent before that. */
async function linkLocal(
  sys: Ipv6Sys,
  link: string,
  deadline: number,
  signal: AbortSignal,
): Promise<'usable' | Extract<Ipv6Outcome, { kind: 'failed6' }>> {
  const own = await untilAddress(
    sys,
    link,
    deadline,
    (all) => all.find(({ scope, state }) => scope === 'link' && state !== 'tentative'),
    signal,
  )
  if (own === undefined) {
    return failed('it has no link-local address', [
      'Is IPv6 switched off? Look for ipv6.disable or ipv6.disable_ipv6 on the kernel command line.',
    ])
  }
  if (own.state !== 'duplicate') return 'usable'
  return failed(`another machine has its link-local address ${own.address}`, [
    'Two cards of one network have the same hardware address: of two virtual machines, give one another.',
  ])
}

class Run {
  readonly #sys: Ipv6Sys
  readonly #config: Ipv6Config
  readonly #events: DhcpEvents
  readonly #signal: AbortSignal
  readonly #routers: Routers
  readonly #deadline: number

  constructor(
    sys: Ipv6Sys,
    config: Ipv6Config,
    events: DhcpEvents,
    signal: AbortSignal,
    routers: Routers,
    deadline: number,
  ) {
    this.#sys = sys
    this.#config = config
    this.#events = events
    this.#signal = signal
    this.#routers = routers
    this.#deadline = deadline
  }

  /** What a router asks for; until one does that leads to an address. */
  async automatic(deadline = this.#deadline): Promise<Ipv6Outcome> {
    const said = await this.#routers.until(deadline, promising, this.#signal)
    if (said !== undefined) return this.#follow(said)
    const { solicited, heard } = this.#routers
    const [silent] = heard.keys()
    if (silent !== undefined) {
      return failed(`the router ${silent} advertises neither a prefix for addresses nor DHCPv6`, [
        'Let the router advertise a /64 with the autonomous flag, or set its managed flag and run a DHCPv6 server.',
      ])
    }
    return failed(`no router advertises itself: ${solicited} solicitations in ${this.#elapsed()}`, [
      'Check that a router sends advertisements on this network (radvd, dnsmasq --enable-ra).',
      'Without one: ip=dhcp6, or an address: ip=[fd00::2]:::64::eth0:none',
    ])
  }

  /** DHCPv6 whatever routers say, which is heard all the same: they know the way out and the DNS servers. */
  async leased(): Promise<Ipv6Outcome> {
    const outcome = await this.#dhcp(true, this.#deadline)
    if (outcome.kind !== 'bound') return this.#noLease(outcome)
    const until = this.#sys.clock.now() + ROUTER_MS
    const anyone = await this.#routers.until(
      until,
      (heard) => (heard.size > 0 ? true : undefined),
      this.#signal,
    )
    if (anyone === undefined) {
      const { name } = this.#config.link
      this.#events.onNotice(`${name}: no router advertises itself: only this network can be reached`)
    }
    return this.#configured(outcome.lease.address, 128, { lease: outcome.lease })
  }

  async either(): Promise<Ipv6Outcome> {
    const soon = Math.min(this.#deadline, this.#sys.clock.now() + EITHER_MS)
    const said = await this.#routers.until(soon, promising, this.#signal)
    if (said !== undefined) return this.#follow(said)
    const { name } = this.#config.link
    this.#events.onNotice(`${name}: no router speaks of addresses: DHCPv6 is asked, too`)
    return this.#race()
  }

  /** A lease, or a router that speaks up late: whichever comes first. */
  async #race(): Promise<Ipv6Outcome> {
    const lost = new AbortController()
    const stop = () => lost.abort()
    this.#signal.addEventListener('abort', stop, { once: true })
    if (this.#signal.aborted) stop()
    const leased = this.#dhcp(true, this.#deadline, lost.signal)
    const heard = this.#routers.until(this.#deadline, promising, lost.signal)
    // Whichever loses is stopped, and its word not asked for.
    leased.catch(() => {})
    heard.catch(() => {})
    type First = Dhcp6Outcome | RouterAdvertisement
    try {
      const first = await Promise.race<First>([
        leased.then(async (outcome) => (outcome.kind === 'bound' ? outcome : ((await heard) ?? outcome))),
        heard.then((said): First | Promise<First> => said ?? leased),
      ])
      // A lease of this very moment is as good.
      stop()
      const outcome = 'kind' in first ? first : await leased.catch(() => undefined)
      if (outcome?.kind === 'bound') {
        return this.#configured(outcome.lease.address, 128, { lease: outcome.lease })
      }
      return 'kind' in first ? this.#noLease(first) : await this.#follow(first)
    } finally {
      stop()
      await Promise.allSettled([leased, heard])
      this.#signal.removeEventListener('abort', stop)
    }
  }

  async #follow(said: RouterAdvertisement): Promise<Ipv6Outcome> {
    const { name } = this.#config.link
    const makes = said.prefixes.some(makesAddress)
    const soon = Math.min(this.#deadline, this.#sys.clock.now() + EXTRA_MS)
    const asks = said.managed || said.other
    const outcome = asks ? await this.#dhcp(said.managed, makes ? soon : this.#deadline) : undefined
    if (outcome?.kind === 'bound') {
      return this.#configured(outcome.lease.address, 128, { lease: outcome.lease })
    }
    if (!makes && outcome !== undefined) return this.#noLease(outcome)
    if (outcome?.kind === 'failed') {
      const what = said.managed ? 'an address' : 'more to know'
      this.#events.onNotice(
        `${name}: the router ${said.router} says that DHCPv6 has ${what}, but no server gave it`,
      )
    }
    const made = await untilAddress(
      this.#sys,
      name,
      this.#deadline,
      (all) => all.find((each) => isUsable(each) && each.advertised),
      this.#signal,
    )
    if (made === undefined) {
      const prefixes = said.prefixes.map(({ prefix, prefixLength }) => `${prefix}/${prefixLength}`).join(', ')
      return failed(`the kernel made no usable address of what ${said.router} advertises (${prefixes})`, [
        'Either another machine has that address (the kernel’s log tells), or the lifetimes advertised are over.',
      ])
    }
    const information = outcome?.kind === 'informed' ? outcome.information : undefined
    return this.#configured(made.address, made.prefixLength, { information })
  }

  #configured(
    address: IpAddress,
    prefixLength: number,
    { lease, information }: { readonly lease?: Lease6; readonly information?: Dhcp6Information | undefined },
  ): Ipv6Outcome {
    if (this.#signal.aborted) throw aborted(this.#config.link.name)
    const routers = [...this.#routers.heard.values()]
    return { kind: 'configured', configuration: { address, prefixLength, lease, information, routers } }
  }

  #dhcp(stateful: boolean, deadline: number, signal: AbortSignal = this.#signal): Promise<Dhcp6Outcome> {
    const { link, uuid, hostname } = this.#config
    const config: Dhcp6Config = {
      link: link.name,
      clientId: clientIdOf(uuid, link.mac),
      iaid: iaidOf(link.mac),
      stateful,
      totalMs: Math.max(0, deadline - this.#sys.clock.now()),
      ...(hostname === undefined ? {} : { hostname }),
    }
    return runDhcp6(this.#sys, config, this.#events, signal)
  }

  #noLease(outcome: Dhcp6Outcome): Ipv6Outcome {
    if (outcome.kind !== 'failed') return failed('DHCPv6 gave no address', [])
    const { asked, lastProblem } = outcome.tally
    const words = `${asked} solicits in ${Math.round(outcome.elapsedMs / 1000)} s`
    if (lastProblem === undefined) {
      return failed(`no DHCPv6 answer: ${words}`, [
        'Check that a DHCPv6 server (or a relay) runs on this network. Without one: ip=auto6',
      ])
    }
    return failed(`no DHCPv6 lease: ${words}, the last problem: ${lastProblem}`, [
      'Look at the DHCPv6 server’s log: it knows this machine and gives it nothing usable.',
    ])
  }

  #elapsed(): string {
    const { totalMs } = this.#config
    return `${Math.round((totalMs - Math.max(0, this.#deadline - this.#sys.clock.now())) / 1000)} s`
  }
}

/** A router that can bring this machine to an address. */
function promising(heard: ReadonlyMap<IpAddress, RouterAdvertisement>): RouterAdvertisement | undefined {
  return [...heard.values()].find(({ managed, prefixes }) => managed || prefixes.some(makesAddress))
}

function failed(reason: string, advice: readonly string[]): Extract<Ipv6Outcome, { kind: 'failed6' }> {
  return { kind: 'failed6', reason, advice }
}
