/** `sys.network` of the fake machine: links with a life of their own, and what was configured on them. */

import type {
  Address,
  DatagramSocket,
  DhcpMessage,
  DhcpSocket,
  Events,
  IpAddress,
  Link,
  LinkAddress,
  LinkChange,
  Network,
  NewLink,
  PortAnswer,
  Route,
} from '../../../src/sys/index.ts'
import type { VirtualClock } from './clock.ts'
import { FakeSocket } from './dhcp-socket.ts'
import { Broadcast } from './events.ts'
import { type Faults, refusal } from './faults.ts'
import { FakeIpv6 } from './ipv6.ts'
import { addressHex } from './ipv6-wire.ts'
import { kernelModules, type LinkScript, type LinkState, type Times } from './links.ts'
import type { Names } from './names.ts'

export class FakeNetwork implements Network {
  /** Whom askTime and askDate asked. */
  readonly asked: string[] = []
  readonly #times: Times
  /** Every DHCP message that init sent. */
  readonly sent: {
    readonly at: number
    readonly link: string
    readonly message: DhcpMessage
    readonly to?: IpAddress
  }[] = []
  readonly #clock: VirtualClock
  readonly #faults: Faults
  readonly #states = new Map<string, LinkState>()
  readonly #changes = new Broadcast<Link>()
  readonly #appeared: (link: Link, stacked: NewLink | undefined) => void
  /** It asks this network, so it is there only later. */
  readonly #names: (() => Names) | undefined
  /** Whether the kernel has what this module brings. */
  readonly #knows: (module: string) => boolean
  #index = 1

  constructor(
    clock: VirtualClock,
    faults: Faults,
    appeared: (link: Link, stacked: NewLink | undefined) => void,
    names?: () => Names,
    knows: (module: string) => boolean = () => true,
    times: Times = {},
  ) {
    this.#times = times
    this.#clock = clock
    this.#faults = faults
    this.#appeared = appeared
    this.#names = names
    this.#knows = knows
  }

