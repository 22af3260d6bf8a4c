/** The root on a file server: the export read-only, and what the machine writes in memory above it. */
import { type NfsShare, parseNfsShare, showNfsShare } from '../boot/nfs.ts'
import type { NfsRootPlan } from '../boot/root-plan.ts'
import { mountNfs } from '../media/nfs.ts'
import { boundReads } from '../media/nfs-reads.ts'
import type { NetworkUp } from '../network/network-up.ts'
import { BootError, type Sys } from '../sys/index.ts'
import { bringResolver, keepNetwork } from './kept-network.ts'
import { linkRoot } from './links.ts'
import { buildRoot, lowerMount, type RootEvents } from './mounted.ts'
import { overlayRoot } from './overlaid.ts'

export interface NfsRoot {
  /** `SERVER:/PATH`. */
  readonly from: string
  /** `4.2`. */
  readonly version: string
}

/** Rejects with a BootError: no root path, an export that cannot be had, no overlayfs. Nothing is mounted then. */
export function mountNfsRoot(
  sys: Sys,
  plan: NfsRootPlan,
  network: NetworkUp,
  events: RootEvents,
): Promise<NfsRoot> {
  return buildRoot(sys, events, async () => {
    const share = shareOf(plan, network, events)
    const { onNotice, signal } = events
    const { version } = await mountNfs(sys, share, {
      target: lowerMount,
      options: ['ro'],
      defaultServer: network.server,
      reads: 'wait',
      onNotice,
      signal,
    })
    const from = showNfsShare({ ...share, server: share.server ?? network.server })
    await boundReads(sys, from, events, async () => {
      if (plan.writable === 'links') return linkRoot(sys, from, network, events)
      await overlayRoot(sys, from)
      await bringResolver(sys)
      await keepNetwork(sys, network, events)
    })
    return { from, version }
  })
}

function shareOf(plan: NfsRootPlan, network: NetworkUp, { onNotice }: RootEvents): NfsShare {
  const share = plan.share === 'lease' ? leasedShare(network) : plan.share
  const options = [...share.options, ...plan.options]
  if (options.includes('rw')) {
    onNotice(
      'the NFS root is mounted read-only, whatever its options say: what is written stays in this machine’s memory',
    )
  }
  return {
    server: share.server,
    // nfsroot.rst of the kernel: %s is the client's address.
    path: share.path.replaceAll('%s', network.address),
    options: options.filter((option) => option !== 'rw' && option !== 'ro'),
  }
}

function leasedShare({ source }: NetworkUp): NfsShare {
  const advice = [
    'let the DHCP server send a root path (option 17: [SERVER:]/PATH[,OPTIONS]), or write nfsroot=[SERVER:]/PATH on the kernel command line',
  ]
  if (source.kind === 'ipv6') {
    throw new BootError(
      'the root is to be the one that DHCP names, but only IPv6 came up, where nobody names one',
      {
        advice: ['write nfsroot=[SERVER]:/PATH on the kernel command line'],
      },
    )
  }
  if (source.kind === 'static') {
    throw new BootError('the root is to be the one that DHCP names, but ip= gives a static address', {
      advice,
    })
  }
  const { rootPath, serverId } = source.lease
  if (rootPath === undefined || rootPath === '') {
    throw new BootError(`the lease of ${serverId} names no root path for the NFS root`, { advice })
  }
  const share = parseNfsShare(rootPath.replace(/^nfs4?:(?=.*:\/|\/)/, ''))
  if (share === undefined) {
    throw new BootError(`the root path in the lease of ${serverId} is no NFS share: ${rootPath}`, { advice })
  }
  return share
}
