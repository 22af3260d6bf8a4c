/**
 * What the new root's fstab(5) says of media: one that is mounted already goes to where its lines want it, with their
 * options; shares of NFS servers are mounted. Everything else is the new system's own to mount.
 */
import { parseNfsShare } from '../boot/nfs.ts'
import type { NetworkUp } from '../network/network-up.ts'
import type { FstabEntry } from '../overlay/fstab.ts'
import { BootError, chainOf, type Sys, SysError } from '../sys/index.ts'
import type { Media, MediaEvents } from './media.ts'
import { mountNfs } from './nfs.ts'
import { type MediumPlaces, placesOfMedia, readFstab } from './places.ts'

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
  online: Pick<NetworkUp, 'server'> | undefined,
  events: MediaEvents,
): Promise<readonly Moved[]> {
  const entries = await readFstab(sys, root)
  const moved: Moved[] = []
  const attempt = async (what: string, act: () => Promise<void>) => {
    try {
      await act()
    } catch (error) {
      if (!(error instanceof BootError) && !(error instanceof SysError)) throw error
      if (events.signal.aborted) throw error
      events.onWarning(`etc/fstab: ${what}: ${chainOf(error).join(': ')}`)
    }
  }
  for (const places of await placesOfMedia(sys, entries, media)) {
    await attempt(`${places.medium.name} on ${places.lines.join(', ')}`, async () => {
      const { target } = places.medium
      if (places.home !== target) moved.push({ from: target, to: places.home })
      await settleMedium(sys, root, places)
    })
  }
  for (const entry of entries.filter(isShare)) {
    await attempt(`${entry.device} on ${entry.mountPoint}`, () =>
      mountShare(sys, root, entry, online, events),
    )
  }
  return moved
}

function isShare({ type, mountPoint, options }: FstabEntry): boolean {
  return /^nfs4?$/.test(type) && mountPoint.startsWith('/') && !options.includes('noauto')
}

/** The one that stays where it is, is moved with everything else at the hand-over. */
async function settleMedium(
  sys: Sys,
  root: string,
  { medium, home, also, options }: MediumPlaces,
): Promise<void> {
  const place = home === medium.target ? home : await placeIn(sys, root, home)
  if (place !== medium.target) await sys.mounts.move(medium.target, place)
  await sys.mounts.remount(place, options)
  // Bound after that: they take its flags over, so that whoever makes one writable or not, finds the other the same.
  for (const mountPoint of also) {
    const target = await placeIn(sys, root, mountPoint)
    await sys.mounts.bind(
      place,
      target,
      options.filter((option) => option !== 'rw'),
    )
  }
}

async function mountShare(
  sys: Sys,
  root: string,
  entry: FstabEntry,
  online: Pick<NetworkUp, 'server'> | undefined,
  { onNotice, signal }: MediaEvents,
): Promise<void> {
  // Minutes of asking a server that cannot be reached.
  if (online === undefined) throw new BootError('it is left to the new system, as there is no network')
  const share = parseNfsShare([entry.device, ...entry.options].join(','))
  if (share === undefined) throw new BootError(`${entry.device} is not an NFS share`)
  const target = await placeIn(sys, root, entry.mountPoint)
  await mountNfs(sys, share, {
    target,
    options: [],
    defaultServer: online.server,
    reads: 'wait',
    onNotice,
    signal,
  })
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
