/**
 * One file system of the fake machine: a memfs volume, with the device nodes and the limit on its size that memfs lacks.
 * Modes and owners are kept beside it, as memfs enforces them against whoever runs the tests, and PID 1 is root.
 */

import { Volume } from 'memfs'
import type { ErrorCode, FileKind } from '../../../src/sys/index.ts'
import { refusal } from './faults.ts'

/** What a test puts at a path. */
export type Seed =
  | string
  | Uint8Array
  | {
      readonly content: string | Uint8Array
      readonly mode?: number
      readonly uid?: number
      readonly gid?: number
    }
  | { readonly symlink: string }
  | { readonly directory: true; readonly mode?: number }
  | { readonly node: 'block' | 'char'; readonly device: string }

export interface Stats {
  readonly kind: FileKind
  readonly mode: number
  readonly size: number
  readonly uid: number
  readonly gid: number
  /** Of a device node. */
  readonly node: string | undefined
  /** Hard links of one file have the same. */
  readonly inode: number
}

export interface FileSystemOptions {
  readonly type: string
  readonly device: string
  readonly files?: Readonly<Record<string, Seed>>
  /** Bytes that its files may take; not limited when absent. */
  readonly capacity?: number
  readonly readOnly?: boolean
}

/** Paths here are inside this file system and hold no symlinks but, where said, at their end. */
export class FileSystem {
  readonly type: string
  readonly device: string
  /** Writing is refused, whatever its mounts' flags say. */
  readonly readOnly: boolean
  capacity: number | undefined
  readonly #volume = new Volume()
  readonly #live = new Map<string, () => string>()
  readonly #nodes = new Map<number, { kind: 'block' | 'char'; device: string }>()
  readonly #attributes = new Map<number, { mode: number; uid: number; gid: number }>()
  #used = 0

  constructor(options: FileSystemOptions) {
    this.type = options.type
    this.device = options.device
    this.readOnly = options.readOnly ?? false
    this.#attributes.set(this.#inode('/'), { mode: 0o755, uid: 0, gid: 0 })
    for (const [path, seed] of Object.entries(options.files ?? {})) this.seed(path, seed)
    this.capacity = options.capacity
  }

  get used(): number {
    return this.#used
  }

