/** `sys.mounts` of the fake machine, and the file systems that a test puts on its disks and servers. */

import type { ErrorCode, MountEntry, MountRequest, Mounts } from '../../../src/sys/index.ts'
import { SysError } from '../../../src/sys/index.ts'
import type { VirtualClock } from './clock.ts'
import { type Faults, refusal } from './faults.ts'
import { FileSystem, type Seed } from './filesystem.ts'
import type { Mount, MountTree } from './tree.ts'

/** A file system that a source (`/dev/vda1`, `10.0.2.2:/export`, an image's path) holds. */
export interface Media {
  readonly type: string
  readonly files?: Readonly<Record<string, Seed>>
  readonly capacity?: number
  /** Mounting takes so long; for ever with Infinity. */
  readonly delayMs?: number
  /** The NFS versions that the server speaks, as in `vers=`. All when absent. */
  readonly versions?: readonly string[]
  /** Every mount of it fails so. */
  readonly fails?: {
    readonly code: ErrorCode
    readonly message?: string
    readonly detail?: readonly string[]
  }
}

const MEMORY = new Set([
  'tmpfs',
  'ramfs',
  'devpts',
  'cgroup2',
  'securityfs',
  'efivarfs',
  'debugfs',
  'tracefs',
])

export class FakeMounts implements Mounts {
  readonly tree: MountTree
  /** What `mount` was asked for, in order. */
  readonly requests: MountRequest[] = []
  readonly #clock: VirtualClock
  readonly #faults: Faults
  readonly #media: ReadonlyMap<string, Media>
  /** procfs, sysfs and devtmpfs are the same wherever they are mounted; so is a disk. */
  readonly #known: Map<string, FileSystem>
  readonly #memory: number
  #minor = 30

  constructor(options: {
    readonly tree: MountTree
    readonly clock: VirtualClock
    readonly faults: Faults
    readonly media: ReadonlyMap<string, Media>
    readonly kernel: Readonly<Record<string, FileSystem>>
    readonly memory: number
  }) {
    this.tree = options.tree
    this.#clock = options.clock
    this.#faults = options.faults
    this.#media = options.media
    this.#known = new Map(Object.entries(options.kernel))
    this.#memory = options.memory
  }

  async mount(request: MountRequest): Promise<void> {
    this.requests.push(request)
    this.#faults.check('mounts.mount', request.target)
    const target = this.#directory('mounts.mount', request.target)
    const media = this.#media.get(request.source)
    const delay = media?.delayMs ?? 0
    const deadline = request.timeoutMs ?? Number.POSITIVE_INFINITY
    if (delay > deadline) {
      await this.#clock.sleep(deadline)
      throw refusal('TIMEOUT', 'mounts.mount', request.source, `no answer within ${deadline} ms`)
    }
    if (delay === Number.POSITIVE_INFINITY) await new Promise<never>(() => {})
    if (delay > 0) await this.#clock.sleep(delay)
    const fileSystem = this.#open(request, media)
    const on = this.tree.mountOf(target)
    if (on.target === target && on.fileSystem === fileSystem) {
      throw refusal('EBUSY', 'mounts.mount', request.target)
    }
    this.#attach(target, { ...request, fileSystem, base: '/' })
  }

