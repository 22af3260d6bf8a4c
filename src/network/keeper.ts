/**
 * What the lease keeper may do when there is no TypeScript any more: its plan, which runtime/src/keeper executes.
 * Everything that is a choice is in it; what is left to the keeper are the timers of RFC 2131 and RFC 8415.
 */
import type { DhcpMessage, DhcpOptions, IpAddress, Mac } from '../sys/index.ts'
import type { DhcpConfig } from './dhcp-config.ts'
import { requestOptions } from './dhcp-messages.ts'
import type { Lease6 } from './dhcp6-lease.ts'
import { wantedOptions } from './dhcp6-message.ts'
import type { Lease } from './lease.ts'

export const keeperPath = '/sbin/diskless-lease'

/** `Plan` of runtime/src/keeper/plan.rs. */
export interface KeeperPlan {
  /** The new system's root as the keeper sees it. */
  readonly newRoot: string
  /** That of the link which was booted from comes first. */
  readonly leases: readonly KeptLease[]
}

export interface KeptLease {
  readonly link: string
  readonly mac: Mac
  /** A root that comes by the network keeps its address until there is another: without, it is lost for sure. */
  readonly whenLost: 'keep' | 'remove'
  /** Undefined where resolv.conf is somebody else's, to be left alone. */
  readonly resolver: KeptResolver | undefined
  readonly lease: { readonly dhcp4: Kept4 } | { readonly dhcp6: Kept6 }
}

/** The new system's resolv.conf, as we wrote it, and what is in it besides what the lease says. */
export interface KeptResolver {
  readonly text: string
  /** Asked before those of a lease. */
  readonly before: readonly IpAddress[]
  /** Asked after them: what routers advertise. */
  readonly after: readonly string[]
  readonly search: readonly string[]
}

interface Kept4 {
  /** The acknowledgement that is in force, and when it came, by clock.now. */
  readonly acknowledged: DhcpMessage
  readonly obtainedAt: number
  /** The one whose settings are on the link. */
  readonly applied: DhcpMessage
  /** What every request carries: client identifier, classes, what is asked for. */
  readonly options: DhcpOptions
}

/** Times in seconds from `obtainedAt`, by clock.now. */
interface Kept6 {
  /** DUIDs in hex. */
  readonly clientId: string
  readonly serverId: string
  readonly iaid: number
  readonly address: IpAddress
  readonly obtainedAt: number
  readonly renewalTime: number
  readonly rebindingTime: number
  /** Undefined: never. */
  readonly validLifetime: number | undefined
  /** Those that are in use. */
  readonly dns: readonly IpAddress[]
  readonly search: readonly string[]
  /** What every question carries besides, whole options in hex. */
  readonly options: string
}

/**
 * The keeper's own root is the emptied initramfs, on which the new root is mounted: `..` of a root that something is
 * mounted on is what is mounted there (the kernel's devtmpfs finds its root in this way, too).
 */
export const newRoot = '/..'

/** `applied`: as the link has it; `lease`: as it was renewed since. Undefined without an end: nothing is to be renewed. */
export function keep4(applied: Lease, lease: Lease, config: DhcpConfig): KeptLease['lease'] | undefined {
  if (lease.leaseTime === undefined) return undefined
  const { raw: acknowledged, obtainedAt } = lease
  return { dhcp4: { acknowledged, obtainedAt, applied: applied.raw, options: requestOptions(config) } }
}

export function keep6(
  { dns, search }: Lease6,
  lease: Lease6,
  hostname: string | undefined,
): KeptLease['lease'] | undefined {
  const { clientId, serverId, iaid, address, obtainedAt } = lease
  const { renewalTime, rebindingTime, validLifetime } = lease
  if (renewalTime === undefined || rebindingTime === undefined) return undefined
  const times = { obtainedAt, renewalTime, rebindingTime, validLifetime }
  const options = wantedOptions(hostname, 82)
  return { dhcp6: { clientId, serverId, iaid, address, ...times, dns, search, options } }
}
