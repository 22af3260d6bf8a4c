/** Listens for router advertisements on a link, and asks for them: RFC 4861, 6.3.7, and RFC 7559. */

import type { DatagramSocket, IpAddress, Sys } from '../sys/index.ts'
import { hasCode, SysError } from '../sys/index.ts'
import type { DhcpEvents } from './dhcp-exchange.ts'
import {
  allRouters,
  parseAdvertisement,
  type RouterAdvertisement,
  routerSolicitation,
} from './router-advertisement.ts'

/** RTR_SOLICITATION_INTERVAL. It does not grow for ever, as a boot does: a switch port learns for thirty seconds. */
const INTERVAL_MS = 4000

export interface Routers {
  /** The latest word of each router. */
  readonly heard: ReadonlyMap<IpAddress, RouterAdvertisement>
  /** How many solicitations went out. */
  readonly solicited: number
  /**
   * Resolves with what `pick` finds in what was heard, now or after some advertisement; undefined when `deadlineMs`
   * (clock.now) passes. One at a time. Rejects with ABORTED.
   */
  until<T>(
    deadlineMs: number,
    pick: (heard: ReadonlyMap<IpAddress, RouterAdvertisement>) => T | undefined,
    signal: AbortSignal,
  ): Promise<T | undefined>
  close(): Promise<void>
}

/** A kernel has its own idea of how many routers there may be; a neighbour that plays many is not kept for ever. */
const MOST_ROUTERS = 16

/** The link’s own link-local address must be usable. EAFNOSUPPORT: the kernel has no IPv6. */
export async function openRouters(
  sys: Pick<Sys, 'network' | 'clock'>,
  link: string,
  events: DhcpEvents,
): Promise<Routers> {
  return new RouterWatch(sys, link, events, await sys.network.openRouterDiscovery(link))
}

class RouterWatch implements Routers {
  readonly heard = new Map<IpAddress, RouterAdvertisement>()
  solicited = 0
  readonly #sys: Pick<Sys, 'network' | 'clock'>
  readonly #link: string
  readonly #events: DhcpEvents
  readonly #socket: DatagramSocket
  #nextAt: number

  constructor(sys: Pick<Sys, 'network' | 'clock'>, link: string, events: DhcpEvents, socket: DatagramSocket) {
    this.#sys = sys
    this.#link = link
    this.#events = events
    this.#socket = socket
    this.#nextAt = sys.clock.now()
  }

  async until<T>(
    deadlineMs: number,
    pick: (heard: ReadonlyMap<IpAddress, RouterAdvertisement>) => T | undefined,
    signal: AbortSignal,
  ): Promise<T | undefined> {
    for (;;) {
      const found = pick(this.heard)
      if (found !== undefined) return found
      const now = this.#sys.clock.now()
      if (now >= deadlineMs) return undefined
      if (now >= this.#nextAt) await this.#solicit(now)
      const datagram = await this.#receive(Math.min(deadlineMs, this.#nextAt), signal)
      const said = datagram && parseAdvertisement(datagram)
      if (said === undefined) continue
      if (this.heard.has(said.router) || this.heard.size < MOST_ROUTERS) this.heard.set(said.router, said)
    }
  }

  close(): Promise<void> {
    return this.#socket.close()
  }

  async #solicit(now: number): Promise<void> {
    // A tenth more or less, as RFC 7559 has it.
    this.#nextAt = now + INTERVAL_MS * (0.9 + 0.2 * this.#sys.clock.random())
    try {
      await this.#socket.send(routerSolicitation, allRouters)
      this.solicited += 1
    } catch (error) {
      this.#tell('send a router solicitation', error)
    }
  }

  async #receive(deadlineMs: number, signal: AbortSignal) {
    try {
      return await this.#socket.receive(deadlineMs, signal)
    } catch (error) {
      if (hasCode(error, 'ABORTED')) throw error
      this.#tell('receive router advertisements', error)
      await this.#sys.clock.sleep(Math.max(0, deadlineMs - this.#sys.clock.now()), signal)
      return undefined
    }
  }

  #tell(what: string, error: unknown): void {
    if (!(error instanceof SysError)) throw error
    this.#events.onNotice(`${this.#link}: could not ${what}: ${error.message}`)
  }
}
