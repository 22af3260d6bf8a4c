/**
 * What a test says of its fake machine.
 *
 *     const disk: Media = { type: 'ext4', files: { '/x': 'x' }, contents: { label: 'APKOVL', uuid: '…' } }
 *     const options: MachineOptions = {
 *       disks: [{ devname: 'nvme0n1p1', media: disk }, { devname: 'sda1', media: stick, afterMs: 3000 }],
 *       media: { '10.0.2.2:/srv': { type: 'nfs', versions: ['3'], files: { '/boot/modloop': 'the modloop' } } },
 *       images: { 'the modloop': { type: 'squashfs', files: { '/modules/6.1.0-fake/modules.dep': '' } } },
 *       servers: { 'http://10.0.2.2/x': { body: encrypt('…', { cipher: 'aes-256-cbc', keyDerivation: 'pbkdf2', password }) } },
 *       typed: ['wrong', password],
 *     }
 *     const machine = fakeMachine(options)
 *     await machine.run(boot(machine))
 *     const next = fakeMachine(serversDown(options)) // finds on the disks what the first one left
 */

import type { Console } from '../../../src/sys/index.ts'
import type { VirtualClock } from './clock.ts'
import type { Typed } from './consoles.ts'
import type { DeviceScript } from './devices.ts'
import type { DiskScript } from './disks.ts'
import type { Seed } from './filesystem.ts'
import type { LinkScript, Times } from './links.ts'
import type { Media } from './media.ts'
import type { ModuleScript } from './modules.ts'
import type { Program } from './processes.ts'
import type { Answer, Server } from './servers.ts'

export interface MachineOptions {
  /** The kernel command line. */
  readonly commandLine?: string
  /** Bytes. Default 512 MiB. */
  readonly memory?: number
  /** What the initramfs holds, besides empty directories. */
  readonly files?: Readonly<Record<string, Seed>>
  /** /proc, /sys and /dev are not mounted yet, as for the first program of a boot. */
  readonly bare?: boolean
  /** What /proc and /sys show besides, by the paths they have when mounted there. */
  readonly kernel?: Readonly<Record<string, Seed>>
  /** Default: ttyS0, preferred. */
  readonly consoles?: readonly Console[]
  /** Serial lines besides, which are no consoles of the kernel's: `ttyS1`. */
  readonly lines?: readonly string[]
  /** Without any, servers can be reached at once. With some, a request needs an address, a route and a carrier. */
  readonly links?: readonly LinkScript[]
  readonly devices?: readonly DeviceScript[]
  /** By name, with `_` for `-`. */
  readonly modules?: Readonly<Record<string, ModuleScript>>
  /**
   * Disks and sticks with what is on them: a device, its node and its medium at once. A partition (`nvme0n1p1`) brings
   * its disk too. `afterMs` for one that comes late; `machine.devices.disappear(path)` for one that is pulled.
   */
  readonly disks?: readonly DiskScript[]
  /**
   * Media by source: `/dev/vda1` (for a device that is scripted elsewhere), `10.0.2.2:/export` (NFS; a server without any
   * refuses the connection), the path of an image's file. `fileSystemOf(media)` shows what is on one now.
   */
  readonly media?: Readonly<Record<string, Media>>
  /**
   * What images hold, by the text in their files: a file with this text, wherever it is and however it came there, is
   * that image for `probe` and `attachLoop`.
   */
  readonly images?: Readonly<Record<string, Media>>
  /** File system types built into the kernel. Default: all that have no module of their name in `modules`. */
  readonly fileSystems?: readonly string[]
  /**
   * HTTP and TFTP answers by URL, without user and password; `*` for every other. Unknown ones get 404. An answer with
   * `etag` or `lastModified` is told as its validator, and is a 304 for who has it. `serversDown(options)` switches all off.
   */
  readonly servers?: Readonly<Record<string, Answer | Server>>
  /** Addresses of server names; '' for one that does not exist. Others resolve to an address behind the default route. */
  readonly names?: Readonly<Record<string, string>>
  /** Time servers; others do not answer. */
  readonly times?: Times
  readonly program?: Program
  /**
   * What somebody types at `consoles.ask`: lines in their order, or by the question. Nobody (undefined, or no line left):
   * TIMEOUT. `machine.consoles.asked` has the questions.
   */
  readonly typed?: Typed
  /** Shared by the machines of a fleet. */
  readonly clock?: VirtualClock
  readonly seed?: number
}

/**
 * The same machine where no server answers: none for DHCP, HTTP or TFTP, and no NFS export. Disks keep what they hold,
 * cables stay plugged in.
 */
export function serversDown(options: MachineOptions): MachineOptions {
  const { links, media } = options
  const local = Object.entries(media ?? {}).filter(([source]) => source.startsWith('/'))
  return {
    ...options,
    servers: { '*': { fails: 'ECONNREFUSED' } },
    ...(links === undefined ? {} : { links: links.map((link) => ({ ...link, dhcp: () => [] })) }),
    ...(media === undefined ? {} : { media: Object.fromEntries(local) }),
  }
}
