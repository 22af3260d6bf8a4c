/** The DHCPv4 messages that a client sends (RFC 2131, table 5). */

import type { DhcpMessage, DhcpOptions, IpAddress } from '../sys/index.ts'
import type { DhcpConfig } from './dhcp-config.ts'
import type { Lease } from './lease.ts'

const NOWHERE: IpAddress = '0.0.0.0'

/** The largest message that fits an Ethernet frame: 1500 less the headers of IP and UDP. */
const MAXIMUM_MESSAGE_SIZE = 1472

/** RFC 3442: 121 stands before 3. 210 is pxelinux's path prefix. */
const WANTED: readonly number[] = [121, 1, 3, 6, 12, 15, 17, 26, 28, 42, 51, 58, 59, 66, 67, 119, 210]

interface Exchange {
  readonly xid: number
  /** Since the first message, seconds. */
  readonly secs: number
  /** From 1. */
  readonly try: number
}

export function discoverMessage(config: DhcpConfig, exchange: Exchange): DhcpMessage {
  return message(config, exchange, { messageType: 'discover', rapidCommit: true, ...requestOptions(config) })
}

export function requestMessage(
  config: DhcpConfig,
  offer: { readonly address: IpAddress; readonly serverId: IpAddress },
  exchange: Exchange,
): DhcpMessage {
  return message(config, exchange, {
    messageType: 'request',
    requestedAddress: offer.address,
    serverId: offer.serverId,
    ...requestOptions(config),
  })
}

/** For more time: the address is in ciaddr, and neither it nor the server is in the options. */
export function renewMessage(
  config: DhcpConfig,
  lease: Lease,
  { xid, secs }: { readonly xid: number; readonly secs: number },
): DhcpMessage {
  const options: DhcpOptions = { messageType: 'request', ...requestOptions(config) }
  return { ...message(config, { xid, secs, try: 1 }, options), ciaddr: lease.address }
}

export function declineMessage(config: DhcpConfig, lease: Lease, xid: number): DhcpMessage {
  return message(
    config,
    { xid, secs: 0, try: 1 },
    {
      messageType: 'decline',
      requestedAddress: lease.address,
      serverId: lease.serverId,
      message: 'address is in use',
      clientId: clientIdOf(config),
    },
  )
}

/** Gives back an address that is not used. */
export function releaseMessage(config: DhcpConfig, lease: Lease, xid: number): DhcpMessage {
  return {
    ...message(
      config,
      { xid, secs: 0, try: 1 },
      {
        messageType: 'release',
        serverId: lease.serverId,
        clientId: clientIdOf(config),
      },
    ),
    ciaddr: lease.address,
  }
}

function message(config: DhcpConfig, exchange: Exchange, options: DhcpOptions): DhcpMessage {
  return {
    op: 'request',
    xid: exchange.xid,
    secs: exchange.secs,
    // From the third try: something between may drop what is sent to an address that nobody has yet.
    broadcast: exchange.try >= 3,
    ciaddr: NOWHERE,
    yiaddr: NOWHERE,
    siaddr: NOWHERE,
    giaddr: NOWHERE,
    chaddr: config.mac,
    sname: '',
    file: '',
    options,
  }
}

/** What every message that wants an address carries. */
export function requestOptions(config: DhcpConfig): DhcpOptions {
  return {
    clientId: clientIdOf(config),
    vendorClass: 'diskless',
    maximumMessageSize: MAXIMUM_MESSAGE_SIZE,
    parameterRequestList: WANTED,
    ...(config.uuid === undefined ? {} : { clientUuid: clientUuidOf(config.uuid) }),
    ...(config.hostname === undefined ? {} : { hostname: config.hostname }),
    ...(config.userClass === undefined ? {} : { userClass: config.userClass }),
  }
}

/** 01 and the MAC, as iPXE and udhcpc send it: with another one the server hands out a second address. */
function clientIdOf({ mac }: DhcpConfig): string {
  return `01${mac.replaceAll(':', '')}`
}

/** RFC 4578: type 0, then the UUID's sixteen bytes in the order of its text, as iPXE sends it. */
function clientUuidOf(uuid: string): string {
  return `00${uuid.replaceAll('-', '').toLowerCase()}`
}
