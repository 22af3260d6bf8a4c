/** `sys.files` of the fake machine. */

import { type FileStatus, type Files, hasCode, SysError } from '../../../src/sys/index.ts'
import { copyTree } from './copy-tree.ts'
import { type Faults, refusal } from './faults.ts'
import type { Seed } from './filesystem.ts'
import { type MountTree, type Place, parentOf } from './tree.ts'

const MIB = 1 << 20
/** What statfs tells of a file system without a limit of its own. */
const PLENTY = 1 << 40

export class FakeFiles implements Files {
  readonly tree: MountTree
  readonly #faults: Faults

  constructor(tree: MountTree, faults: Faults) {
    this.tree = tree
    this.#faults = faults
  }

  async readText(path: string): Promise<string> {
    const bytes = this.read(path, 'files.readText')
    if (bytes.length > MIB) throw refusal('TOO_BIG', 'files.readText', path, `more than ${MIB} bytes`)
    return bytes.toString('utf8')
  }

  async readTexts(paths: readonly string[]): Promise<ReadonlyMap<string, string>> {
    const texts = new Map<string, string>()
    for (const path of paths) {
      try {
        texts.set(path, await this.readText(path))
      } catch (error) {
        if (!(error instanceof SysError)) throw error
      }
    }
    return texts
  }

  async writeText(
    path: string,
    text: string,
    options: { readonly mode?: number; readonly append?: boolean } = {},
  ): Promise<void> {
    this.write(path, Buffer.from(text), { operation: 'files.writeText', ...options })
  }

  async status(path: string): Promise<FileStatus | undefined> {
    this.#faults.check('files.status', path)
    const place = this.#look(path, 'files.status')
    if (place?.stats === undefined) return undefined
    const { kind, mode, size, uid, gid, node } = place.stats
    return { kind, mode, size, uid, gid, device: node ?? place.mount.fileSystem.device }
  }

  async list(directory: string): Promise<readonly string[]> {
    this.#faults.check('files.list', directory)
    const { mount, inner, stats } = this.tree.existing('files.list', directory)
    if (stats.kind !== 'directory') throw refusal('ENOTDIR', 'files.list', directory)
    return mount.fileSystem.list(inner)
  }

  async makeDirectory(path: string, mode = 0o755): Promise<void> {
    this.makeDirectories(path, mode)
  }

  async remove(path: string): Promise<void> {
    this.#faults.check('files.remove', path)
    const place = this.#look(path, 'files.remove')
    if (place?.stats === undefined) return
    this.tree.writable('files.remove', path, false)
    if (this.tree.mounts.some((mount) => `${mount.target}/`.startsWith(`${place.outer}/`) && mount.parent)) {
      throw refusal('EBUSY', 'files.remove', path)
    }
    place.mount.fileSystem.remove(place.inner)
  }

  async rename(from: string, to: string): Promise<void> {
    this.#faults.check('files.rename', from)
    const source = this.tree.writable('files.rename', from, false)
    if (source.stats === undefined) throw refusal('ENOENT', 'files.rename', from)
    const target = this.tree.writable('files.rename', to, false)
    if (source.mount.fileSystem !== target.mount.fileSystem) throw refusal('EXDEV', 'files.rename', from)
    if (target.stats?.kind === 'directory' && source.stats.kind !== 'directory') {
      throw refusal('EISDIR', 'files.rename', to)
    }
    source.mount.fileSystem.rename(source.inner, target.inner)
  }

  async symlink(target: string, path: string): Promise<void> {
    this.#faults.check('files.symlink', path)
    const place = this.tree.writable('files.symlink', path, false)
    if (place.stats !== undefined) throw refusal('EEXIST', 'files.symlink', path)
    place.mount.fileSystem.symlink(target, place.inner)
  }

  async readLink(path: string): Promise<string> {
    const { mount, inner, stats } = this.tree.existing('files.readLink', path, false)
    if (stats.kind !== 'symlink') throw refusal('EINVAL', 'files.readLink', path)
    return mount.fileSystem.readLink(inner)
  }

