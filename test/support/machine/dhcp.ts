/** DHCP servers for a fake link: what comes back for a message, and when. */

import type { DhcpMessage, DhcpOptions, IpAddress } from '../../../src/sys/index.ts'

/** The answers to one message. `attempt` counts the messages that reached this link's network, from 1. */
export type DhcpScript = (
  message: DhcpMessage,
  context: { readonly attempt: number; readonly now: number },
) => readonly { readonly afterMs: number; readonly reply: DhcpMessage }[]

export interface DhcpServerOptions {
  /** Handed out. Default 10.0.2.15. */
  readonly address?: IpAddress
  /** Default 10.0.2.2, with the netmask 255.255.255.0, itself as router, 10.0.2.3 for DNS and an hour's lease. */
  readonly serverId?: IpAddress
  readonly delayMs?: number
  /** So many first messages go unanswered. */
  readonly deaf?: number
  /** So many first requests get a NAK. */
  readonly naks?: number
  /** Answers a DISCOVER that asks for it (option 80) with an ACK. */
  readonly rapidCommit?: boolean
  /** Added to, or instead of, the options above. */
  readonly options?: DhcpOptions
  readonly file?: string
  readonly sname?: string
  readonly siaddr?: IpAddress
}

/** A server as dnsmasq would behave: offers to DISCOVER, acknowledges REQUESTs for its own offer, is silent to those for others. */
export function dhcpServer(server: DhcpServerOptions = {}): DhcpScript {
  const address = server.address ?? '10.0.2.15'
  const serverId = server.serverId ?? '10.0.2.2'
  let naks = server.naks ?? 0
  const options: DhcpOptions = {
    serverId,
    leaseTime: 3600,
    subnetMask: '255.255.255.0',
    routers: [serverId],
    dnsServers: ['10.0.2.3'],
    ...server.options,
  }
  const answer = (to: DhcpMessage, messageType: 'offer' | 'ack' | 'nak'): DhcpMessage => ({
    op: 'reply',
    xid: to.xid,
    secs: 0,
    broadcast: to.broadcast,
    ciaddr: to.ciaddr,
    yiaddr: messageType === 'nak' ? '0.0.0.0' : address,
    siaddr: server.siaddr ?? serverId,
    giaddr: '0.0.0.0',
    chaddr: to.chaddr,
    sname: server.sname ?? '',
    file: server.file ?? '',
    options:
      messageType === 'nak' ? { messageType, serverId, message: 'no lease' } : { ...options, messageType },
  })
  return (message, { attempt }) => {
    if (attempt <= (server.deaf ?? 0)) return []
    const afterMs = server.delayMs ?? 1
    const asked = message.options
    switch (asked.messageType) {
      case 'discover': {
        const rapid = server.rapidCommit === true && asked.rapidCommit === true
        const reply = answer(message, rapid ? 'ack' : 'offer')
        if (!rapid) return [{ afterMs, reply }]
        return [{ afterMs, reply: { ...reply, options: { ...reply.options, rapidCommit: true } } }]
      }
      case 'request': {
        if (asked.serverId !== undefined && asked.serverId !== serverId) return []
        const wanted = asked.requestedAddress ?? message.ciaddr
        if (naks > 0 || wanted !== address) {
          naks -= 1
          return [{ afterMs, reply: answer(message, 'nak') }]
        }
        return [{ afterMs, reply: answer(message, 'ack') }]
      }
      default:
        return []
    }
  }
}
