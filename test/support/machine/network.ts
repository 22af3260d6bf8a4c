/** `sys.network` of the fake machine: links with a life of their own, and what was configured on them. */

import type {
  Address,
  DhcpMessage,
  DhcpSocket,
  Events,
  IpAddress,
  Link,
  Network,
  Route,
} from '../../../src/sys/index.ts'
import type { VirtualClock } from './clock.ts'
import type { DhcpScript } from './dhcp.ts'
import { FakeSocket } from './dhcp-socket.ts'
import { Broadcast } from './events.ts'
import { type Faults, refusal } from './faults.ts'
import type { Names } from './names.ts'

/** A network card, or another link. */
export interface LinkScript {
  readonly name: string
  /** `52:54:00:00:00:0N` by its place unless told. */
  readonly mac?: string
  readonly driver?: string
  readonly physical?: boolean
  /** It appears when this module is loaded; at once when absent. */
  readonly module?: string
  /** Milliseconds from then (or from the start) until it appears. */
  readonly appearsAfterMs?: number
  /** Milliseconds from being set up to the carrier; 'never' for an unplugged cable. Default 0. */
  readonly carrierAfterMs?: number | 'never'
  /** Later changes of the carrier, milliseconds after being set up. */
  readonly carrier?: readonly { readonly afterMs: number; readonly up: boolean }[]
  /** Who answers DHCP there. Nobody when absent. */
  readonly dhcp?: DhcpScript
  /** Addresses that others on this network have: they answer ARP. */
  readonly neighbours?: readonly IpAddress[]
  /** False: what is behind this link leads to none of the scripted servers. */
  readonly reachesServers?: boolean
}

interface LinkState {
  readonly script: LinkScript
  link: Link
  addresses: Address[]
  routes: Route[]
  sockets: Set<FakeSocket>
  cancel: (() => void)[]
  attempts: number
}

export class FakeNetwork implements Network {
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
  readonly #appeared: (link: Link) => void
  /** It asks this network, so it is there only later. */
  readonly #names: (() => Names) | undefined
  #index = 1

  constructor(clock: VirtualClock, faults: Faults, appeared: (link: Link) => void, names?: () => Names) {
    this.#clock = clock
    this.#faults = faults
    this.#appeared = appeared
    this.#names = names
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

  async setLink(name: string, change: { readonly up?: boolean; readonly mtu?: number }): Promise<void> {
    this.#faults.check('network.setLink', name)
    const state = this.#state(name, 'network.setLink')
    if (change.mtu !== undefined) this.#change(state, { mtu: change.mtu })
    if (change.up === undefined || change.up === state.link.up) return
    for (const cancel of state.cancel.splice(0)) cancel()
    this.#change(state, { up: change.up, carrier: false })
    if (!change.up) {
      state.routes = []
      return
    }
    const { carrierAfterMs = 0, carrier = [] } = state.script
    const first = carrierAfterMs === 'never' ? [] : [{ afterMs: carrierAfterMs, up: true }]
    for (const { afterMs, up } of [...first, ...carrier]) {
      state.cancel.push(this.#clock.after(afterMs, () => this.#change(state, { carrier: up })))
    }
  }

  async addAddress(link: string, address: Address): Promise<void> {
    this.#faults.check('network.addAddress', link)
    const state = this.#state(link, 'network.addAddress')
    if (state.addresses.some((other) => other.address === address.address)) {
      throw refusal('EEXIST', 'network.addAddress', link)
    }
    state.addresses.push(address)
  }

  async flush(link: string): Promise<void> {
    const state = this.#state(link, 'network.flush')
    state.addresses = []
    state.routes = []
  }

  async addRoute(link: string, route: Route): Promise<void> {
    this.#faults.check('network.addRoute', link)
    const state = this.#state(link, 'network.addRoute')
    if (!state.link.up) throw refusal('ENETDOWN', 'network.addRoute', route.destination)
    const { gateway } = route
    const known =
      gateway === undefined ||
      route.onlink === true ||
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

  async arpProbe(link: string, address: IpAddress, timeoutMs: number): Promise<boolean> {
    this.#faults.check('network.arpProbe', link)
    const state = this.#state(link, 'network.arpProbe')
    if (!state.link.up) throw refusal('ENETDOWN', 'network.arpProbe', link)
    const taken = state.link.carrier && (state.script.neighbours?.includes(address) ?? false)
    await this.#clock.sleep(taken ? 1 : timeoutMs)
    return taken
  }

  // What the fake machine's other rooms and tests use.

  appear(script: LinkScript): void {
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
      script,
      link,
      addresses: [],
      routes: [],
      sockets: new Set(),
      cancel: [],
      attempts: 0,
    }
    this.#states.set(script.name, state)
    this.#appeared(link)
    this.#changes.send(link)
  }

  /** Pulls or plugs a cable now. */
  plug(link: string, carrier: boolean): void {
    this.#change(this.#state(link, 'network.plug'), { carrier })
  }

  addresses(link: string): readonly Address[] {
    return this.#states.get(link)?.addresses ?? []
  }

  routes(link: string): readonly Route[] {
    return this.#states.get(link)?.routes ?? []
  }

  /** Whether packets to this address get anywhere: a live link has it in a prefix or a route, and leads to servers. */
  reaches(address: IpAddress): boolean {
    const state = this.#way(address)
    return state?.link.carrier === true && state.script.reachesServers !== false
  }

  /** Whether packets to this address leave at all, though they may get nowhere. */
  routed(address: IpAddress): boolean {
    return this.#way(address) !== undefined
  }

  /** As the kernel chooses: the longest prefix, then the lowest metric, then the route that was there first. */
  #way(address: IpAddress): LinkState | undefined {
    const ways = [...this.#states.values()]
      .filter((state) => state.link.up && state.addresses.length > 0)
      .flatMap((state) => [
        ...state.addresses.map((own) => ({ state, to: `${own.address}/${own.prefixLength}`, metric: 0 })),
        ...state.routes.map((route) => ({ state, to: route.destination, metric: route.metric ?? 0 })),
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
    if (!state.link.carrier || state.script.dhcp === undefined) return
    state.attempts += 1
    for (const { afterMs, reply } of state.script.dhcp(message, { attempt: state.attempts, now })) {
      this.#clock.after(afterMs, () => {
        if (state.link.carrier) socket.arrive(reply)
      })
    }
  }

  #change(state: LinkState, change: Partial<Link>): void {
    state.link = { ...state.link, ...change }
    this.#changes.send(state.link)
  }

  #state(name: string, operation: string): LinkState {
    const state = this.#states.get(name)
    if (state === undefined) throw refusal('ENODEV', operation, name)
    return state
  }
}

function toNumber(address: IpAddress): number {
  return address.split('.').reduce((sum, byte) => sum * 256 + Number(byte), 0)
}

/** IPv4 only, as the scripts are. */
function inPrefix(address: IpAddress, other: IpAddress, length: number): boolean {
  const size = 2 ** (32 - length)
  return Math.floor(toNumber(address) / size) === Math.floor(toNumber(other) / size)
}

function covers(destination: string, address: IpAddress): boolean {
  const [prefix = '0.0.0.0', length = '32'] = destination.split('/')
  return inPrefix(address, prefix, Number(length))
}
