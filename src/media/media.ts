/**
 * The media of a boot into RAM: the share or device of alpine_dev=, that of the overlay, and, where something is still
 * to be found, every block device. Each is mounted read-only at /media/NAME; those that held nothing are let go.
 */
import { type DeviceName, type PlaceOnDevice, parseDeviceName, showDeviceName } from '../boot/device.ts'
import { showNfsShare } from '../boot/nfs.ts'
import { type OverlayPlan, type RamRootPlan, seeksRepositories } from '../boot/root-plan.ts'
import type { FstabEntry } from '../overlay/fstab.ts'
import { isOverlayName } from '../overlay/name.ts'
import { BootError, type Contents, chainOf, hasCode, type Sys, SysError } from '../sys/index.ts'
import { type BlockDevice, blockDevices, mountDevice, waitForDevice, whyNotMountable } from './device.ts'
import { isMounted } from './mounts.ts'
import { mountNfs } from './nfs.ts'
import { settleDisks } from './settle.ts'

export interface Medium {
  /** `/dev/vda1`, `SERVER:/PATH`. */
  readonly name: string
  /** `/media/alpine_dev`, `/media/vda1`. */
  readonly target: string
  /** Of a device. */
  readonly contents?: Contents
}

export interface Media {
  readonly media: readonly Medium[]
  /** Directories with a `.boot_repository`. */
  readonly repositories: readonly string[]
  /** Paths of the files at a medium’s root that are named as overlays are. */
  readonly overlays: readonly string[]
  /** Where the device of apkovl=DEVICE is mounted. */
  readonly overlayTarget: string | undefined
  /** Everything that was looked at, for the error of who found nothing. */
  readonly looked: readonly string[]
}

export interface MediaEvents {
  /** Milliseconds for the server of alpine_dev=nfs:…; two minutes unless told. */
  readonly patienceMs?: number
  readonly onNotice: (text: string) => void
  readonly onWarning: (text: string) => void
  readonly signal: AbortSignal
}

export const noMedia: Media = {
  media: [],
  repositories: [],
  overlays: [],
  overlayTarget: undefined,
  looked: [],
}

/** Alpine’s name for the medium that its command line names. */
export const mediumTarget = '/media/alpine_dev'

const patienceMs = 30_000

/** What the plan leaves to be found on media. */
export function wantsMedia(root: RamRootPlan): boolean {
  return (
    root.medium !== undefined ||
    root.overlay.kind === 'device' ||
    root.overlay.kind === 'search' ||
    seeksRepositories(root) ||
    modloopPath(root) !== undefined
  )
}

/** Of modloop=PATH. */
function modloopPath({ modules }: RamRootPlan): string | undefined {
  return modules.kind === 'modloop' ? modules.path : undefined
}

/** `nextServer`: for a share that names no server. */
export async function openMedia(
  sys: Sys,
  root: RamRootPlan,
  nextServer: string | undefined,
  events: MediaEvents,
): Promise<Media> {
  const found: Found[] = []
  if (root.medium !== undefined) found.push(await mountNamed(sys, root.medium, nextServer, events))
  let overlayTarget: string | undefined
  if (root.overlay.kind === 'device') {
    const place = await mountOverlayDevice(sys, root.overlay, events)
    overlayTarget = place?.medium.target
    if (place !== undefined && !found.some(({ medium }) => medium.target === overlayTarget)) found.push(place)
  }
  const looked: string[] = []
  const lacksRepository = seeksRepositories(root) && !found.some((each) => each.repositories.length > 0)
  const lacksOverlay = root.overlay.kind === 'search' && !found.some((each) => each.overlays.length > 0)
  const path = modloopPath(root)
  const lacksModloop = path !== undefined && !(await anyHas(sys, found, path))
  // A named medium that has no repository leaves the overlay’s own: other disks are not asked then, as on Alpine.
  if (lacksOverlay || lacksModloop || (lacksRepository && root.medium === undefined)) {
    const { devices, useful } = await searchDisks(sys, found, lacksModloop ? path : undefined, events)
    looked.push(...devices)
    found.push(...useful)
  }
  return {
    media: found.map(({ medium }) => medium),
    repositories: found.flatMap(({ repositories }) => repositories),
    overlays: found.flatMap(({ overlays }) => overlays),
    overlayTarget,
    looked: [...found.map(({ medium }) => medium.name), ...looked],
  }
}