  async bind(source: string, target: string, options: readonly string[] = []): Promise<void> {
    this.#faults.check('mounts.bind', target)
    const from = this.tree.existing('mounts.bind', source)
    const to = this.tree.existing('mounts.bind', target)
    if ((from.stats.kind === 'directory') !== (to.stats.kind === 'directory')) {
      throw refusal('ENOTDIR', 'mounts.bind', target)
    }
    const { fileSystem } = from.mount
    this.#attach(to.outer, {
      source: from.mount.source,
      type: fileSystem.type,
      options,
      fileSystem,
      base: from.inner,
    })
  }

  async remount(target: string, options: readonly string[]): Promise<void> {
    this.#faults.check('mounts.remount', target)
    const mount = this.#mountpoint('mounts.remount', target)
    mount.options = flags(options)
    const size = this.#sizeOf(options)
    if (size === undefined) return
    if (size < mount.fileSystem.used) throw refusal('EINVAL', 'mounts.remount', target)
    mount.fileSystem.capacity = size
  }

  async move(source: string, target: string): Promise<void> {
    this.#faults.check('mounts.move', target)
    const mount = this.#mountpoint('mounts.move', source)
    const to = this.#directory('mounts.move', target)
    if (to === mount.target || to.startsWith(`${mount.target}/`))
      throw refusal('ELOOP', 'mounts.move', target)
    const parent = this.tree.mountOf(to)
    const from = mount.target
    for (const each of this.#below(mount)) each.target = to + each.target.slice(from.length)
    mount.parent = parent
  }

  async unmount(target: string, options: { readonly lazy?: boolean } = {}): Promise<void> {
    this.#faults.check('mounts.unmount', target)
    const mount = this.#mountpoint('mounts.unmount', target)
    const all = this.#below(mount)
    if (mount.parent === undefined || (all.length > 1 && !options.lazy)) {
      throw refusal('EBUSY', 'mounts.unmount', target)
    }
    for (const each of all) this.tree.mounts.splice(this.tree.mounts.indexOf(each), 1)
  }

  async list(): Promise<readonly MountEntry[]> {
    return this.tree.mounts.map(({ source, target, type, options, fileSystem }) => {
      return { source, target, type, options, device: fileSystem.device }
    })
  }

  #open(request: MountRequest, media: Media | undefined): FileSystem {
    const { type, source } = request
    const operation = 'mounts.mount'
    if (media?.fails)
      throw new SysError({ operation, subject: source, message: media.fails.code, ...media.fails })
    const known = this.#known.get(type) ?? this.#known.get(source)
    if (MEMORY.has(type)) {
      const half = type === 'tmpfs' ? this.#memory / 2 : undefined
      const capacity = this.#sizeOf(request.options) ?? half
      return new FileSystem({ type, device: this.#number(), ...(capacity === undefined ? {} : { capacity }) })
    }
    if (type === 'overlay') return this.#overlay(request)
    const family = type.replace(/^nfs4$/, 'nfs')
    if (media === undefined && known === undefined) {
      throw refusal(family === 'nfs' ? 'ECONNREFUSED' : 'ENOENT', operation, source)
    }
    if (media !== undefined && media.type !== family)
      throw refusal('EINVAL', operation, source, 'wrong fs type')
    const version = request.options.find((option) => option.startsWith('vers='))?.slice(5)
    if (media?.versions && !media.versions.includes(version ?? '')) {
      throw refusal('EPROTONOSUPPORT', operation, source)
    }
    const opened = known ?? new FileSystem({ ...media, type, device: this.#number() })
    this.#known.set(source, opened)
    return opened
  }

  /** The layers as they are at the mount, copied: later changes of a lower one are not seen, as nobody may make any. */
  #overlay(request: MountRequest): FileSystem {
    const merged = new FileSystem({ type: 'overlay', device: this.#number() })
    const value = (key: string) =>
      request.options.find((option) => option.startsWith(`${key}=`))?.slice(key.length + 1)
    const lower = value('lowerdir')
    if (lower === undefined) throw refusal('EINVAL', 'mounts.mount', request.target, 'lowerdir is missing')
    const upper = value('upperdir')
    for (const layer of [...lower.split(':').reverse(), ...(upper === undefined ? [] : [upper])]) {
      const place = this.tree.existing('mounts.mount', layer)
      copyTree(place.mount.fileSystem, place.inner, merged, '/')
    }
    return merged
  }

  #attach(target: string, what: Omit<Mount, 'target' | 'parent'>): void {
    const parent = this.tree.mountOf(target)
    this.tree.mounts.push({ ...what, options: flags(what.options), target, parent })
  }

  #directory(operation: string, path: string): string {
    const place = this.tree.existing(operation, path)
    if (place.stats.kind !== 'directory') throw refusal('ENOTDIR', operation, path)
    return place.outer
  }

  #mountpoint(operation: string, path: string): Mount {
    const place = this.tree.existing(operation, path)
    if (place.mount.target !== place.outer) throw refusal('EINVAL', operation, path, 'not a mount point')
    return place.mount
  }

  #below(mount: Mount): Mount[] {
    return [
      mount,
      ...this.tree.mounts.filter((other) => other.parent === mount).flatMap((other) => this.#below(other)),
    ]
  }

  #sizeOf(options: readonly string[]): number | undefined {
    const text = options.find((option) => option.startsWith('size='))?.slice(5)
    const match = text === undefined ? null : /^(\d+)([kmg%]?)$/i.exec(text)
    if (match === null) return undefined
    const units: Readonly<Record<string, number>> = {
      k: 2 ** 10,
      m: 2 ** 20,
      g: 2 ** 30,
      '%': this.#memory / 100,
    }
    return Number(match[1]) * (units[(match[2] ?? '').toLowerCase()] ?? 1)
  }

  #number(): string {
    this.#minor += 1
    return `0:${this.#minor}`
  }
}

function flags(options: readonly string[]): readonly string[] {
  const rest = options.filter((option) => option !== 'rw' && option !== 'ro')
  return [options.includes('ro') ? 'ro' : 'rw', ...rest]
}

function copyTree(from: FileSystem, source: string, to: FileSystem, target: string): void {
  const stats = from.status(source)
  if (stats?.kind === 'directory') {
    if (target !== '/') to.makeDirectory(target, stats.mode)
    for (const name of from.list(source)) {
      copyTree(
        from,
        source === '/' ? `/${name}` : `${source}/${name}`,
        to,
        target === '/' ? `/${name}` : `${target}/${name}`,
      )
    }
  } else if (stats?.kind === 'symlink') {
    to.remove(target)
    to.symlink(from.readLink(source), target)
  } else if (stats !== undefined) {
    to.remove(target)
    to.seed(target, { content: from.read(source), mode: stats.mode, uid: stats.uid, gid: stats.gid })
  }
}
