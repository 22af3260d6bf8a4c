/**
 * What the new root's fstab(5) says of media: one that is mounted already goes to where its line wants it, with the line's
 * options; shares of NFS servers are mounted. Everything else is the new system's own to mount.
 */
import { parseDeviceName } from '../boot/device.ts'
import { parseNfsShare } from '../boot/nfs.ts'
import { type FstabEntry, isOfMountProgram, parseFstab } from '../overlay/fstab.ts'
import { BootError, chainOf, type Sys, SysError } from '../sys/index.ts'
import type { Media, MediaEvents, Medium } from './media.ts'
import { mountNfs } from './nfs.ts'

/** Where a medium was mounted, and where its files are in the new system. */
export interface Moved {
  readonly from: string
  readonly to: string
}

/** Whatever goes wrong is a warning: the system comes up, and its own services try again. */
export async function honourFstab(
  sys: Sys,
  root: string,
  { media }: Media,
  nextServer: string | undefined,
  events: MediaEvents,
): Promise<readonly Moved[]> {
  const path = await sys.files.resolveIn(root, '/etc/fstab')
  if (path === undefined) return []
  const moved: Moved[] = []
  for (const entry of parseFstab(await sys.files.readText(path))) {
    const { mountPoint } = entry
    if (!mountPoint.startsWith('/') || mountPoint === '/' || entry.options.includes('noauto')) continue
    const medium = media.find((each) => isNamedBy(each, entry))
    try {
      if (medium !== undefined && !moved.some(({ from }) => from === medium.target)) {
        await moveTo(sys, root, medium, entry)
        moved.push({ from: medium.target, to: mountPoint })
      } else if (/^nfs4?$/.test(entry.type)) await mountShare(sys, root, entry, nextServer, events)
    } catch (error) {
      if (!(error instanceof BootError) && !(error instanceof SysError)) throw error
      if (events.signal.aborted) throw error
      events.onWarning(`etc/fstab: ${entry.device} on ${mountPoint}: ${chainOf(error).join(': ')}`)
    }
  }
  return moved
}

function isNamedBy({ name, contents }: Medium, { device }: FstabEntry): boolean {
  if (device === name) return true
  const named = parseDeviceName(device)
  if (named === undefined || contents === undefined) return false
  return named.kind === 'path' ? named.path === name : contents[named.kind] === named.value
}

async function moveTo(sys: Sys, root: string, medium: Medium, entry: FstabEntry): Promise<void> {
  const target = await placeIn(sys, root, entry.mountPoint)
  await sys.mounts.move(medium.target, target)
  const options = entry.options.filter((option) => !isOfMountProgram(option))
  await sys.mounts.remount(
    target,
    options.includes('ro') ? options : ['rw', ...options.filter((each) => each !== 'rw')],
  )
}

async function mountShare(
  sys: Sys,
  root: string,
  entry: FstabEntry,
  defaultServer: string | undefined,
  { onNotice, signal }: MediaEvents,
): Promise<void> {
  const share = parseNfsShare([entry.device, ...entry.options].join(','))
  if (share === undefined) throw new BootError(`${entry.device} is not an NFS share`)
  const target = await placeIn(sys, root, entry.mountPoint)
  await mountNfs(sys, share, { target, options: [], defaultServer, onNotice, signal })
}

/** The mount point inside the root, made if it is not there; a symlink in its way cannot lead outside. */
async function placeIn(sys: Sys, root: string, mountPoint: string): Promise<string> {
  const found = await sys.files.resolveIn(root, mountPoint)
  if (found !== undefined) return found
  const slash = mountPoint.lastIndexOf('/')
  const parent = slash <= 0 ? root : await placeIn(sys, root, mountPoint.slice(0, slash))
  const made = `${parent}/${mountPoint.slice(slash + 1)}`
  await sys.files.makeDirectory(made)
  return made
}