interface Found {
  readonly medium: Medium
  readonly repositories: readonly string[]
  readonly overlays: readonly string[]
}

async function mountNamed(
  sys: Sys,
  named: NonNullable<RamRootPlan['medium']>,
  nextServer: string | undefined,
  events: MediaEvents,
): Promise<Found> {
  if (named.kind === 'device')
    return mountPlace(sys, named.place, 'the medium of alpine_dev=', mediumTarget, events)
  const { share } = named
  if (!(await isMounted(sys, mediumTarget))) {
    const { onNotice, signal, patienceMs } = events
    await mountNfs(sys, share, {
      target: mediumTarget,
      options: ['ro'],
      defaultServer: nextServer,
      reads: 'fail',
      ...(patienceMs === undefined ? {} : { patienceMs }),
      onNotice,
      signal,
    })
  }
  const name = showNfsShare({ ...share, server: share.server ?? nextServer })
  try {
    return await lookInto(sys, { name, target: mediumTarget })
  } catch (cause) {
    if (!hasCode(cause, 'ETIMEDOUT', 'EIO')) throw cause
    throw new BootError(`${name} was mounted, and does not answer any more`, {
      cause,
      advice: ['look at the server, its log, and the network between'],
    })
  }
}

async function mountPlace(
  sys: Sys,
  { device: name, fsType }: PlaceOnDevice,
  what: string,
  target: string | undefined,
  { onNotice, signal }: MediaEvents,
): Promise<Found> {
  const device = await waitForDevice(sys, name, { what, deadlineMs: patienceMs, onNotice, signal })
  return lookInto(sys, await mountAt(sys, device, target ?? targetOf(device), fsType))
}

/** Undefined: it is not there, and may be missing. */
async function mountOverlayDevice(
  sys: Sys,
  overlay: Extract<OverlayPlan, { kind: 'device' }>,
  events: MediaEvents,
): Promise<Found | undefined> {
  try {
    return await mountPlace(sys, overlay.place, 'the overlay’s medium', undefined, events)
  } catch (error) {
    if (!overlay.optional || !(error instanceof BootError)) throw error
    events.onWarning(chainOf(error).join(': '))
    return undefined
  }
}

function targetOf({ path }: BlockDevice): string {
  return `/media/${path.replace(/^\/dev\//, '').replaceAll('/', '-')}`
}

async function mountAt(
  sys: Sys,
  device: BlockDevice,
  target: string,
  fsType?: string | undefined,
): Promise<Medium> {
  // From an earlier try.
  const before = (await sys.mounts.list()).find(
    (entry) => entry.source === device.path && entry.target.startsWith('/media/'),
  )
  const medium = { name: device.path, contents: device.contents }
  if (before !== undefined) return { ...medium, target: before.target }
  await mountDevice(sys, device, { target, fsType, options: ['ro'] })
  return { ...medium, target }
}

async function anyHas(sys: Pick<Sys, 'files'>, found: readonly Found[], path: string): Promise<boolean> {
  for (const { medium } of found) {
    if ((await sys.files.resolveIn(medium.target, path)) !== undefined) return true
  }
  return false
}

/** `path`: that of a file that makes a disk useful, too. */
async function searchDisks(
  sys: Sys,
  already: readonly Found[],
  path: string | undefined,
  events: MediaEvents,
) {
  await settleDisks(sys, events.signal)
  const known = new Set(already.map(({ medium }) => medium.name))
  const devices = (await blockDevices(sys, events.onNotice)).filter(
    (device) => !known.has(device.path) && whyNotMountable(device) === undefined,
  )
  const useful: Found[] = []
  for (const device of devices) {
    try {
      const found = await lookInto(sys, await mountAt(sys, device, targetOf(device)))
      const holds = found.repositories.length + found.overlays.length > 0
      if (holds || (path !== undefined && (await anyHas(sys, [found], path)))) useful.push(found)
      else await sys.mounts.unmount(found.medium.target)
    } catch (error) {
      await passOver(sys, device, error, events)
    }
  }
  return { devices: devices.map(({ path }) => path), useful }
}

