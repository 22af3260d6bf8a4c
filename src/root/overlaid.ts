/** A root that cannot or shall not be written, and a tmpfs above it: overlayfs at /sysroot. */
import { BootError, hasCode, type Sys, SysError } from '../sys/index.ts'
import { lowerMount, memoryForRoot, sysroot, upperMount } from './mounted.ts'

/**
 * What is mounted at `lowerMount` becomes the lower layer. Afterwards /sysroot is the only mount of the three: overlayfs
 * holds its layers by private clones of their mounts (clone_private_mount, fs/overlayfs/super.c), so that the new system
 * never sees the layers, and its shutdown cannot trip over a file server that it would unmount too early.
 */
export async function overlayRoot(
  sys: Pick<Sys, 'mounts' | 'files'>,
  /** For a person: what lies below. */
  what: string,
): Promise<{ readonly bytes: number }> {
  const bytes = await memoryForRoot(sys)
  await sys.files.makeDirectory(upperMount)
  await sys.mounts.mount({
    type: 'tmpfs',
    source: 'tmpfs',
    target: upperMount,
    options: ['mode=0755', `size=${bytes}`],
  })
  // The upper directory is what the new root's own mode is read from.
  const below = await sys.files.status(lowerMount)
  await sys.files.makeDirectory(`${upperMount}/upper`)
  await sys.files.setMode(`${upperMount}/upper`, below?.mode ?? 0o755)
  await sys.files.makeDirectory(`${upperMount}/work`)
  await mountOverlay(sys, sysroot, what, [
    `lowerdir=${lowerMount}`,
    `upperdir=${upperMount}/upper`,
    `workdir=${upperMount}/work`,
  ])
  await sys.mounts.unmount(upperMount, { lazy: true })
  await sys.mounts.unmount(lowerMount, { lazy: true })
  return { bytes }
}

export async function mountOverlay(
  sys: Pick<Sys, 'mounts'>,
  target: string,
  what: string,
  options: readonly string[],
): Promise<void> {
  try {
    await sys.mounts.mount({ type: 'overlay', source: 'diskless', target, options })
  } catch (cause) {
    if (!(cause instanceof SysError) || hasCode(cause, 'ABORTED')) throw cause
    throw new BootError(`no overlayfs could be laid over ${what}`, {
      cause,
      advice: hasCode(cause, 'ENODEV')
        ? ['this kernel has no overlayfs: put the module into the initrd (diskless build --modules overlay)']
        : ['the kernel’s words above say which layer it does not take'],
    })
  }
}
