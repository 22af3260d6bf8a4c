/**
 * Kernel modules of a system in RAM: Alpine's modloop (a squashfs with `modules/VERSION`), as its service in the new
 * system looks for it, or a plain tree, copied into the root or mounted there.
 */
import { isMounted } from '../media/mounts.ts'
import type { Sys } from '../sys/index.ts'
import { hasCode, type SysError } from '../sys/index.ts'
import { directoryIn } from './in-root.ts'
import { sysroot } from './ram.ts'

/** What the builder knows of the modloop: etc/diskless/config.json. */
export interface KnownModloop {
  readonly sha256: string
  /** Bytes. */
  readonly size: number
}

const configPath = '/etc/diskless/config.json'

export async function readKnownModloop(sys: Pick<Sys, 'files'>): Promise<KnownModloop | undefined> {
  if ((await sys.files.status(configPath)) === undefined) return undefined
  const config: unknown = JSON.parse(await sys.files.readText(configPath))
  if (typeof config !== 'object' || config === null || !('modloop' in config)) return undefined
  const { modloop } = config
  if (typeof modloop !== 'object' || modloop === null) return undefined
  if (!('sha256' in modloop && typeof modloop.sha256 === 'string')) return undefined
  if (!('size' in modloop && typeof modloop.size === 'number')) return undefined
  return { sha256: modloop.sha256, size: modloop.size }
}

/**
 * The name below /lib by which Alpine's service knows a modloop that is there already: what follows the URL's last
 * slash, a query included: of several mirrors the last one's. Undefined: no file can have that name.
 */
export function modloopName(urls: readonly string[]): string | undefined {
  const url = urls.at(-1) ?? ''
  const name = url.slice(url.lastIndexOf('/') + 1)
  return name === '' || name === '.' || name === '..' ? undefined : name
}

/** Whether an image has modules of a kernel. */
export type ModloopVerdict =
  | { readonly kind: 'has' }
  /** Those that it has. */
  | { readonly kind: 'lacks'; readonly versions: readonly string[] }
  | { readonly kind: 'unreadable'; readonly error: SysError }
  /** This initrd cannot mount a squashfs. */
  | { readonly kind: 'unknown'; readonly error: SysError }

const mountPoint = '/run/diskless/modloop'

/** Milliseconds for a mount: the file may be on a disk, or a server, that does not answer. */
const mountMs = 30_000

export async function inspectModloop(sys: Sys, file: string, kernel: string): Promise<ModloopVerdict> {
  try {
    const device = await sys.devices.attachLoop(file, { readOnly: true })
    try {
      await sys.files.makeDirectory(mountPoint)
      const request = { type: 'squashfs', source: device, target: mountPoint, options: ['ro'] }
      await sys.mounts.mount({ ...request, timeoutMs: mountMs })
    } catch (error) {
      await sys.devices.detachLoop(device)
      throw error
    }
  } catch (error) {
    // No loop device, or no driver of squashfs.
    if (hasCode(error, 'ENODEV', 'ENOENT', 'ENXIO', 'ENOSYS')) return { kind: 'unknown', error }
    if (hasCode(error, 'EINVAL', 'EIO', 'EUCLEAN', 'EBADMSG', 'ETIMEDOUT', 'TIMEOUT')) {
      return { kind: 'unreadable', error }
    }
    throw error
  }
  try {
    if ((await sys.files.status(`${mountPoint}/modules/${kernel}`)) !== undefined) return { kind: 'has' }
    const hasAny = (await sys.files.status(`${mountPoint}/modules`))?.kind === 'directory'
    const names = hasAny ? await sys.files.list(`${mountPoint}/modules`) : []
    return { kind: 'lacks', versions: names.filter((name) => name !== 'firmware') }
  } finally {
    // The loop device goes with its last user.
    await sys.mounts.unmount(mountPoint)
  }
}

/** Where a download waits: lib may still become a symlink while packages are installed. */
export const waitingModloop = `${sysroot}/.diskless-modloop`

/** Moves the fetched modloop to where the service looks for it, and the signatures that the initrd has beside. */
export async function placeModloop(sys: Sys, name: string): Promise<void> {
  const place = `${await directoryIn(sys, sysroot, 'lib')}/${name}`
  await sys.files.remove(place)
  await sys.files.rename(waitingModloop, place)
  await copySignatures(sys)
}