/** Somebody else’s disk may be damaged, or pulled just now; what is looked for may be on another. */
async function passOver(
  sys: Pick<Sys, 'mounts'>,
  device: BlockDevice,
  error: unknown,
  events: MediaEvents,
): Promise<void> {
  if (!(error instanceof BootError) && !(error instanceof SysError)) throw error
  if (hasCode(error, 'ABORTED')) throw error
  events.onWarning(`${device.path} is passed over: ${chainOf(error).join(': ')}`)
  const target = targetOf(device)
  if (await isMounted(sys, target)) await sys.mounts.unmount(target, { lazy: true })
}

async function lookInto(sys: Pick<Sys, 'files'>, medium: Medium): Promise<Found> {
  const names = await sys.files.list(medium.target)
  const overlays = names.filter(isOverlayName)
  return {
    medium,
    repositories: await repositoriesBelow(sys, medium.target, 3),
    overlays: overlays.map((name) => `${medium.target}/${name}`),
  }
}

/** A medium is somebody’s, and may have more directories than anybody wants to see. */
const mostDirectories = 2000

/** A directory with a file `.boot_repository`, at most so many levels down, as Alpine finds them. */
async function repositoriesBelow(
  sys: Pick<Sys, 'files'>,
  top: string,
  levels: number,
): Promise<readonly string[]> {
  const found: string[] = []
  let level = [top]
  let seen = 0
  for (let depth = 0; depth <= levels && seen < mostDirectories; depth++) {
    const below: string[] = []
    for (const directory of level) {
      if (++seen > mostDirectories) break
      const names = await sys.files.list(directory).catch((error: unknown): readonly string[] => {
        // Somebody else's: a server that stopped, or a dying disk, is another matter.
        if (hasCode(error, 'EACCES', 'EPERM', 'ENOENT', 'ENOTDIR')) return []
        throw error
      })
      if (names.includes('.boot_repository')) found.push(directory)
      else if (depth < levels) {
        for (const name of names) {
          const path = `${directory}/${name}`
          if ((await sys.files.status(path))?.kind === 'directory') below.push(path)
        }
      }
    }
    level = below
  }
  return found
}

const cacheMs = 5000

/** A medium that only fstab names: what else was looked for, was not on it. Rejects where it does not come, or is damaged. */
export async function mountMedium(
  sys: Sys,
  entry: Pick<FstabEntry, 'device'>,
  what: string,
  { onNotice, signal }: MediaEvents,
): Promise<Medium | undefined> {
  const name = parseDeviceName(entry.device)
  if (name === undefined) return undefined
  const device = await waitForDevice(sys, name, { what, deadlineMs: cacheMs, onNotice, signal })
  return mountAt(sys, device, targetOf(device))
}

/** Where a file is, on whichever disk has it; its disk stays mounted at /media/NAME. */
export async function findOnDisks(
  sys: Sys,
  path: string,
  from: DeviceName | 'any',
  events: MediaEvents,
): Promise<string | undefined> {
  if (from !== 'any') {
    const file = await fileOn(sys, await waitForNamed(sys, from, path, events), path)
    if (file === undefined) throw new BootError(`${showDeviceName(from)} has no ${path}`)
    return file
  }
  for (const device of await everyDisk(sys, events)) {
    if (whyNotMountable(device) !== undefined) continue
    try {
      const file = await fileOn(sys, device, path)
      if (file !== undefined) return file
    } catch (error) {
      await passOver(sys, device, error, events)
    }
  }
  return undefined
}

/** Undefined: it is not there, and the disk is let go. */
async function fileOn(sys: Sys, device: BlockDevice, path: string): Promise<string | undefined> {
  const { target } = await mountAt(sys, device, targetOf(device))
  const file = await sys.files.resolveIn(target, path)
  if (file === undefined) await sys.mounts.unmount(target)
  return file
}

async function everyDisk(sys: Sys, { onNotice, signal }: MediaEvents): Promise<readonly BlockDevice[]> {
  await settleDisks(sys, signal)
  return blockDevices(sys, onNotice)
}

function waitForNamed(
  sys: Sys,
  name: DeviceName,
  path: string,
  { onNotice, signal }: MediaEvents,
): Promise<BlockDevice> {
  return waitForDevice(sys, name, {
    what: `the medium of ${path}`,
    deadlineMs: patienceMs,
    onNotice,
    signal,
  })
}
