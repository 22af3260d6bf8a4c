/** IPv6 on a fake link: the kernel’s part (addresses, duplicate address detection, routers) and who is on its network. */

import type {
  Address,
  Datagram,
  DatagramSocket,
  Events,
  IpAddress,
  Link,
  LinkAddress,
  Route,
} from '../../../src/sys/index.ts'
import type { VirtualClock } from './clock.ts'
import { FakeQueue } from './datagram-socket.ts'
import { Broadcast } from './events.ts'
import { type Faults, refusal } from './faults.ts'
import { type Advertised, advertisement, type Dhcp6Script } from './ipv6-wire.ts'

export interface Ipv6Script {
  readonly routers?: readonly RouterScript[]
  /** Who answers DHCPv6 there. Nobody when absent. */
  readonly dhcp?: Dhcp6Script
  /** Addresses that others on this network have; `own` is the link-local one that this link would have. */
  readonly taken?: readonly (IpAddress | 'own')[]
}

export interface RouterScript extends Advertised {
  /** Default fe80::1. */
  readonly from?: IpAddress
  /** It does not answer solicitations that come sooner after the carrier, milliseconds. */
  readonly readyAfterMs?: number
  /** What is sent instead, in hex. */
  readonly bytes?: string
}

/** RetransTimer of RFC 4861: how long nobody may object. */
const DETECTION_MS = 1000

export class FakeIpv6 {
  readonly #clock: VirtualClock
  readonly #faults: Faults
  readonly #link: () => Link
  readonly #script: Ipv6Script
  readonly #changes = new Broadcast<readonly LinkAddress[]>()
  readonly #sockets = new Set<DatagramQueue>()
  addresses: readonly LinkAddress[] = []
  /** Those that the kernel took from advertisements. */
  routes: readonly Route[] = []
  /** Every datagram that init sent. */
  readonly sent: { readonly at: number; readonly bytes: string; readonly to: IpAddress }[] = []
  #carrierAt: number | undefined
  #attempts = 0

  constructor(clock: VirtualClock, faults: Faults, link: () => Link, script: Ipv6Script) {
    this.#clock = clock
    this.#faults = faults
    this.#link = link
    this.#script = script
  }

  /** The link’s state changed. */
  follow({ up, carrier, mac }: Link): void {
    if (!up) {
      this.#carrierAt = undefined
      this.routes = []
      if (this.addresses.length > 0) this.#tell([])
    } else if (carrier && this.#carrierAt === undefined) {
      this.#carrierAt = this.#clock.now()
      this.add({ address: linkLocal(mac), prefixLength: 64 }, { scope: 'link', advertised: false })
    }
  }

  add(address: Address, kind: Pick<LinkAddress, 'scope' | 'advertised'>): void {
    if (this.addresses.some((each) => each.address === address.address)) return
    this.#tell([...this.addresses, { ...address, ...kind, state: 'tentative' }])
    const own = address.address === linkLocal(this.#link().mac)
    const taken = this.#script.taken?.some((each) => each === address.address || (own && each === 'own'))
    this.#clock.after(DETECTION_MS, () => {
      const state = taken ? 'duplicate' : 'preferred'
      this.#tell(this.addresses.map((each) => (each.address === address.address ? { ...each, state } : each)))
    })
  }

  flush(): void {
    this.#tell(this.addresses.filter(({ advertised, scope }) => advertised || scope === 'link'))
  }

  watch(signal: AbortSignal): Events<readonly LinkAddress[]> {
    return this.#changes.open(signal, [this.addresses])
  }

  open(what: 'routers' | 'dhcp'): DatagramSocket {
    const socket: DatagramQueue = new DatagramQueue(this.#clock, (bytes, to) => {
      this.#faults.check('network.datagramSend', this.#link().name)
      const usable = this.addresses.some(({ scope, state }) => scope === 'link' && state === 'preferred')
      if (!usable) throw refusal('EADDRNOTAVAIL', 'network.datagramSend', this.#link().name)
      this.sent.push({ at: this.#clock.now(), bytes, to })
      if (!this.#link().carrier) return
      if (what === 'routers') this.#solicited()
      else this.#asked(socket, bytes)
    })
    this.#sockets.add(socket)
    return socket
  }

  #solicited(): void {
    const since = this.#clock.now() - (this.#carrierAt ?? this.#clock.now())
    for (const router of this.#script.routers ?? []) {
      if (since < (router.readyAfterMs ?? 0)) continue
      this.#clock.after(1, () => this.#advertise(router))
    }
  }

  #advertise(router: RouterScript): void {
    if (!this.#link().carrier) return
    const from = router.from ?? 'fe80::1'
    for (const socket of this.#sockets) socket.arrive({ from, bytes: router.bytes ?? advertisement(router) })
    if (router.bytes !== undefined) return
    const onLink = [...(router.prefixes ?? []), ...(router.onLinkOnly ?? [])]
    const routes: Route[] = onLink.map((prefix) => ({ destination: `${prefix}/64` }))
    if (router.lifetime !== 0) routes.push({ destination: '::/0', gateway: from })
    this.routes = [
      ...this.routes.filter((each) => !routes.some((own) => own.destination === each.destination)),
      ...routes,
    ]
    for (const prefix of router.prefixes ?? []) {
      const address = `${prefix}${linkLocal(this.#link().mac).slice('fe80::'.length)}`
      this.add({ address, prefixLength: 64 }, { scope: 'global', advertised: true })
    }
  }

  #asked(socket: DatagramQueue, bytes: string): void {
    this.#attempts += 1
    const context = { attempt: this.#attempts, now: this.#clock.now() }
    for (const answer of this.#script.dhcp?.(bytes, context) ?? []) {
      this.#clock.after(answer.afterMs, () => {
        if (this.#link().carrier) socket.arrive({ from: 'fe80::547', bytes: answer.bytes })
      })
    }
  }

  #tell(addresses: readonly LinkAddress[]): void {
    this.addresses = addresses
    this.#changes.send(addresses)
  }
}

class DatagramQueue extends FakeQueue<Datagram> implements DatagramSocket {
  readonly #deliver: (bytes: string, to: IpAddress) => void

  constructor(clock: VirtualClock, deliver: (bytes: string, to: IpAddress) => void) {
    super(clock, 'network.datagramReceive')
    this.#deliver = deliver
  }

  async send(bytes: string, to: IpAddress): Promise<void> {
    if (this.closed) throw refusal('EBADF', 'network.datagramSend', 'socket', 'Bad file descriptor')
    this.#deliver(bytes, to)
  }
}

/** RFC 4291, appendix A, as the kernel makes it of an Ethernet address. */
function linkLocal(mac: string): IpAddress {
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0] = mac.split(':').map((byte) => Number.parseInt(byte, 16))
  const group = (high: number, low: number) => ((high << 8) | low).toString(16)
  return `fe80::${group(a ^ 2, b)}:${group(c, 0xff)}:${group(0xfe, d)}:${group(e, f)}`
}
