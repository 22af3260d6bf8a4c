/** A DHCP socket on a fake link. */

import type { DhcpMessage, DhcpSocket, IpAddress } from '../../../src/sys/index.ts'
import type { VirtualClock } from './clock.ts'
import { FakeQueue } from './datagram-socket.ts'
import { refusal } from './faults.ts'

export class FakeSocket extends FakeQueue<DhcpMessage> implements DhcpSocket {
  readonly #deliver: (message: DhcpMessage, to: IpAddress | undefined) => void

  constructor(clock: VirtualClock, deliver: (message: DhcpMessage, to: IpAddress | undefined) => void) {
    super(clock, 'network.dhcpReceive')
    this.#deliver = deliver
  }

  async send(message: DhcpMessage, to?: IpAddress): Promise<void> {
    if (this.closed) throw refusal('EBADF', 'network.dhcpSend', 'socket', 'Bad file descriptor')
    this.#deliver(message, to)
  }
}
