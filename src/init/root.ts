/** The root phase: a place in memory for a system to be installed, or one that is installed already. */

import { showBytes } from '../boot/format.ts'
import type { BootPlan, RamBootPlan } from '../boot/plan.ts'
import type { ImageRootPlan, MountedRootPlan } from '../boot/root-plan.ts'
import { findOnDisks } from '../media/media.ts'
import type { NetworkUp } from '../network/network-up.ts'
import { mountDiskRoot } from '../root/disk.ts'
import { mountImageRoot } from '../root/image.ts'
import type { RootEvents } from '../root/mounted.ts'
import { mountNfsRoot } from '../root/nfs.ts'
import { mountRamRoot } from '../root/ram.ts'
import { BootError, type Sys } from '../sys/index.ts'
import { pauseInShell } from './shells.ts'
import type { Report } from './story.ts'

export async function makeRoot(sys: Sys, plan: RamBootPlan, report: Report): Promise<void> {
  if (plan.single) await pauseInShell(sys, plan)
  const { bytes } = await mountRamRoot(sys, plan)
  report.detail(`tmpfs, up to ${showBytes(bytes)}`)
}

export async function mountRoot(
  sys: Sys,
  plan: BootPlan,
  root: MountedRootPlan,
  network: NetworkUp | undefined,
  report: Report,
): Promise<void> {
  if (plan.single) await pauseInShell(sys, plan)
  const events: RootEvents = {
    onNotice: report.notice,
    signal: report.signal,
    onProgress: ({ bytes, total }) => report.progress({ done: bytes, total: total ?? 0, text: '' }),
  }
  switch (root.kind) {
    case 'nfs': {
      const { from, version } = await mountNfsRoot(sys, root, online(network), events)
      return report.detail(`${from} by NFS ${version}, and a tmpfs above it`)
    }
    case 'disk': {
      const { path, contents } = await mountDiskRoot(sys, root, events)
      return report.detail(
        `${path} (${root.fsType ?? contents.type})${root.overlay ? ', and a tmpfs above it' : ''}`,
      )
    }
    case 'image': {
      const { from, fsType, place } = await mountImageRoot(
        sys,
        root,
        network,
        findImage(sys, root, report),
        events,
      )
      return report.detail(`${from} (${fsType}, ${placeText[place]}), and a tmpfs above it`)
    }
  }
}

const placeText = {
  initrd: 'from the initrd',
  memory: 'copied into memory',
  medium: 'read where it is',
  nfs: 'read over NFS',
} as const

/** The disk that holds the image, where loop= is not in the initrd. */
function findImage(sys: Sys, { image }: ImageRootPlan, report: Report) {
  const from = image.kind === 'path' && typeof image.medium === 'object' ? image.medium : 'any'
  const { notice: onNotice, warn: onWarning, signal } = report
  return (path: string) => findOnDisks(sys, path, from, { onNotice, onWarning, signal })
}

function online(network: NetworkUp | undefined): NetworkUp {
  if (network !== undefined) return network
  throw new BootError('this root needs the network, and the kernel command line turns it off', {
    advice: ['write ip=dhcp, or leave ip= out'],
  })
}
