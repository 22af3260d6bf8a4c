/**
 * What the lease keeper may do when there is no TypeScript any more: its plan, which runtime/src/keeper executes.
 * Everything that is a choice is in it; what is left to the keeper are RFC 2131's timers.
 */
import type { DhcpMessage, DhcpOptions, IpAddress, Mac } from '../sys/index.ts'
import type { DhcpConfig } from './dhcp-config.ts'
import { requestOptions } from './dhcp-messages.ts'
import type { Lease } from './lease.ts'

export const keeperPath = '/sbin/diskless-lease'

/** `Plan` of runtime/src/keeper/plan.rs. */
export interface KeeperPlan {
  readonly link: string
  readonly mac: Mac
  /** The acknowledgement that is in force, and when it came, by clock.now. */
  readonly acknowledged: DhcpMessage
  readonly obtainedAt: number
  /** What every request carries: client identifier, classes, what is asked for. */
  readonly options: DhcpOptions
  /** Asked before those of a lease. */
  readonly nameservers: readonly IpAddress[]
  /** The new system's resolv.conf, where we wrote it; undefined where it is somebody else's, to be left alone. */
  readonly resolver: string | undefined
  /** A root that comes by the network keeps its address until there is another: without, it is lost for sure. */
  readonly whenLost: 'keep' | 'remove'
  /** The new system's root as the keeper sees it. */
  readonly newRoot: string
}

/**
 * The keeper's own root is the emptied initramfs, on which the new root is mounted: `..` of a root that something is
 * mounted on is what is mounted there (the kernel's devtmpfs finds its root in this way, too).
 */
const newRoot = '/..'

export interface KeeperWishes {
  readonly config: DhcpConfig
  readonly nameservers: readonly IpAddress[]
  readonly resolver: string | undefined
  readonly rootNeedsNetwork: boolean
}

/** Undefined for a lease without end: nothing is to be renewed. */
export function planKeeper(lease: Lease, wishes: KeeperWishes): KeeperPlan | undefined {
  if (lease.leaseTime === undefined) return undefined
  const { config, nameservers, resolver, rootNeedsNetwork } = wishes
  return {
    link: lease.link,
    mac: lease.mac,
    acknowledged: lease.raw,
    obtainedAt: lease.obtainedAt,
    options: requestOptions(config),
    nameservers,
    resolver,
    whenLost: rootNeedsNetwork ? 'keep' : 'remove',
    newRoot,
  }
}
