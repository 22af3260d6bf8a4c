/** `sys.mounts` of the fake machine. */

import type { MountEntry, MountRequest, Mounts } from '../../../src/sys/index.ts'
import { SysError } from '../../../src/sys/index.ts'
import type { VirtualClock } from './clock.ts'
import { type Faults, refusal } from './faults.ts'
import { FileSystem } from './filesystem.ts'
import { family, fileSystemOf, type Media } from './media.ts'
import type { FakeNetwork } from './network.ts'
import { exportOf } from './nfs.ts'
import { mountOverlay } from './overlay.ts'
import type { Sources } from './sources.ts'
import type { Mount, MountTree } from './tree.ts'
import type { FileSystemTypes } from './types.ts'

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
  readonly #sources: Sources
  readonly #network: FakeNetwork | undefined
  readonly #types: FileSystemTypes
  /** procfs, sysfs and devtmpfs are the same wherever they are mounted. */
  readonly #kernel: ReadonlyMap<string, FileSystem>
  readonly #memory: number
  readonly #unused: (source: string) => void
  #minor = 30

  /** `unused`: called with the source of a last mount that is gone. */
  constructor(options: {
    readonly tree: MountTree
    readonly clock: VirtualClock
    readonly faults: Faults
    readonly sources: Sources
    readonly network: FakeNetwork | undefined
    readonly types: FileSystemTypes
    readonly kernel: Readonly<Record<string, FileSystem>>
    readonly memory: number
    readonly unused: (source: string) => void
  }) {
    this.tree = options.tree
    this.#clock = options.clock
    this.#faults = options.faults
    this.#sources = options.sources
    this.#network = options.network
    this.#types = options.types
    this.#kernel = new Map(Object.entries(options.kernel))
    this.#memory = options.memory
    this.#unused = options.unused
  }

  async mount(request: MountRequest): Promise<void> {
    this.requests.push(request)
    this.#faults.check('mounts.mount', request.target)
    const target = this.#directory('mounts.mount', request.target)
    if (!(await this.#types.bring(request.type))) {
      throw refusal('ENODEV', 'mounts.mount', request.source, `unknown filesystem type '${request.type}'`)
    }
    const fileSystem = await this.#open(request)
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
    if (!options.includes('ro') && this.#sources.isWriteProtected(mount.source)) {
      throw refusal('EROFS', 'mounts.remount', target)
    }
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
    for (const { source } of all) {
      if (!this.tree.mounts.some((other) => other.source === source)) this.#unused(source)
    }
  }

  async list(): Promise<readonly MountEntry[]> {
    return this.tree.mounts.map(({ source, target, type, options, fileSystem }) => {
      return { source, target, type, options, device: fileSystem.device }
    })
  }

  async #open(request: MountRequest): Promise<FileSystem> {
    const { type } = request
    const kernel = this.#kernel.get(type)
    if (kernel !== undefined) return kernel
    if (MEMORY.has(type)) {
      const half = type === 'tmpfs' ? this.#memory / 2 : undefined
      const capacity = this.#sizeOf(request.options) ?? half
      return new FileSystem({ type, device: this.#number(), ...(capacity === undefined ? {} : { capacity }) })
    }
    if (type === 'overlay') return mountOverlay(this.tree, request, this.#number())
    if (family(type) === 'nfs') {
      const client = { clock: this.#clock, sources: this.#sources, network: this.#network }
      return this.#read(request, await exportOf(request, client))
    }
    const { media, readOnly } = this.#sources.device('mounts.mount', request.source)
    if (readOnly && !request.options.includes('ro')) throw refusal('EACCES', 'mounts.mount', request.source)
    return this.#read(request, media)
  }

  /** The file system of a medium that has been found, in the time that it takes. */
  async #read(request: MountRequest, media: Media | undefined): Promise<FileSystem> {
    const { type, source, timeoutMs } = request
    const operation = 'mounts.mount'
    const delay = media?.probe === 'hangs' ? Number.POSITIVE_INFINITY : (media?.delayMs ?? 0)
    const deadline = timeoutMs ?? Number.POSITIVE_INFINITY
    if (delay > deadline) {
      await this.#clock.sleep(deadline)
      throw refusal('TIMEOUT', operation, source, `no answer within ${deadline} ms`)
    }
    if (delay === Number.POSITIVE_INFINITY) await new Promise<never>(() => {})
    if (delay > 0) await this.#clock.sleep(delay)
    if (media?.fails)
      throw new SysError({ operation, subject: source, message: media.fails.code, ...media.fails })
    if (media?.probe !== undefined && media.probe !== 'hangs') throw refusal(media.probe, operation, source)
    if (media === undefined || family(media.type) !== family(type)) {
      throw refusal('EINVAL', operation, source, 'wrong fs type')
    }
    return fileSystemOf(media)
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