const signatures = '/var/cache/misc'

/** Alpine's service reads MODLOOP.SIGN.RSA.KEY here. */
export async function copySignatures(sys: Sys): Promise<void> {
  if ((await sys.files.status(signatures)) === undefined) return
  const names = (await sys.files.list(signatures)).filter((name) => name.includes('.SIGN.RSA.'))
  if (names.length === 0) return
  const directory = await directoryIn(sys, sysroot, signatures.slice(1))
  for (const name of names) {
    await sys.files.remove(`${directory}/${name}`)
    await sys.files.copy(`${signatures}/${name}`, `${directory}/${name}`)
  }
}

/**
 * Copies the modules of this kernel, a directory with modules.dep in it, to where modprobe looks for them. Undefined: a
 * package brought them already.
 */
export async function copyModules(
  sys: Sys,
  from: string,
  kernel: string,
): Promise<{ readonly bytes: number; readonly files: number } | undefined> {
  const directory = await placeForModules(sys, kernel)
  return directory === undefined ? undefined : sys.files.copyTree(from, directory)
}

/** Undefined: a package brought its own. */
async function placeForModules(sys: Sys, kernel: string): Promise<string | undefined> {
  if ((await sys.files.resolveIn(sysroot, `/lib/modules/${kernel}/modules.dep`)) !== undefined)
    return undefined
  const lib = await directoryIn(sys, sysroot, 'lib')
  // As the modloop's service leaves it: a symlink to where nothing is mounted yet.
  const dangles = (await sys.files.resolveIn(sysroot, '/lib/modules')) === undefined
  if (dangles) await sys.files.remove(`${lib}/modules`)
  return directoryIn(sys, sysroot, `lib/modules/${kernel}`)
}

const treeMount = '/run/diskless/modules'

/** Holds a medium's tree of modules: until it is placed, fstab may have moved the medium. */
export async function takeTree(sys: Pick<Sys, 'files' | 'mounts'>, directory: string): Promise<void> {
  await releaseTree(sys)
  await sys.files.makeDirectory(treeMount)
  await sys.mounts.bind(directory, treeMount)
}

/** Of this try, or of one before. */
async function releaseTree(sys: Pick<Sys, 'mounts'>): Promise<void> {
  if (!(await isMounted(sys, treeMount))) return
  await sys.mounts.unmount(treeMount, { lazy: true })
}

/** Mounts what `takeTree` holds where modprobe looks for it. False: a package brought its own. */
export async function placeTree(sys: Sys, kernel: string): Promise<boolean> {
  const directory = await placeForModules(sys, kernel)
  if (directory === undefined) await releaseTree(sys)
  else await sys.mounts.move(treeMount, directory)
  return directory !== undefined
}

/** The initrd's firmware, where the root has none of its own: a driver may be loaded again. */
export async function copyFirmware(sys: Sys): Promise<void> {
  if ((await sys.files.status('/lib/firmware')) === undefined) return
  if ((await sys.files.resolveIn(sysroot, '/lib/firmware')) !== undefined) return
  await sys.files.copyTree('/lib/firmware', await directoryIn(sys, sysroot, 'lib/firmware'))
}

/** The service would remove /lib/modules, or fail for want of a modloop. Resolves with the runlevels that had it. */
export async function removeModloopService(sys: Sys): Promise<readonly string[]> {
  const runlevels = await sys.files.resolveIn(sysroot, '/etc/runlevels')
  if (runlevels === undefined) return []
  const had: string[] = []
  for (const runlevel of await sys.files.list(runlevels)) {
    const directory = await sys.files.resolveIn(sysroot, `/etc/runlevels/${runlevel}`)
    if (directory === undefined || (await sys.files.status(`${directory}/modloop`)) === undefined) continue
    await sys.files.remove(`${directory}/modloop`)
    had.push(runlevel)
  }
  return had
}

/** kmod's modprobe reads only the binary tables that its own depmod writes; busybox' reads the text that is there. */
export async function usesKmod(sys: Sys): Promise<boolean> {
  const program = await sys.files.resolveIn(sysroot, '/sbin/modprobe')
  return program?.endsWith('/kmod') ?? false
}
