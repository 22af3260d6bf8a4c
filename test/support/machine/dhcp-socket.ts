/** A DHCP socket on a fake link: replies wait in it until they are read. */

import type { DhcpMessage, DhcpSocket, IpAddress } from '../../../src/sys/index.ts'
import { aborted, type VirtualClock } from './clock.ts'
import { refusal } from './faults.ts'

export class FakeSocket implements DhcpSocket {
  readonly #clock: VirtualClock
  readonly #deliver: (message: DhcpMessage, to: IpAddress | undefined) => void
  readonly #arrived: DhcpMessage[] = []
  #wake: (() => void) | undefined
  #closed = false

  constructor(clock: VirtualClock, deliver: (message: DhcpMessage, to: IpAddress | undefined) => void) {
    this.#clock = clock
    this.#deliver = deliver
  }

  async send(message: DhcpMessage, to?: IpAddress): Promise<void> {
    if (this.#closed) throw refusal('EBADF', 'network.dhcpSend', 'socket', 'Bad file descriptor')
    this.#deliver(message, to)
  }

  async receive(deadlineMs: number, signal?: AbortSignal): Promise<DhcpMessage | undefined> {
    if (this.#closed) throw refusal('EBADF', 'network.dhcpReceive', 'socket', 'Bad file descriptor')
    if (signal?.aborted) throw aborted('network.dhcpReceive', 'socket')
    const now = this.#clock.now()
    if (this.#arrived.length === 0 && now < deadlineMs) {
      await new Promise<void>((resolve) => {
        const wake = () => {
          cancel()
          signal?.removeEventListener('abort', wake)
          resolve()
        }
        const cancel = this.#clock.after(deadlineMs - now, wake)
        this.#wake = wake
        signal?.addEventListener('abort', wake, { once: true })
      })
      this.#wake = undefined
    }
    if (signal?.aborted) throw aborted('network.dhcpReceive', 'socket')
    return this.#arrived.shift()
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#wake?.()
  }

  arrive(reply: DhcpMessage): void {
    if (this.#closed) return
    this.#arrived.push(reply)
    this.#wake?.()
  }
}
