/** A system that is installed already: on a file server, in an image, on a disk. */

import { showDeviceName } from '../../boot/device.ts'
import { type NfsShare, showNfsShare } from '../../boot/nfs.ts'
import type { BootPlan } from '../../boot/plan.ts'
import type { DiskRootPlan, ImageRootPlan, MountedRootPlan, NfsRootPlan } from '../../boot/root-plan.ts'
import type { Settings } from '../../boot/settings.ts'
import { redactUrl } from '../../network/url.ts'
import { type Ask, listed, reasonsFor, type Step, showSeconds } from './step.ts'

export function mountedSteps(plan: BootPlan, root: MountedRootPlan, settings: Settings): readonly Step[] {
  const network = plan.network.kind === 'none' ? [] : ['network']
  const single = plan.single ? ['Opens a shell first; leaving it goes on.'] : []
  const step = stepOf(root, settings)
  return [{ ...step, says: [...single, ...step.says], after: ['drivers', ...network] }]
}

function stepOf(root: MountedRootPlan, settings: Settings): Omit<Step, 'after'> {
  switch (root.kind) {
    case 'nfs':
      return nfsStep(root, settings)
    case 'image':
      return imageStep(root, settings)
    case 'disk':
      return diskStep(root, settings)
  }
}

export function askShare(share: NfsShare, what: string): Ask {
  return {
    whom: share.server === undefined ? 'the NFS server that the lease names' : `NFS ${share.server}`,
    what: `${what} ${share.path}`,
  }
}

function nfsStep(root: NfsRootPlan, settings: Settings): Omit<Step, 'after'> {
  const { share, writable, options } = root
  const from = share === 'lease' ? 'the root path that the lease names' : showNfsShare(share)
  return {
    phase: 'root',
    says: [
      `Mounts ${from} read-only by NFS 4.2, 4.1, 4.0 or 3, whichever the server speaks first${options.length === 0 ? '' : `, with ${options.join(',')}`}.`,
      writable === 'overlay'
        ? 'Lays a tmpfs above it by overlayfs: what the machine writes stays in memory, the share is not touched.'
        : 'Makes a tmpfs of symlinks to it, with copies of /var and /dev: the share is not touched.',
      'Tells the new system to leave the card alone that its root comes by.',
    ],
    because: reasonsFor(settings, ['root', 'nfsroot', 'diskless.nfsroot', ...given(settings, ['rootflags'])]),
    asks: [
      share === 'lease'
        ? { whom: 'the NFS server that the lease names', what: 'the root path of the lease' }
        : askShare(share, 'the root,'),
    ],
  }
}

function given<const T extends Parameters<Settings['all']>[0]>(
  settings: Settings,
  names: readonly T[],
): readonly T[] {
  return names.filter((name) => settings.all(name).length > 0)
}

function imageStep(root: ImageRootPlan, settings: Settings): Omit<Step, 'after'> {
  const { image, sha256, fsType, copy } = root
  const [where, asks] = placeOf(image)
  const held = {
    auto:
      image.kind === 'url'
        ? 'It is copied into memory.'
        : 'It is copied into memory where that is large enough, else read where it is.',
    ram: 'It is copied into memory.',
    place: 'It is read where it is.',
  }[image.kind === 'path' && image.medium === 'initrd' ? 'place' : copy]
  return {
    phase: 'root',
    says: [
      `Takes the image ${where}.`,
      image.kind === 'path' && image.medium === 'initrd' ? 'It is in memory already.' : held,
      ...(sha256 === undefined ? [] : [`Its SHA-256 must be ${sha256.slice(0, 16)}….`]),
      `Mounts it read-only as ${fsType ?? 'what it says that it is, squashfs or erofs,'} with a tmpfs above it by overlayfs.`,
    ],
    because: reasonsFor(settings, [
      ...given(settings, ['root', 'loop', 'cdroot', 'nfsroot', 'alpine_dev']),
      'looptype',
      'diskless.image',
      ...given(settings, ['diskless.image_sha256']),
    ]),
    asks,
  }
}

function placeOf(image: ImageRootPlan['image']): readonly [string, readonly Ask[]] {
  switch (image.kind) {
    case 'url':
      return [
        `by the network${image.urls.length > 1 ? ', from the first mirror that has it' : ''}: ${listed(image.urls.map(redactUrl))}`,
        image.urls.map((url) => ({ whom: redactUrl(url), what: 'the image' })),
      ]
    case 'nfs':
      return [
        `${image.path} of the share ${showNfsShare(image.share)}`,
        [askShare(image.share, `the image ${image.path} on`)],
      ]
    case 'path':
      if (image.medium === 'initrd') return [`${image.path} of the initrd`, []]
      if (image.medium === 'any')
        return [`${image.path} of the initrd, else of the first medium that has it`, []]
      return [`${image.path} of ${showDeviceName(image.medium)}`, []]
  }
}

function diskStep(root: DiskRootPlan, settings: Settings): Omit<Step, 'after'> {
  const { device, fsType, options, waitMs, overlay } = root
  return {
    phase: 'root',
    says: [
      `Waits for ${showDeviceName(device)}${waitMs === undefined ? ', for ever' : `, up to ${showSeconds(waitMs)}`}.`,
      `Mounts it as ${fsType ?? 'the file system that it holds'}, ${options.join(',')}${overlay ? ', with a tmpfs above it: what is written is gone at the next boot' : ''}.`,
    ],
    because: reasonsFor(settings, [
      'root',
      'rootfstype',
      'rootdelay',
      ...given(settings, ['rootwait', 'ro', 'rw', 'rootflags']),
      'overlaytmpfs',
    ]),
    asks: [],
  }
}
