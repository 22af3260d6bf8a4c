/** Where the new root is mounted, what else is mounted while it is made, and how much memory it may have. */
import { availableMemoryOf } from '../boot/memory.ts'
import type { Sys } from '../sys/index.ts'

export const sysroot = '/sysroot'

/** What lies below the root’s overlayfs: the export, the disk, the image. */
export const lowerMount = '/run/diskless/lower'
/** The tmpfs that holds what is written to the new system. */
export const upperMount = '/run/diskless/upper'
/** The disk or share that an image is a file of. */
export const mediumMount = '/run/diskless/medium'
/** The tmpfs that holds a copied image. */
export const imageMount = '/run/diskless/image'

export interface RootEvents {
  readonly onNotice: (text: string) => void
  readonly signal: AbortSignal
  readonly onProgress?: (progress: { readonly bytes: number; readonly total: number | undefined }) => void
}

/** Makes a root where nothing is left of an earlier try, and leaves nothing of this one when it fails. */
export async function buildRoot<T>(
  sys: Pick<Sys, 'mounts' | 'files'>,
  events: Pick<RootEvents, 'onNotice'>,
  build: () => Promise<T>,
): Promise<T> {
  await unmountRoot(sys)
  await sys.files.makeDirectory(sysroot)
  try {
    return await build()
  } catch (error) {
    try {
      await unmountRoot(sys)
    } catch (left) {
      // The reason of the failure is what matters; the next try begins with unmounting too.
      events.onNotice(
        `what was mounted for the root could not be unmounted: ${left instanceof Error ? left.message : left}`,
      )
    }
    throw error
  }
}

/** From a try that failed: the new root and what it is made of, the innermost mounts first. */
export async function unmountRoot(sys: Pick<Sys, 'mounts'>): Promise<void> {
  const ours = [sysroot, lowerMount, upperMount, mediumMount, imageMount]
  const left = (await sys.mounts.list()).filter(({ target }) =>
    ours.some((each) => target === each || target.startsWith(`${each}/`)),
  )
  for (const { target } of left.reverse()) await sys.mounts.unmount(target, { lazy: true })
}

/** Bytes, of now and not of the boot’s begin: a try before may have left less. */
export async function availableMemory(sys: Pick<Sys, 'files'>): Promise<number> {
  return availableMemoryOf(await sys.files.readText('/proc/meminfo'))
}

/**
 * Bytes that a tmpfs may take: what is available less a reserve. tmpfs cannot be reclaimed, so that without one a full
 * root were a dead machine and not an error.
 */
export async function memoryForRoot(sys: Pick<Sys, 'files'>): Promise<number> {
  const available = await availableMemory(sys)
  return Math.max(available - Math.max(24 * 2 ** 20, Math.floor(available / 10)), 0)
}
