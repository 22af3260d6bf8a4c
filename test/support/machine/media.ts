/** What a test puts on disks, in images and on NFS servers. */

import type { Contents, ErrorCode } from '../../../src/sys/index.ts'
import { FileSystem, type Seed } from './filesystem.ts'

/**
 * What a block device, an image or an NFS export holds. What is written to it stays with this object: a second
 * machine with the same one finds what the first left.
 */
export interface Media {
  /** `ext4`, `squashfs`, `nfs`, …: the type to mount it as; `swap`, `crypto_LUKS` and their like cannot be mounted. */
  readonly type: string
  readonly files?: Readonly<Record<string, Seed>>
  readonly capacity?: number
  /** Write-protected: a device must be mounted `ro` (else EACCES), an export refuses writes. */
  readonly readOnly?: boolean
  /** What `probe` says of it besides its type. The size is its capacity, or 1 GiB, unless told. */
  readonly contents?: Partial<Contents>
  /** Its first blocks cannot be read: so probing ends, and mounting; `hangs`: until the deadline. */
  readonly probe?: ErrorCode | 'hangs'
  /** Partitions of a disk or an image, which get devices of their own. */
  readonly partitions?: readonly Media[]
  /** Mounting takes so long; for ever with Infinity. */
  readonly delayMs?: number
  /** Every mount of it fails so: a damaged file system, a corrupt image. */
  readonly fails?: {
    readonly code: ErrorCode
    readonly message?: string
    readonly detail?: readonly string[]
  }
  /** The NFS versions that the server speaks: `4.2`, `3`. All when absent. */
  readonly versions?: readonly string[]
  /** The NFS server refuses this client: EACCES. */
  readonly access?: 'denied'
}

/** They have no way of writing. */
const READ_ONLY = new Set(['squashfs', 'erofs', 'iso9660'])
/** How mount(2) and blkid(8) name one and the same. */
const FAMILIES: Readonly<Record<string, string>> = { nfs4: 'nfs', ntfs3: 'ntfs' }

const opened = new WeakMap<Media, FileSystem>()
let minor = 0

/** The file system on a medium, as it is now: for tests to see what was left there, and to spoil it. */
export function fileSystemOf(media: Media): FileSystem {
  const known = opened.get(media)
  if (known !== undefined) return known
  minor += 1
  const { type, files, capacity } = media
  const fileSystem = new FileSystem({
    type,
    device: `254:${minor}`,
    ...(files === undefined ? {} : { files }),
    ...(capacity === undefined ? {} : { capacity }),
    readOnly: READ_ONLY.has(type) || (family(type) === 'nfs' && media.readOnly === true),
  })
  opened.set(media, fileSystem)
  return fileSystem
}

export function family(type: string): string {
  return FAMILIES[type] ?? type
}

/** What the first blocks say: nothing, of a device that no test says anything of. */
export function contentsOf(media: Media | undefined): Contents {
  return {
    type: media?.type,
    uuid: undefined,
    label: undefined,
    partUuid: undefined,
    partLabel: undefined,
    size: media?.capacity ?? 2 ** 30,
    ...media?.contents,
  }
}
