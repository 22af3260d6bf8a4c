/**
 * overlayfs of the fake machine. The layers are merged when it is mounted; what is changed in it is changed in the upper
 * layer too, and what is removed leaves a whiteout there (the kernel's: a character device 0:0).
 * Directories of a lower layer that were removed and made again show their old content at the next mount: there are no
 * opaque ones.
 */

import type { MountRequest } from '../../../src/sys/index.ts'
import { refusal } from './faults.ts'
import { FileSystem, type Stats } from './filesystem.ts'
import { join, type MountTree, type Place, parentOf } from './tree.ts'

const OPERATION = 'mounts.mount'
/** They lack what an upper layer needs: extended attributes, whiteouts, or writing. */
const NEVER_UPPER = new Set([
  'nfs',
  'vfat',
  'exfat',
  'ntfs',
  'iso9660',
  'squashfs',
  'erofs',
  'udf',
  'overlay',
])

interface Layer {
  readonly fileSystem: FileSystem
  readonly base: string
}

export function mountOverlay(tree: MountTree, request: MountRequest, device: string): FileSystem {
  const value = (key: string) =>
    request.options.find((option) => option.startsWith(`${key}=`))?.slice(key.length + 1)
  const refused = (why: string) => refusal('EINVAL', OPERATION, request.target, why)
  const directory = (path: string): Place => {
    const place = tree.existing(OPERATION, path)
    if (place.stats.kind !== 'directory') throw refusal('ENOTDIR', OPERATION, path)
    return place
  }
  const lower = value('lowerdir')
  if (lower === undefined) throw refused('overlayfs: missing lowerdir')
  const lowers = lower.split(':').map(directory)
  const upperPath = value('upperdir')
  if (upperPath === undefined) return new OverlayFileSystem(lowers.map(layerOf), undefined, device)
  const workPath = value('workdir')
  if (workPath === undefined) throw refused('overlayfs: missing workdir')
  const upper = directory(upperPath)
  const work = directory(workPath)
  if (upper.mount !== work.mount) throw refused('overlayfs: workdir and upperdir must be on one mount')
  if (`${work.outer}/`.startsWith(`${upper.outer}/`) || `${upper.outer}/`.startsWith(`${work.outer}/`)) {
    throw refused('overlayfs: workdir and upperdir must be separate')
  }
  if (NEVER_UPPER.has(upper.mount.fileSystem.type))
    throw refused('overlayfs: filesystem of upperdir not supported')
  if (upper.mount.options.includes('ro') || upper.mount.fileSystem.readOnly) {
    throw refusal('EROFS', OPERATION, upperPath)
  }
  return new OverlayFileSystem(lowers.map(layerOf), layerOf(upper), device)
}

function layerOf({ mount, inner }: Place): Layer {
  return { fileSystem: mount.fileSystem, base: inner }
}

class OverlayFileSystem extends FileSystem {
  readonly #lowers: readonly Layer[]
  readonly #upper: Layer | undefined
  /** While the layers are merged, nothing is written to the upper one. */
  readonly #merged: boolean

  /** `lowers`: the topmost first. */
  constructor(lowers: readonly Layer[], upper: Layer | undefined, device: string) {
    super({ type: 'overlay', device, readOnly: upper === undefined })
    this.#lowers = lowers
    this.#upper = upper
    this.#merged = false
    for (const layer of [...(upper === undefined ? [] : [upper]), ...lowers].reverse()) {
      copyInto(this, '/', layer.fileSystem, layer.base)
    }
    this.#merged = true
  }

  override get room(): FileSystem['room'] {
    return this.#upper?.fileSystem.room ?? super.room
  }

  override write(path: string, content: Uint8Array, mode: number, append = false): void {
    const whole =
      append && this.status(path) !== undefined ? Buffer.concat([this.read(path), content]) : content
    // First above: a full upper layer refuses, and then nothing has changed.
    this.#above(path, (upper, inner) => upper.write(inner, whole, mode))
    super.write(path, whole, mode)
    this.#keep(path)
  }

  override makeDirectory(path: string, mode: number): void {
    super.makeDirectory(path, mode)
    this.#above(path, (upper, inner) => upper.makeDirectory(inner, mode))
  }

  override makeNode(path: string, kind: 'block' | 'char', device: string, mode: number): void {
    super.makeNode(path, kind, device, mode)
    this.#above(path, (upper, inner) => upper.makeNode(inner, kind, device, mode))
  }

