/** What an inspection finds: the data, for `--json`, and the same as a sheet for a person. */

import type { Sheet } from '../sheet.ts'

export interface Inspection {
  readonly kind: Kind
  /** As `--json` prints it. */
  readonly data: Readonly<Record<string, unknown>>
  readonly sheet: Sheet
  /** A signature is wrong, or not by a key that is given; the files are not those that were signed. */
  readonly failed: boolean
}

export const kinds = {
  initrd: 'an initrd: cpio archives, plain or compressed with zstd, gzip or xz',
  overlay: 'an overlay (apkovl): tar.gz or tar.zst, or one that openssl enc encrypted',
  index: 'an index of packages: APKINDEX.tar.gz',
  package: 'a package of apk 2 (one of apk 3 by its name)',
  lock: 'a lock of diskless lock',
  kernel: 'a kernel: vmlinuz',
  image: 'a squashfs or erofs image, a modloop among them',
  manifest: 'the manifest of diskless publish',
} as const

export type Kind = keyof typeof kinds

export interface InspectOptions {
  /** For messages: the file’s name. */
  readonly subject: string
  /** Where it is, for programs that look into it; undefined: it is in memory. */
  readonly path?: string
  /** Public keys, PEM, by name; none: signatures are only told. */
  readonly keys: ReadonlyMap<string, Buffer>
  /** Every name, where else the largest few are listed. */
  readonly all: boolean
}