  /** What statfs(2) tells. */
  get room(): { readonly capacity: number | undefined; readonly used: number } {
    return { capacity: this.capacity, used: this.#used }
  }

  seed(path: string, seed: Seed): void {
    const parent = path.slice(0, path.lastIndexOf('/'))
    if (parent !== '') this.makeDirectory(parent, 0o755)
    if (typeof seed === 'string' || seed instanceof Uint8Array) {
      this.write(path, Buffer.from(seed), 0o644)
    } else if ('content' in seed) {
      this.write(path, Buffer.from(seed.content), seed.mode ?? 0o644)
      this.setMode(path, seed.mode ?? 0o644)
      this.setOwner(path, seed.uid ?? 0, seed.gid ?? 0)
    } else if ('symlink' in seed) {
      this.symlink(seed.symlink, path)
    } else if ('directory' in seed) {
      this.makeDirectory(path, seed.mode ?? 0o755)
      this.setMode(path, seed.mode ?? 0o755)
    } else {
      this.makeNode(path, seed.node, seed.device, 0o660)
    }
  }

  /** lstat. */
  status(path: string): Stats | undefined {
    const found = this.#volume.lstatSync(path, { throwIfNoEntry: false })
    if (found === undefined) return undefined
    const node = this.#nodes.get(Number(found.ino))
    const kind: FileKind =
      node?.kind ?? (found.isSymbolicLink() ? 'symlink' : found.isDirectory() ? 'directory' : 'file')
    return {
      kind,
      ...this.#attributesOf(Number(found.ino)),
      size: kind === 'file' ? Number(found.size) : 0,
      node: node?.device,
      inode: Number(found.ino),
    }
  }

  /** A file whose text is made when it is read, as in procfs. */
  showLive(path: string, text: () => string): void {
    this.seed(path, '')
    this.#live.set(path, text)
  }

  read(path: string): Buffer {
    const live = this.#live.get(path)
    if (live !== undefined) return Buffer.from(live())
    return Buffer.from(this.#volume.readFileSync(path))
  }

  /** Creates with `mode`, or replaces the content and keeps the mode. */
  write(path: string, content: Uint8Array, mode: number, append = false): void {
    const before = this.status(path)
    const growth = content.length - (append || before === undefined ? 0 : before.size)
    this.#claim(growth, path)
    if (append) this.#volume.appendFileSync(path, Buffer.from(content))
    else this.#volume.writeFileSync(path, Buffer.from(content))
    if (before === undefined) {
      this.setMode(path, mode)
      this.setOwner(path, 0, 0)
    }
  }

  list(path: string): string[] {
    return this.#volume.readdirSync(path).map(String).sort()
  }

  makeDirectory(path: string, mode: number): void {
    let at = ''
    for (const part of path.split('/').filter(Boolean)) {
      at += `/${part}`
      if (this.status(at) !== undefined) continue
      this.#volume.mkdirSync(at)
      this.setMode(at, mode)
      this.setOwner(at, 0, 0)
    }
  }

  makeNode(path: string, kind: 'block' | 'char', device: string, mode: number): void {
    this.#volume.writeFileSync(path, '')
    this.#nodes.set(Number(this.#volume.lstatSync(path).ino), { kind, device })
    this.setMode(path, mode)
    this.setOwner(path, 0, 0)
  }

  remove(path: string): void {
    this.#used -= this.#size(path)
    this.#forget(path)
    // rmSync would follow a symlink.
    const kind = this.status(path)?.kind
    if (kind === 'directory') this.#volume.rmSync(path, { recursive: true, force: true })
    else if (kind !== undefined) this.#volume.unlinkSync(path)
  }

  rename(from: string, to: string): void {
    const target = this.status(to)
    if (target !== undefined && target.kind !== 'directory') this.remove(to)
    this.#volume.renameSync(from, to)
  }

  symlink(target: string, path: string): void {
    this.#volume.symlinkSync(target, path)
  }

  hardLink(existing: string, path: string): void {
    this.#volume.linkSync(existing, path)
  }

  readLink(path: string): string {
    return String(this.#volume.readlinkSync(path))
  }

  setMode(path: string, mode: number): void {
    const inode = this.#inode(path)
    this.#attributes.set(inode, { ...this.#attributesOf(inode), mode })
  }

  setOwner(path: string, uid: number, gid: number): void {
    const inode = this.#inode(path)
    this.#attributes.set(inode, { ...this.#attributesOf(inode), uid, gid })
  }

  #inode(path: string): number {
    return Number(this.#volume.lstatSync(path).ino)
  }

  #attributesOf(inode: number): { readonly mode: number; readonly uid: number; readonly gid: number } {
    return this.#attributes.get(inode) ?? { mode: 0o777, uid: 0, gid: 0 }
  }

  /** Inode numbers are used again, so what goes away must not leave its attributes. */
  #forget(path: string): void {
    const stats = this.status(path)
    if (stats?.kind === 'directory') {
      for (const name of this.list(path)) this.#forget(path === '/' ? `/${name}` : `${path}/${name}`)
    }
    if (stats === undefined || (stats.kind === 'file' && this.#volume.lstatSync(path).nlink > 1)) return
    this.#nodes.delete(stats.inode)
    this.#attributes.delete(stats.inode)
  }

  #size(path: string): number {
    const stats = this.status(path)
    if (stats?.kind !== 'directory') return stats?.size ?? 0
    return this.list(path).reduce(
      (sum, name) => sum + this.#size(path === '/' ? `/${name}` : `${path}/${name}`),
      0,
    )
  }

  #claim(bytes: number, path: string): void {
    const code: ErrorCode = 'ENOSPC'
    if (this.capacity !== undefined && this.#used + bytes > this.capacity) throw refusal(code, 'files', path)
    this.#used += bytes
  }
}