  async links(): Promise<readonly Link[]> {
    return [...this.#states.values()].map((state) => state.link)
  }

  watchLinks(signal: AbortSignal): Events<Link> {
    return this.#changes.open(
      signal,
      [...this.#states.values()].map((state) => state.link),
    )
  }

  async setLink(name: string, change: LinkChange): Promise<void> {
    this.#faults.check('network.setLink', name)
    const state = this.#state(name, 'network.setLink')
    if (change.mtu !== undefined) this.#change(state, { mtu: change.mtu })
    if (change.mac !== undefined) {
      if (state.link.up) throw refusal('EBUSY', 'network.setLink', name)
      this.#change(state, { mac: change.mac })
    }
    if (change.master !== undefined) this.#enslave(state, change.master)
    if (change.up === undefined || change.up === state.link.up) return
    for (const cancel of state.cancel.splice(0)) cancel()
    if (state.stacked?.kind === 'vlan' && change.up && !state.below[0]?.link.up) {
      throw refusal('ENETDOWN', 'network.setLink', name)
    }
    this.#change(state, { up: change.up, carrier: change.up && state.below.some(({ link }) => link.carrier) })
    if (!change.up) {
      state.routes = []
      return
    }
    if (state.stacked !== undefined) return
    const { carrierAfterMs = 0, carrier = [] } = state.script
    const first = carrierAfterMs === 'never' ? [] : [{ afterMs: carrierAfterMs, up: true }]
    for (const { afterMs, up } of [...first, ...carrier]) {
      state.cancel.push(this.#clock.after(afterMs, () => this.#change(state, { carrier: up })))
    }
  }

  async addLink(link: NewLink): Promise<void> {
    const { kind, name } = link
    this.#faults.check('network.addLink', name)
    if (!this.#knows(kernelModules[kind])) throw refusal('EOPNOTSUPP', 'network.addLink', name)
    if (this.#states.has(name)) throw refusal('EEXIST', 'network.addLink', name)
    const parent = kind === 'vlan' ? this.#state(link.parent, 'network.addLink') : undefined
    const wire = kind === 'vlan' ? (this.#wire(parent)?.vlans?.[link.id] ?? {}) : {}
    this.appear({ name, physical: false, ...wire, ...(parent ? { mac: parent.link.mac } : {}) }, link)
    const state = this.#state(name, 'network.addLink')
    state.below = parent === undefined ? [] : [parent]
  }

  async answers(
    link: string,
    address: IpAddress,
    port: number,
    timeoutMs: number,
    signal?: AbortSignal,
  ): Promise<PortAnswer> {
    const subject = `${address}:${port}`
    this.#faults.check('network.answers', subject)
    const state = this.#state(link, 'network.answers')
    const reached = this.#way(address) === state && this.reaches(address)
    const refused = state.link.carrier && this.#wire(state)?.refuses?.includes(subject) === true
    await this.#clock.sleep(reached || refused ? 1 : timeoutMs, signal)
    return refused ? 'refused' : reached ? 'connected' : 'nothing'
  }

  async addAddress(link: string, address: Address): Promise<void> {
    this.#faults.check('network.addAddress', link)
    const state = this.#state(link, 'network.addAddress')
    state.addresses = [...state.addresses.filter((other) => other.address !== address.address), address]
    if (!address.address.includes(':')) return
    if (state.ipv6 === undefined) throw refusal('EOPNOTSUPP', 'network.addAddress', link)
    state.ipv6.add(address, { scope: 'global', advertised: false })
  }

  watchAddresses(link: string, signal: AbortSignal): Events<readonly LinkAddress[]> {
    const { ipv6 } = this.#state(link, 'network.watchAddresses')
    return ipv6?.watch(signal) ?? new Broadcast<readonly LinkAddress[]>().open(signal, [[]])
  }

  async flush(link: string): Promise<void> {
    const state = this.#state(link, 'network.flush')
    state.addresses = []
    state.routes = []
    state.ipv6?.flush()
  }

  async addRoute(link: string, route: Route): Promise<void> {
    this.#faults.check('network.addRoute', link)
    const state = this.#state(link, 'network.addRoute')
    if (!state.link.up) throw refusal('ENETDOWN', 'network.addRoute', route.destination)
    const { gateway } = route
    const known =
      gateway === undefined ||
      route.onlink === true ||
      gateway.startsWith('fe80:') ||
      state.addresses.some((own) => inPrefix(gateway, own.address, own.prefixLength)) ||
      state.routes.some((own) => own.gateway === undefined && covers(own.destination, gateway))
    if (!known) throw refusal('ENETUNREACH', 'network.addRoute', route.destination)
    const same = (other: Route) =>
      other.destination === route.destination && (other.metric ?? 0) === (route.metric ?? 0)
    if ([...this.#states.values()].some((each) => each.routes.some(same))) {
      throw refusal('EEXIST', 'network.addRoute', route.destination)
    }
    state.routes.push(route)
  }

  async openDhcp(link: string): Promise<DhcpSocket> {
    this.#faults.check('network.openDhcp', link)
    const state = this.#state(link, 'network.openDhcp')
    if (!state.link.up) throw refusal('ENETDOWN', 'network.openDhcp', link)
    const socket = new FakeSocket(this.#clock, (message, to) => this.#deliver(state, socket, message, to))
    state.sockets.add(socket)
    return socket
  }

  async openRouterDiscovery(link: string): Promise<DatagramSocket> {
    return this.#datagrams('network.openRouterDiscovery', link, 'routers')
  }

  async openDhcp6(link: string): Promise<DatagramSocket> {
    return this.#datagrams('network.openDhcp6', link, 'dhcp')
  }

  #datagrams(operation: string, link: string, what: 'routers' | 'dhcp'): DatagramSocket {
    this.#faults.check(operation, link)
    const { ipv6 } = this.#state(link, operation)
    if (ipv6 === undefined) throw refusal('EAFNOSUPPORT', operation, link)
    return ipv6.open(what)
  }

  async resolve(name: string, timeoutMs: number): Promise<readonly IpAddress[]> {
    const operation = 'network.resolve'
    this.#faults.check(operation, name)
    const found = this.#names?.().lookup(name) ?? { kind: 'unknown' }
    if (found.kind === 'address') return [found.address]
    if (found.kind === 'unknown') throw refusal('DNS', operation, name, 'no such name')
    if (!found.asked) throw refusal('DNS', operation, name, 'no name server can be reached')
    await this.#clock.sleep(timeoutMs)
    throw refusal('TIMEOUT', operation, name, `no name server answered within ${timeoutMs} ms`)
  }

  async askTime(server: IpAddress, timeoutMs: number): Promise<number> {
    return this.#told('network.askTime', server, server, timeoutMs)
  }

  async askDate(request: {
    readonly server: IpAddress
    readonly host: string
    readonly timeoutMs: number
  }): Promise<string> {
    const { host, server, timeoutMs } = request
    const time = await this.#told('network.askDate', host, server, timeoutMs)
    return new Date(time).toUTCString()
  }

  async #told(operation: string, name: string, server: IpAddress, timeoutMs: number): Promise<number> {
    this.#faults.check(operation, name)
    this.asked.push(name)
    const says = this.reaches(server) ? this.#times[name] : undefined
    if (says === undefined) {
      await this.#clock.sleep(timeoutMs)
      throw refusal('TIMEOUT', operation, name, `no answer within ${timeoutMs} ms`)
    }
    if (typeof says === 'string') throw refusal(says, operation, name)
    await this.#clock.sleep(1)
    return says + this.#clock.now()
  }

  async arpProbe(link: string, address: IpAddress, timeoutMs: number): Promise<boolean> {
    this.#faults.check('network.arpProbe', link)
    const state = this.#state(link, 'network.arpProbe')
    if (!state.link.up) throw refusal('ENETDOWN', 'network.arpProbe', link)
    const taken = state.link.carrier && (this.#wire(state)?.neighbours?.includes(address) ?? false)
    await this.#clock.sleep(taken ? 1 : timeoutMs)
    return taken
  }

  // What the fake machine's other rooms and tests use.

  appear(script: LinkScript, stacked?: NewLink): void {
    const index = this.#index + 1
    this.#index = index
    const link: Link = {
      index,
      name: script.name,
      mac: script.mac ?? `52:54:00:00:00:${(index - 1).toString(16).padStart(2, '0')}`,
      mtu: 1500,
      up: false,
      carrier: false,
      physical: script.physical ?? true,
      driver: script.driver ?? script.module,
    }
    const state: LinkState = {
      ipv6: script.ipv6 && new FakeIpv6(this.#clock, this.#faults, () => state.link, script.ipv6),
      script,
      link,
      addresses: [],
      routes: [],
      sockets: new Set(),
      cancel: [],
      attempts: 0,
      below: [],
      stacked,
    }
    this.#states.set(script.name, state)
    this.#appeared(link, stacked)
    this.#changes.send(link)
  }

  /** Pulls or plugs a cable now. */
  plug(link: string, carrier: boolean): void {
    this.#change(this.#state(link, 'network.plug'), { carrier })
  }

  addresses(link: string): readonly Address[] {
    return this.#states.get(link)?.addresses ?? []
  }

  /** IPv6 as the kernel of this link has it. */
  ipv6(link: string): FakeIpv6 {
    const ipv6 = this.#states.get(link)?.ipv6
    if (ipv6 === undefined) throw new Error(`${link} has no IPv6`)
    return ipv6
  }

  routes(link: string): readonly Route[] {
    return this.#states.get(link)?.routes ?? []
  }

  /** Whether packets to this address get anywhere: a live link has it in a prefix or a route, and leads to servers. */
  reaches(address: IpAddress): boolean {
    const state = this.#way(address)
    return state?.link.carrier === true && this.#wire(state)?.reachesServers !== false
  }

  /** Whether packets to this address leave at all, though they may get nowhere. */
  routed(address: IpAddress): boolean {
    return this.#way(address) !== undefined
  }

  /** As the kernel chooses: the longest prefix, then the lowest metric, then the route that was there first. */
  #way(address: IpAddress): LinkState | undefined {
    const ways = [...this.#states.values()]
      .filter((state) => state.link.up)
      .filter((state) => state.addresses.length > 0 || state.ipv6?.addresses.some(isUsable))
      .flatMap((state) => [
        ...state.addresses.map((own) => ({ state, to: `${own.address}/${own.prefixLength}`, metric: 0 })),
        ...[...state.routes, ...(state.ipv6?.routes ?? [])].map((route) => ({
          ...{ state, to: route.destination, metric: route.metric ?? 0 },
        })),
      ])
      .filter((way) => covers(way.to, address))
    const length = (to: string) => Number(to.split('/')[1] ?? '32')
    return ways.sort((a, b) => length(b.to) - length(a.to) || a.metric - b.metric)[0]?.state
  }

  #deliver(state: LinkState, socket: FakeSocket, message: DhcpMessage, to: IpAddress | undefined): void {
    this.#faults.check('network.dhcpSend', state.link.name)
    const now = this.#clock.now()
    this.sent.push({ at: now, link: state.link.name, message, ...(to === undefined ? {} : { to }) })
    if (!state.link.up) throw refusal('ENETDOWN', 'network.dhcpSend', state.link.name)
    const dhcp = this.#wire(state)?.dhcp
    if (!state.link.carrier || dhcp === undefined) return
    state.attempts += 1
    for (const { afterMs, reply } of dhcp(message, { attempt: state.attempts, now })) {
      this.#clock.after(afterMs, () => {
        if (state.link.carrier) socket.arrive(reply)
      })
    }
  }

  /** A bond’s members are all on one network. */
  #wire(state: LinkState | undefined): LinkScript | undefined {
    return state?.stacked?.kind === 'bond' ? state.below[0]?.script : state?.script
  }

  #enslave(state: LinkState, name: string): void {
    const bond = this.#state(name, 'network.setLink')
    if (bond.stacked?.kind !== 'bond') throw refusal('EOPNOTSUPP', 'network.setLink', state.link.name)
    if (bond.below.includes(state)) return
    if (state.link.up) throw refusal('EPERM', 'network.setLink', state.link.name)
    if (bond.below.length === 0) this.#change(bond, { mac: state.link.mac })
    bond.below.push(state)
    this.#change(state, { physical: false, mac: bond.link.mac })
  }

  #change(state: LinkState, change: Partial<Link>): void {
    state.link = { ...state.link, ...change }
    state.ipv6?.follow(state.link)
    this.#changes.send(state.link)
    for (const above of this.#states.values()) {
      if (!above.below.includes(state)) continue
      const carrier = above.link.up && above.below.some(({ link }) => link.carrier)
      if (carrier !== above.link.carrier) this.#change(above, { carrier })
    }
  }

  #state(name: string, operation: string): LinkState {
    const state = this.#states.get(name)
    if (state === undefined) throw refusal('ENODEV', operation, name)
    return state
  }
}

function isUsable({ scope, state }: LinkAddress): boolean {
  return scope === 'global' && state === 'preferred'
}

/** As a string of bits. */
function bitsOf(address: IpAddress): string {
  const bits = (text: string, base: number, width: number) =>
    Number.parseInt(text, base).toString(2).padStart(width, '0')
  if (!address.includes(':'))
    return address
      .split('.')
      .map((byte) => bits(byte, 10, 8))
      .join('')
  return [...addressHex(address)].map((digit) => bits(digit, 16, 4)).join('')
}

function inPrefix(address: IpAddress, other: IpAddress, length: number): boolean {
  const [a, b] = [bitsOf(address), bitsOf(other)]
  return a.length === b.length && a.slice(0, length) === b.slice(0, length)
}

function covers(destination: string, address: IpAddress): boolean {
  const [prefix = '0.0.0.0', length = '128'] = destination.split('/')
  return inPrefix(address, prefix, Number(length))
}
