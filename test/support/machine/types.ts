/** The file system types that the fake machine's kernel knows: built in, or by a module. */

import type { FakeModules } from './modules.ts'

const NO_DEVICE = [
  ...['sysfs', 'tmpfs', 'ramfs', 'proc', 'devtmpfs', 'devpts', 'cgroup2', 'securityfs', 'efivarfs'],
  ...['debugfs', 'tracefs', 'overlay', 'nfs', 'nfs4'],
]
const ON_DEVICE = [
  ...['ext3', 'ext2', 'ext4', 'btrfs', 'xfs', 'f2fs', 'vfat', 'exfat', 'ntfs3', 'iso9660', 'udf'],
  ...['squashfs', 'erofs'],
]
/** Where the module is not named like the type. */
const MODULES: Readonly<Record<string, string>> = {
  iso9660: 'isofs',
  nfs4: 'nfs',
  ext2: 'ext4',
  ext3: 'ext4',
}

export class FileSystemTypes {
  readonly #modules: FakeModules
  readonly #builtIn: ReadonlySet<string>

  /** `builtIn`: those of ours that need no module. By default all of which the initrd has none. */
  constructor(modules: FakeModules, builtIn: readonly string[] | undefined) {
    this.#modules = modules
    const all = [...NO_DEVICE, ...ON_DEVICE]
    this.#builtIn = new Set(builtIn ?? all.filter((type) => this.#modulesOf(type).length === 0))
  }

  /** /proc/filesystems. */
  text(): string {
    const known = (type: string) => this.#has(type)
    const lines = [
      ...NO_DEVICE.filter(known).map((type) => `nodev\t${type}\n`),
      ...ON_DEVICE.filter(known).map((type) => `\t${type}\n`),
    ]
    return lines.join('')
  }

  /** As the kernel does for mount(2): it runs modprobe for a type that it does not know. False: ENODEV. */
  async bring(type: string): Promise<boolean> {
    if (this.#has(type)) return true
    const modules = this.#modulesOf(type)
    for (const module of modules) await this.#modules.load(module)
    return modules.length > 0
  }

  #has(type: string): boolean {
    return this.#builtIn.has(type) || this.#modulesOf(type).some((name) => this.#modules.loaded.has(name))
  }

  #modulesOf(type: string): readonly string[] {
    const aliased = this.#modules.named(`fs-${type}`)
    return aliased.length > 0 ? aliased : this.#modules.named(MODULES[type] ?? type)
  }
}
