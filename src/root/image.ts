/** The root in an image: squashfs or erofs behind a loop device, and a tmpfs above it. */
import type { ImageRootPlan } from '../boot/root-plan.ts'
import type { NetworkUp } from '../network/network-up.ts'
import { BootError, hasCode, type Sys, SysError } from '../sys/index.ts'
import { type FindOnMedia, type ImageFile, obtainImage } from './image-file.ts'
import { bringResolver, keepNetwork } from './kept-network.ts'
import { buildRoot, imageMount, lowerMount, mediumMount, type RootEvents } from './mounted.ts'
import { overlayRoot } from './overlaid.ts'

export interface ImageRoot {
  /** For a person, without a password. */
  readonly from: string
  readonly fsType: 'squashfs' | 'erofs'
  /** `medium`, `nfs`: read in place. */
  readonly place: ImageFile['place']
}

const probeMs = 30_000
const mountMs = 60_000

/**
 * `findOnMedia` is asked for an image that is not in the initrd and whose medium nobody named.
 *
 * Rejects with a BootError: no image, one that is damaged, too large or something else. Nothing is mounted then.
 */
export function mountImageRoot(
  sys: Sys,
  plan: ImageRootPlan,
  network: NetworkUp | undefined,
  findOnMedia: FindOnMedia,
  events: RootEvents,
): Promise<ImageRoot> {
  return buildRoot(sys, events, async () => {
    const image = await obtainImage(sys, plan, network, findOnMedia, events)
    const fsType = await typeOf(sys, plan, image)
    await mountImage(sys, plan, image, fsType)
    await overlayRoot(sys, image.from)
    await letGo(sys)
    if (network !== undefined) {
      await bringResolver(sys)
      if (image.place === 'nfs') await keepNetwork(sys, network, events)
    }
    return { from: image.from, fsType, place: image.place }
  })
}

/** Before the loop device: what else it is, is a matter for a message. */
async function typeOf(
  sys: Pick<Sys, 'devices'>,
  { fsType: asked }: ImageRootPlan,
  { path, from }: ImageFile,
): Promise<'squashfs' | 'erofs'> {
  const { type } = await sys.devices.probe(path, probeMs)
  if (type !== 'squashfs' && type !== 'erofs') {
    throw new BootError(
      `the image ${from} is ${type === undefined ? 'nothing that diskless knows, or damaged' : type}, neither squashfs nor erofs`,
      {
        advice: [
          type === 'iso9660'
            ? 'an ISO is a medium: serve the image that is in it, or write the ISO to a disk'
            : 'make it with mksquashfs or mkfs.erofs; a web page served with status 200 looks like this too',
        ],
      },
    )
  }
  if (asked === undefined || asked === type) return type
  throw new BootError(`looptype=${asked}, but the image ${from} is ${type}`, {
    advice: [`write looptype=${type}, or leave it out`],
  })
}

async function mountImage(sys: Sys, plan: ImageRootPlan, image: ImageFile, type: string): Promise<void> {
  const device = await attach(sys, image)
  await sys.files.makeDirectory(lowerMount)
  try {
    await sys.mounts.mount({
      type,
      source: device,
      target: lowerMount,
      options: ['ro'],
      timeoutMs: mountMs,
    })
  } catch (cause) {
    if (!(cause instanceof SysError) || hasCode(cause, 'ABORTED')) throw cause
    throw explainMount(plan, image, type, cause)
  } finally {
    // Its last user is the mount now, or nobody: a later failure must not keep the image in memory.
    await sys.devices.detachLoop(device)
  }
  if ((await sys.files.status(`${lowerMount}/LiveOS/rootfs.img`))?.kind !== 'file') return
  throw new BootError(`the image ${image.from} holds another one, LiveOS/rootfs.img, and no system`, {
    advice: ['images inside of images are not supported: make a squashfs of the files themselves'],
  })
}

async function attach(sys: Sys, { path, from }: ImageFile): Promise<string> {
  let without: SysError | undefined
  try {
    await sys.modules.load('loop')
  } catch (error) {
    // Not there as a module: then it is built in, or attaching says that it is not.
    if (!hasCode(error, 'ENOENT')) throw error
    without = error
  }
  try {
    return await sys.devices.attachLoop(path, { readOnly: true })
  } catch (cause) {
    if (!(cause instanceof SysError) || hasCode(cause, 'ABORTED')) throw cause
    throw new BootError(`the image ${from} could not be made a loop device`, {
      cause,
      advice: without === undefined ? [] : ['the initrd has no driver for it: diskless build --modules loop'],
    })
  }
}

function explainMount(
  { sha256 }: ImageRootPlan,
  { from }: ImageFile,
  type: string,
  cause: SysError,
): BootError {
  if (hasCode(cause, 'ENODEV')) {
    return new BootError(`the image ${from} is ${type}, which this kernel cannot read`, {
      cause,
      advice: [`put the module into the initrd: diskless build --modules ${type}`],
    })
  }
  if (hasCode(cause, 'TIMEOUT')) {
    return new BootError(`the image ${from} does not answer: its medium or server stands still`, { cause })
  }
  const check =
    sha256 === undefined
      ? 'give its sha256sum as diskless.image_sha256=, and a damaged one is known before it is mounted'
      : 'it has the SHA-256 that was asked for: it was made so, or this kernel lacks its compression'
  return new BootError(`the image ${from} is damaged: it cannot be mounted as ${type}`, {
    cause,
    advice: ['compare it with the original (sha256sum on both), and copy it again', check],
  })
}

/**
 * overlayfs holds the loop device, that its file, and that its file system: nothing of these needs to be seen any more,
 * and a disc whose image is in memory can be taken out. Below /media is the disk on which a search found the image.
 */
async function letGo(sys: Pick<Sys, 'mounts'>): Promise<void> {
  for (const { target } of await sys.mounts.list()) {
    const ours = target === imageMount || target === mediumMount || target.startsWith('/media/')
    if (ours) await sys.mounts.unmount(target, { lazy: true })
  }
}
