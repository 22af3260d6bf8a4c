/** Disks of the fake machine: what a test says in one line becomes devices and media. */

import type { DeviceScript } from './devices.ts'
import type { Media } from './media.ts'

export interface DiskScript {
  /** `vda`, `sr0`; or of a partition (`sda1`, `nvme0n1p1`), which brings its disk with a partition table. */
  readonly devname: string
  /** Its own partitions get devices too. Absent: nothing that anybody knows. */
  readonly media?: Media
  /** It appears when this module is loaded; at once when absent. */
  readonly module?: string
  /** Milliseconds from then (or from the start) until it appears, as a USB stick does. */
  readonly afterMs?: number
}

export interface Hardware {
  readonly devices: readonly DeviceScript[]
  /** By device, `/dev/sda1`. */
  readonly media: Readonly<Record<string, Media>>
}

export function hardwareOf(disks: readonly DiskScript[]): Hardware {
  const devices = new Map<string, DeviceScript>()
  const media: Record<string, Media> = {}
  const add = (script: DiskScript, devname: string, held: Media | undefined) => {
    const disk = diskOf(devname)
    const whole = `${BUS}/${disk ?? devname}`
    const { module, afterMs } = script
    const when = {
      ...(module === undefined ? {} : { module }),
      ...(afterMs === undefined ? {} : { afterMs }),
    }
    if (disk !== undefined && !devices.has(disk)) add(script, disk, undefined)
    devices.set(devname, {
      path: disk === undefined ? whole : `${whole}/${devname}`,
      subsystem: 'block',
      devname,
      environment: { DEVTYPE: disk === undefined ? 'disk' : 'partition' },
      ...when,
    })
    if (held !== undefined) media[`/dev/${devname}`] = held
    for (const [index, partition] of (held?.partitions ?? []).entries()) {
      add(script, `${devname}${/\d$/.test(devname) ? 'p' : ''}${index + 1}`, partition)
    }
  }
  for (const script of disks) add(script, script.devname, script.media)
  return { devices: [...devices.values()], media }
}

const BUS = 'devices/pci0000:00/0000:00:1f.2/block'

/** The disk that a partition is on; undefined for a disk. */
function diskOf(devname: string): string | undefined {
  return /^(nvme\d+n\d+|mmcblk\d+)p\d+$/.exec(devname)?.[1] ?? /^((?:[shv]|xv)d[a-z]+)\d+$/.exec(devname)?.[1]
}