  override symlink(target: string, path: string): void {
    super.symlink(target, path)
    this.#above(path, (upper, inner) => upper.symlink(target, inner))
  }

  override hardLink(existing: string, path: string): void {
    super.hardLink(existing, path)
    this.#copyUp(existing)
    this.#above(path, (upper, inner) => upper.hardLink(this.#inUpper(existing), inner))
  }

  override setMode(path: string, mode: number): void {
    super.setMode(path, mode)
    this.#copyUp(path)
    this.#above(path, (upper, inner) => upper.setMode(inner, mode))
  }

  override setOwner(path: string, uid: number, gid: number): void {
    super.setOwner(path, uid, gid)
    this.#copyUp(path)
    this.#above(path, (upper, inner) => upper.setOwner(inner, uid, gid))
  }

  override remove(path: string): void {
    super.remove(path)
    this.#whiteOut(path)
  }

  override rename(from: string, to: string): void {
    super.rename(from, to)
    this.#whiteOut(from)
    this.#copyUp(to)
  }

  /** Does something to the upper layer's own file of this path. */
  #above(path: string, act: (upper: FileSystem, inner: string) => void): void {
    const upper = this.#upper
    if (upper === undefined || !this.#merged) return
    if (path !== '/') this.#copyUp(parentOf(path), 'alone')
    const inner = this.#inUpper(path)
    if (isWhiteout(upper.fileSystem.status(inner))) upper.fileSystem.remove(inner)
    act(upper.fileSystem, inner)
  }

  /** Gives the upper layer what is at this path; `alone`: of a directory only itself. */
  #copyUp(path: string, how: 'whole' | 'alone' = 'whole'): void {
    const upper = this.#upper
    const stats = this.status(path)
    if (upper === undefined || !this.#merged || stats === undefined) return
    const inner = this.#inUpper(path)
    const there = upper.fileSystem.status(inner)
    if (there !== undefined && !isWhiteout(there)) return
    if (path !== '/') this.#copyUp(parentOf(path), 'alone')
    if (there !== undefined) upper.fileSystem.remove(inner)
    if (stats.kind === 'directory' && how === 'alone') {
      upper.fileSystem.makeDirectory(inner, stats.mode)
      upper.fileSystem.setOwner(inner, stats.uid, stats.gid)
    } else {
      copyInto(upper.fileSystem, inner, this, path)
    }
  }

  /** What was written keeps the mode and owner that it had below. */
  #keep(path: string): void {
    const stats = this.status(path)
    if (stats === undefined) return
    this.#above(path, (upper, inner) => {
      upper.setMode(inner, stats.mode)
      upper.setOwner(inner, stats.uid, stats.gid)
    })
  }

  #whiteOut(path: string): void {
    const upper = this.#upper
    if (upper === undefined || !this.#merged) return
    const inner = this.#inUpper(path)
    const below = this.#lowers.some(({ fileSystem, base }) => {
      return fileSystem.status(inLayer(base, path)) !== undefined
    })
    if (below) this.#copyUp(parentOf(path), 'alone')
    upper.fileSystem.remove(inner)
    if (below) upper.fileSystem.makeNode(inner, 'char', '0:0', 0)
  }

  #inUpper(path: string): string {
    return inLayer(this.#upper?.base ?? '/', path)
  }
}

function inLayer(base: string, path: string): string {
  if (path === '/') return base
  return base === '/' ? path : base + path
}

function isWhiteout(stats: Stats | undefined): boolean {
  return stats?.kind === 'char' && stats.node === '0:0'
}

/** Lays a tree over another one: what is there goes, but for directories that meet directories. */
function copyInto(to: FileSystem, target: string, from: FileSystem, source: string): void {
  const stats = from.status(source)
  if (stats === undefined) return
  const there = to.status(target)
  if (there !== undefined && (there.kind !== 'directory' || stats.kind !== 'directory')) to.remove(target)
  if (isWhiteout(stats)) return
  if (stats.kind === 'directory') {
    to.makeDirectory(target, stats.mode)
    for (const name of from.list(source)) copyInto(to, join(target, name), from, join(source, name))
  } else if (stats.kind === 'symlink') to.symlink(from.readLink(source), target)
  else if (stats.node !== undefined)
    to.makeNode(target, stats.kind === 'block' ? 'block' : 'char', stats.node, 0)
  else to.write(target, from.read(source), stats.mode)
  if (stats.kind !== 'symlink') to.setMode(target, stats.mode)
  to.setOwner(target, stats.uid, stats.gid)
}
