/** Where fstab(5) wants the media of a boot, and where what is there can be found before they are moved. */
import { type DeviceName, parseDeviceName } from '../boot/device.ts'
import { type FstabEntry, isOfMountProgram, parseFstab } from '../overlay/fstab.ts'
import type { Sys } from '../sys/index.ts'
import { comparable } from './device.ts'
import type { Medium } from './media.ts'

export interface MediumPlaces {
  readonly medium: Medium
  /** Where it will be: as a line says that names a place below /media, or else where it is. */
  readonly home: string
  /** Where it will be besides: a partition may be for /boot, and hold packages and the overlay all the same. */
  readonly also: readonly string[]
  /** Of the home's line, or else the first's; writable as soon as one of the lines asks for that. */
  readonly options: readonly string[]
  /** The mount points of all its lines. */
  readonly lines: readonly string[]
}

export async function readFstab(sys: Pick<Sys, 'files'>, root: string): Promise<readonly FstabEntry[]> {
  const path = await sys.files.resolveIn(root, '/etc/fstab')
  return path === undefined ? [] : parseFstab(await sys.files.readText(path))
}

/** Those media that fstab speaks of. */
export async function placesOfMedia(
  sys: Pick<Sys, 'devices'>,
  entries: readonly FstabEntry[],
  media: readonly Medium[],
): Promise<readonly MediumPlaces[]> {
  const usb = await usbDisks(sys)
  return media.flatMap((medium) => {
    const lines = entries.filter(
      (entry) =>
        entry.mountPoint.startsWith('/') && entry.mountPoint !== '/' && isNamedBy(medium, entry.device, usb),
    )
    // It is mounted already: noauto is for those that are not. But nobody asked for one in a second place.
    const home = lines.find(({ mountPoint }) => mountPoint.startsWith('/media/'))
    const also = lines.filter((line) => line !== home && !line.options.includes('noauto'))
    const [first] = home === undefined ? also : [home]
    if (first === undefined) return []
    const readOnly = [first, ...also].every(({ options }) => options.includes('ro'))
    const options = first.options.filter((option) => !isOfMountProgram(option) && !/^r[ow]$/.test(option))
    return {
      medium,
      home: home?.mountPoint ?? medium.target,
      also: [...new Set(also.map(({ mountPoint }) => mountPoint))],
      options: [readOnly ? 'ro' : 'rw', ...options],
      lines: lines.map(({ mountPoint }) => mountPoint),
    }
  })
}

/** Where a path of the new system is now. Undefined: on none of these media. */
export function presentPath(
  path: string,
  places: readonly MediumPlaces[],
  media: readonly Medium[],
): string | undefined {
  const roots = [
    ...places.flatMap(({ medium, home, also }) =>
      [home, ...also].map((place) => ({ place, target: medium.target })),
    ),
    ...media.map(({ target }) => ({ place: target, target })),
  ]
  const root = roots.find(({ place }) => path === place || path.startsWith(`${place}/`))
  return root === undefined ? undefined : root.target + path.slice(root.place.length)
}

function isNamedBy({ name, contents }: Medium, device: string, usb: ReadonlySet<string>): boolean {
  if (device === name) return true
  // Alpine's own names, of its fstab as installed.
  if (device === '/dev/cdrom') return /^\/dev\/sr\d+$/.test(name)
  if (device === '/dev/usbdisk') return usb.has(name)
  const named = parseDeviceName(device)
  if (named === undefined || contents === undefined) return false
  return named.kind === 'path' ? named.path === name : isSame(contents[named.kind], named)
}

function isSame(value: string | undefined, named: Exclude<DeviceName, { kind: 'path' }>): boolean {
  return value !== undefined && comparable(value) === comparable(named.value)
}

/** As Alpine's mdev tells them apart. */
async function usbDisks(sys: Pick<Sys, 'devices'>): Promise<ReadonlySet<string>> {
  const disks = (await sys.devices.list()).filter(
    ({ subsystem, devname, path }) =>
      subsystem === 'block' && devname?.startsWith('sd') && /\/usb\d/.test(path),
  )
  return new Set(disks.map(({ devname }) => `/dev/${devname}`))
}
