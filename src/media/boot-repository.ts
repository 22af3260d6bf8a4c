/**
 * Repositories on local media, as Alpine finds them: every block device that has a file system is mounted read-only at
 * /media/NAME, and a directory with a file `.boot_repository`, at most three levels down, is a repository.
 */
import { type Device, hasCode, type MountEntry, type Sys } from '../sys/index.ts'

/** In the order in which they are tried; one that this kernel does not have is passed over. */
const filesystems = ['iso9660', 'vfat', 'ext4', 'squashfs', 'xfs', 'btrfs', 'f2fs', 'exfat', 'erofs', 'udf']

/** Paths of the repositories, and what was looked at, for the error of who needs one. */
export interface MediaSearch {
  readonly repositories: readonly string[]
  readonly devices: readonly string[]
}

export async function findBootRepositories(sys: Sys): Promise<MediaSearch> {
  const devices = (await sys.devices.list()).filter(isMedium)
  const known = devices.length === 0 ? [] : await knownFilesystems(sys)
  const mounted = await sys.mounts.list()
  const repositories: string[] = []
  for (const device of devices) {
    const place = await mountMedium(sys, device, known, mounted)
    if (place !== undefined) repositories.push(...(await repositoriesBelow(sys, place, 3)))
  }
  return { repositories, devices: devices.map(({ devname }) => `/dev/${devname}`) }
}

function isMedium({ subsystem, devname }: Device): boolean {
  return subsystem === 'block' && devname !== undefined && !/^(loop|ram|zram|nbd|dm-)/.test(devname)
}

async function knownFilesystems(sys: Sys): Promise<readonly string[]> {
  for (const type of filesystems) {
    try {
      await sys.modules.load(type)
    } catch (error) {
      // Built in, or not in this initrd: /proc/filesystems says which.
      if (!hasCode(error, 'ENOENT')) throw error
    }
  }
  const listed = (await sys.files.readText('/proc/filesystems')).split('\n').map((line) => line.trim())
  return filesystems.filter((type) => listed.includes(type))
}

async function mountMedium(
  sys: Sys,
  { devname }: Device,
  types: readonly string[],
  mounted: readonly MountEntry[],
): Promise<string | undefined> {
  const source = `/dev/${devname}`
  const already = mounted.find((entry) => entry.source === source)
  if (already !== undefined) return already.target
  const target = `/media/${devname}`
  await sys.files.makeDirectory(target)
  for (const type of types) {
    try {
      await sys.mounts.mount({ type, source, target, options: ['ro'], timeoutMs: 20_000 })
      return target
    } catch (error) {
      // Not of this type, an empty drive, a partition table: the next type, or none.
      if (!hasCode(error, 'EINVAL', 'ENOMEDIUM', 'ENXIO', 'EIO', 'EUCLEAN', 'ENODEV', 'EBUSY')) throw error
    }
  }
  return undefined
}

async function repositoriesBelow(sys: Sys, directory: string, levels: number): Promise<readonly string[]> {
  const found: string[] = []
  for (const name of await sys.files.list(directory)) {
    if (name === '.boot_repository') found.push(directory)
    else if (levels > 0 && (await sys.files.status(`${directory}/${name}`))?.kind === 'directory') {
      found.push(...(await repositoriesBelow(sys, `${directory}/${name}`, levels - 1)))
    }
  }
  return found
}
