/** Links, addresses, routes and the raw sockets that DHCP and ARP need. */

/** `52:54:00:12:34:56`, lower case. */
export type Mac = string
/** Dotted quad, or RFC 5952 text for IPv6. */
export type IpAddress = string

export interface Link {
  readonly index: number
  /** `eth0`. */
  readonly name: string
  readonly mac: Mac
  readonly mtu: number
  /** IFF_UP: we or somebody brought it up. */
  readonly up: boolean
  /** IFF_LOWER_UP: the driver sees a carrier. Only meaningful while `up`. */
  readonly carrier: boolean
  /** ARPHRD_ETHER and not a bridge, bond, VLAN or other stacked link. */
  readonly physical: boolean
  /** The kernel driver's name, where sysfs tells. */
  readonly driver: string | undefined
}

export interface Address {
  readonly address: IpAddress
  readonly prefixLength: number
  readonly broadcast?: IpAddress
  /** Absent: for ever. */
  readonly lifetimes?: Lifetimes
}

/** Seconds from now, after which the kernel prefers another address, and takes this one away; absent: never. */
export interface Lifetimes {
  readonly preferred?: number
  readonly valid?: number
}

export interface Route {
  /** `0.0.0.0/0` for the default route. */
  readonly destination: string
  /** Absent: on-link. */
  readonly gateway?: IpAddress
  readonly metric?: number
  /** The gateway need not be inside a known prefix (RTNH_F_ONLINK). */
  readonly onlink?: boolean
}

/** An IPv6 address of a link, as the kernel has it now. */
export interface LinkAddress extends Address {
  readonly scope: 'link' | 'global'
  /**
   * `tentative`: not to be used before its neighbours were asked (duplicate address detection, RFC 4862);
   * `duplicate`: one of them has it; `deprecated`: its preferred lifetime is over.
   */
  readonly state: 'tentative' | 'duplicate' | 'preferred' | 'deprecated'
  /** It has an end, and what gave it moves that: the kernel made it from a router advertisement. */
  readonly advertised: boolean
}

/** A message as its bytes, in hex. TypeScript knows what is in it. */
export interface Datagram {
  readonly from: IpAddress
  readonly bytes: string
}

/** Datagrams of one IPv6 protocol on one link. */
export interface DatagramSocket {
  send(bytes: string, to: IpAddress): Promise<void>
  /** The next one; undefined when `deadlineMs` (clock.now) passes. Longer than 16 KiB: dropped. */
  receive(deadlineMs: number, signal?: AbortSignal): Promise<Datagram | undefined>
  close(): Promise<void>
}

/** A DHCPv4 message (RFC 2131). Fields and options that we neither send nor read are left out. */
export interface DhcpMessage {
  readonly op: 'request' | 'reply'
  readonly xid: number
  readonly secs: number
  readonly broadcast: boolean
  readonly ciaddr: IpAddress
  readonly yiaddr: IpAddress
  readonly siaddr: IpAddress
  readonly giaddr: IpAddress
  readonly chaddr: Mac
  readonly sname: string
  readonly file: string
  readonly options: DhcpOptions
}

export type DhcpMessageType =
  | 'discover'
  | 'offer'
  | 'request'
  | 'decline'
  | 'ack'
  | 'nak'
  | 'release'
  | 'inform'

/** Options by their field's name; the number of each (RFC 2132 and later) is beside it. */
export interface DhcpOptions {
  /** 53 */ readonly messageType?: DhcpMessageType
  /** 54 */ readonly serverId?: IpAddress
  /** 50 */ readonly requestedAddress?: IpAddress
  /** 51, seconds */ readonly leaseTime?: number
  /** 58, seconds */ readonly renewalTime?: number
  /** 59, seconds */ readonly rebindingTime?: number
  /** 1 */ readonly subnetMask?: IpAddress
  /** 28 */ readonly broadcastAddress?: IpAddress
  /** 3 */ readonly routers?: readonly IpAddress[]
  /** 121, RFC 3442 */ readonly classlessRoutes?: readonly {
    readonly destination: string
    readonly gateway: IpAddress
  }[]
  /** 6 */ readonly dnsServers?: readonly IpAddress[]
  /** 119, RFC 3397 */ readonly domainSearch?: readonly string[]
  /** 12 */ readonly hostname?: string
  /** 15 */ readonly domainName?: string
  /** 26 */ readonly mtu?: number
  /** 42 */ readonly ntpServers?: readonly IpAddress[]
  /** 17 */ readonly rootPath?: string
  /** 66 */ readonly tftpServerName?: string
  /** 67 */ readonly bootFile?: string
  /** 210, RFC 5071 */ readonly pathPrefix?: string
  /** 56 */ readonly message?: string
  /** 60 */ readonly vendorClass?: string
  /** 77, RFC 3004 */ readonly userClass?: string
  /** 61: hex, type byte first */ readonly clientId?: string
  /** 97, RFC 4578: hex, type byte first */ readonly clientUuid?: string
  /** 57 */ readonly maximumMessageSize?: number
  /** 55 */ readonly parameterRequestList?: readonly number[]
  /** 80, RFC 4039 */ readonly rapidCommit?: boolean
}