  async setMode(path: string, mode: number): Promise<void> {
    this.#faults.check('files.setMode', path)
    const { mount, inner } = this.tree.existing('files.setMode', path)
    mount.fileSystem.setMode(inner, mode)
  }

  async copy(from: string, to: string): Promise<void> {
    const { stats } = this.tree.existing('files.copy', from)
    this.write(to, this.read(from, 'files.copy'), { operation: 'files.copy', mode: stats.mode })
    await this.setMode(to, stats.mode)
  }

  async copyTree(from: string, to: string): Promise<{ readonly bytes: number; readonly files: number }> {
    this.#faults.check('files.copyTree', from)
    return copyTree(this, from, to)
  }

  async resolveIn(root: string, path: string): Promise<string | undefined> {
    const base = this.tree.existing('files.resolveIn', root).outer
    try {
      const place = this.tree.walk('files.resolveIn', path.startsWith('/') ? path : `/${path}`, {
        root: base,
      })
      return place.stats === undefined ? undefined : place.outer
    } catch (error) {
      if (hasCode(error, 'ENOENT', 'ENOTDIR')) return undefined
      throw error
    }
  }

  async space(path: string): Promise<{ readonly total: number; readonly free: number }> {
    const { capacity, used } = this.tree.existing('files.space', path).mount.fileSystem.room
    const total = capacity ?? PLENTY
    return { total, free: total - used }
  }

  async sync(): Promise<void> {
    this.#faults.check('files.sync', '/')
  }

  // What the fake machine's other rooms and tests use, without promises.

  /** The bytes of a regular file. */
  read(path: string, operation = 'files.read'): Buffer {
    this.#faults.check(operation, path)
    const { mount, inner, stats } = this.tree.existing(operation, path)
    if (stats.kind === 'directory') throw refusal('EISDIR', operation, path)
    return mount.fileSystem.read(inner)
  }

  write(
    path: string,
    content: Uint8Array,
    options: { readonly operation?: string; readonly mode?: number; readonly append?: boolean } = {},
  ): void {
    const operation = options.operation ?? 'files.write'
    this.#faults.check(operation, path)
    const { mount, inner, stats } = this.tree.writable(operation, path)
    if (stats?.kind === 'directory') throw refusal('EISDIR', operation, path)
    if (stats?.kind === 'char' || stats?.kind === 'block') return
    try {
      mount.fileSystem.write(inner, content, options.mode ?? 0o644, options.append)
    } catch (error) {
      if (hasCode(error, 'ENOSPC')) throw refusal('ENOSPC', operation, path)
      throw error
    }
  }

  makeDirectories(path: string, mode = 0o755): void {
    this.#faults.check('files.makeDirectory', path)
    const missing: string[] = []
    let at = path.replace(/\/+$/, '') || '/'
    while (this.#look(at, 'files.makeDirectory', true)?.stats === undefined) {
      missing.unshift(at)
      at = parentOf(at)
    }
    if (this.tree.existing('files.makeDirectory', at).stats.kind !== 'directory') {
      throw refusal(missing.length > 0 ? 'ENOTDIR' : 'EEXIST', 'files.makeDirectory', path)
    }
    for (const each of missing) {
      const { mount, inner } = this.tree.writable('files.makeDirectory', each)
      mount.fileSystem.makeDirectory(inner, mode)
    }
  }

  /** Puts something there, parents too, whatever the mounts' flags. */
  seed(path: string, seed: Seed): void {
    this.makeDirectories(parentOf(path))
    const { mount, inner } = this.tree.walk('files.seed', path, { follow: false })
    mount.fileSystem.seed(inner, seed)
  }

  /** The text of a file; undefined when there is none. For tests to look at what was left. */
  text(path: string): string | undefined {
    return this.#look(path, 'files.text', true)?.stats?.kind === 'file'
      ? this.read(path).toString('utf8')
      : undefined
  }

  #look(path: string, operation: string, follow = false): Place | undefined {
    try {
      return this.tree.walk(operation, path, { follow })
    } catch (error) {
      if (hasCode(error, 'ENOENT', 'ENOTDIR')) return undefined
      throw error
    }
  }
}
