/** What is in an initrd: its segments, whose init it is, kernel modules, firmware, keys, certificates, an image of a root. */

import { type Bytes, clean } from './bytes.ts'
import type { CpioEntry } from './cpio.ts'
import { imageType } from './image.ts'
import { contentOf, describeInit, type InitFacts, type Placed } from './init.ts'
import { type CertificateFacts, describeCertificates, describeKey, type KeyFacts } from './keys.ts'
import { readSegments, type Segment } from './segments.ts'

export interface Group {
  readonly name: string
  readonly files: number
  /** Unpacked. */
  readonly bytes: number
}

export interface InitrdFacts {
  readonly size: number
  readonly segments: readonly SegmentFacts[]
  readonly files: number
  /** Of all that the kernel unpacks into memory. */
  readonly unpacked: number
  readonly init: InitFacts
  /** As directories below lib/modules name them. */
  readonly kernels: readonly string[]
  readonly modules: readonly Group[]
  /** Names of the modules, as modprobe knows them. */
  readonly moduleNames: readonly string[]
  readonly firmware: readonly Group[]
  readonly keys: readonly KeyFacts[]
  readonly overlayKeys: readonly KeyFacts[]
  readonly certificates: readonly CertificateFacts[]
  readonly brokenCertificates: number
  readonly keymaps: readonly string[]
  /** Of file systems: a root that comes with the initrd. */
  readonly images: readonly { readonly path: string; readonly type: string; readonly bytes: number }[]
  readonly largest: readonly { readonly path: string; readonly bytes: number }[]
}

export interface SegmentFacts {
  readonly offset: number
  readonly size: number
  readonly packing: Segment['packing']
  readonly unpacked: number
  readonly entries: number
  readonly holds: 'microcode' | 'an image' | 'files'
}

/** By name, as the kernel unpacks it: what comes later counts. */
export function readInitrd(
  bytes: Bytes,
  subject: string,
): {
  readonly segments: readonly Segment[]
  readonly files: ReadonlyMap<string, Placed>
} {
  const segments = readSegments(bytes, subject)
  const files = new Map<string, Placed>()
  for (const { archive, entries } of segments) {
    // Early microcode stays where it is: the kernel takes it from there, before there is any file system.
    if (isMicrocode(entries)) continue
    for (const entry of entries) files.set(entry.name, { entry, archive })
  }
  return { segments, files }
}

/** What the kernel looks for before it unpacks anything, and dracut's mark of such an archive. */
const microcodePath = /^(?:\.?|early_cpio|kernel(?:\/(?:x86|arm64|firmware)(?:\/.*)?)?)$/

function isMicrocode(entries: readonly CpioEntry[]): boolean {
  return entries.length > 0 && entries.every(({ name }) => microcodePath.test(name))
}

const moduleFile = /^(?:usr\/)?lib\/modules\/([^/]+)\/(.+)\/([^/]+)\.ko(?:\.(?:gz|xz|zst))?$/
const firmwareFile = /^(?:usr\/)?lib\/firmware\/(?:([^/]+)\/)?/
const fewLargest = 8

export function inspectInitrd(bytes: Bytes, subject: string): InitrdFacts {
  const { segments, files } = readInitrd(bytes, subject)
  const regular = [...files].filter(([, { entry }]) => entry.kind === 'file')
  const named = (place: RegExp) =>
    regular.flatMap(([path, placed]) => {
      const name = place.exec(path)?.[1]
      return name === undefined ? [] : [{ name, placed }]
    })
  const keysIn = (place: RegExp) =>
    named(place).map(({ name, placed }) => describeKey(name, contentOf(placed)))
  const modules = regular.flatMap(([path, { entry }]) => {
    const [, kernel = '', directory = '', name = ''] = moduleFile.exec(path) ?? []
    return name === '' ? [] : [{ kernel, directory, name, bytes: entry.size }]
  })
  const kernels = new Set(
    [...files.keys()].flatMap((path) => /^(?:usr\/)?lib\/modules\/([^/]+)/.exec(path)?.[1] ?? []),
  )
  const pem = files.get('etc/ssl/cert.pem')
  const { certificates, broken } = describeCertificates(
    pem === undefined ? Buffer.alloc(0) : contentOf(pem, 16 << 20),
  )
  return {
    size: bytes.size,
    segments: segments.map(describeSegment),
    files: regular.length,
    unpacked: regular.reduce((sum, [, { entry }]) => sum + entry.size, 0),
    init: describeInit(files),
    kernels: [...kernels].map(clean).sort(),
    modules: grouped(modules.map(({ directory, bytes }) => ({ name: sectionOf(directory), bytes }))),
    moduleNames: modules.map(({ name }) => clean(name.replaceAll('-', '_'))).sort(),
    firmware: grouped(
      regular.flatMap(([path, { entry }]) => {
        const found = firmwareFile.exec(path)
        return found === null ? [] : [{ name: found[1] ?? '(beside)', bytes: entry.size }]
      }),
    ),
    keys: keysIn(/^etc\/apk\/keys\/([^/]+)$/),
    overlayKeys: keysIn(/^etc\/diskless\/overlay-keys\/([^/]+)$/),
    certificates,
    brokenCertificates: broken,
    keymaps: named(/^lib\/keymaps\/([^/]+?)\.bmap(?:\.gz)?$/).map(({ name }) => clean(name)),
    images: regular.flatMap(([path, { entry, archive }]) => {
      const type = entry.size < 4096 ? undefined : imageType(archive.slice(entry.offset, 2048))
      return type === undefined ? [] : [{ path: `/${clean(path)}`, type, bytes: entry.size }]
    }),
    largest: regular
      .map(([path, { entry }]) => ({ path: clean(path), bytes: entry.size }))
      .sort((a, b) => b.bytes - a.bytes)
      .slice(0, fewLargest),
  }
}

function describeSegment({ offset, size, packing, entries }: Segment): SegmentFacts {
  const image = entries.length > 0 && entries.every(({ kind, size }) => kind !== 'file' || size > 1 << 20)
  return {
    offset,
    size,
    packing,
    unpacked: entries.reduce((sum, entry) => sum + entry.size, 0),
    entries: entries.length,
    holds: isMicrocode(entries) ? 'microcode' : packing === 'none' && image ? 'an image' : 'files',
  }
}

/** `kernel/drivers/net/ethernet/intel` is of `drivers/net`, `kernel/fs/nfs` of `fs`. */
function sectionOf(directory: string): string {
  const parts = directory.split('/').filter((part, n) => !(n === 0 && part === 'kernel'))
  return clean(parts.slice(0, parts[0] === 'drivers' ? 2 : 1).join('/')) || '(beside)'
}

function grouped(items: readonly { readonly name: string; readonly bytes: number }[]): readonly Group[] {
  const groups = new Map<string, Group>()
  for (const { name, bytes } of items) {
    const { files, bytes: before } = groups.get(name) ?? { files: 0, bytes: 0 }
    groups.set(name, { name: clean(name), files: files + 1, bytes: before + bytes })
  }
  return [...groups.values()].sort((a, b) => b.bytes - a.bytes || (a.name < b.name ? -1 : 1))
}