/** A link on top of others, which are there already. */
export type NewLink =
  /** 802.1Q; `id` is from 1 to 4094. */
  | { readonly kind: 'vlan'; readonly name: string; readonly parent: string; readonly id: number }
  /** Without members, with the driver's defaults: the rest is said in /sys/class/net/NAME/bonding/. */
  | { readonly kind: 'bond'; readonly name: string }

export interface LinkChange {
  readonly up?: boolean
  readonly mtu?: number
  /** Most drivers refuse it while the link is up: EBUSY. */
  readonly mac?: Mac
  /** The bond that it becomes a member of; it must be down, and the bond brings it up. */
  readonly master?: string
}

export type PortAnswer = 'connected' | 'refused' | 'nothing'

/** A stream of events. Ends when the signal given at its opening fires. */
export type Events<T> = AsyncIterableIterator<T>

export interface DhcpSocket {
  /** Sends from 0.0.0.0:68 (or `ciaddr` when it is set) to the broadcast address, or to `to`. */
  send(message: DhcpMessage, to?: IpAddress): Promise<void>
  /** The next reply to our xid or chaddr; undefined when `deadlineMs` (clock.now) passes. Malformed packets are dropped. */
  receive(deadlineMs: number, signal?: AbortSignal): Promise<DhcpMessage | undefined>
  close(): Promise<void>
}

export interface Network {
  links(): Promise<readonly Link[]>
  /** First every link that is there now, then each change of one. */
  watchLinks(signal: AbortSignal): Events<Link>
  setLink(name: string, change: LinkChange): Promise<void>
  /** Makes a link, down. EEXIST: there is one of that name. EOPNOTSUPP: the kernel has no such kind (8021q, bonding). */
  addLink(link: NewLink): Promise<void>
  /** One that is there already is given these lifetimes. */
  addAddress(link: string, address: Address): Promise<void>
  /**
   * The IPv6 addresses of a link, now and after each change. ENODEV: no such link. Where the kernel has no IPv6 the list
   * stays empty.
   */
  watchAddresses(link: string, signal: AbortSignal): Events<readonly LinkAddress[]>
  /** Removes every address and, with them, the routes of a link; not what the kernel made from router advertisements. */
  flush(link: string): Promise<void>
  addRoute(link: string, route: Route): Promise<void>
  openDhcp(link: string): Promise<DhcpSocket>
  /**
   * Router solicitations out, router advertisements in (RFC 4861): ICMPv6 messages, of routers on this very link only.
   * The kernel reads them too. EAFNOSUPPORT: it has no IPv6.
   */
  openRouterDiscovery(link: string): Promise<DatagramSocket>
  /** DHCPv6: from port 546 of the link-local address to port 547 (RFC 8415). */
  openDhcp6(link: string): Promise<DatagramSocket>
  /** Addresses of a host's name by /etc/resolv.conf, or the literal address itself. Rejects with DNS, TIMEOUT. */
  resolve(name: string, timeoutMs: number): Promise<readonly IpAddress[]>
  /**
   * What asking for a connection with this TCP port through this link alone comes to. `nothing`: nobody answers within
   * `timeoutMs`, or the network says that there is no way.
   */
  answers(
    link: string,
    address: IpAddress,
    port: number,
    timeoutMs: number,
    signal?: AbortSignal,
  ): Promise<PortAnswer>
  /**
   * The time that an NTP server tells (SNTP, RFC 4330): milliseconds since 1970 as the answer comes. One that does not know
   * it, or refuses: FORMAT. TIMEOUT, ECONNREFUSED.
   */
  askTime(server: IpAddress, timeoutMs: number): Promise<number>
  /** The `Date` of a web server's answer in the clear (RFC 9110, 6.6.1), as text. None in it: FORMAT. */
  askDate(request: {
    readonly server: IpAddress
    readonly port: number
    /** What the request names. */
    readonly host: string
    readonly timeoutMs: number
  }): Promise<string>
  /** RFC 5227: true when somebody else answers for this address within `timeoutMs`. */
  arpProbe(link: string, address: IpAddress, timeoutMs: number): Promise<boolean>
}
