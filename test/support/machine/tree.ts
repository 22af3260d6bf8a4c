/** The mount tree: which file system a path is on, and where its symlinks lead. */

import { refusal } from './faults.ts'
import type { FileSystem, Stats } from './filesystem.ts'

export interface Mount {
  target: string
  parent: Mount | undefined
  readonly source: string
  readonly type: string
  options: readonly string[]
  readonly fileSystem: FileSystem
  /** The directory of the file system that is seen here; `/` but for bind mounts. */
  readonly base: string
}

/** Where a path ends. `outer` has no symlinks, `.` or `..`. */
export interface Place {
  readonly outer: string
  readonly mount: Mount
  /** Inside the mount's file system. */
  readonly inner: string
  readonly stats: Stats | undefined
}

export function join(directory: string, name: string): string {
  return directory === '/' ? `/${name}` : `${directory}/${name}`
}

export function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/')) || '/'
}

function within(path: string, directory: string): boolean {
  return directory === '/' || path === directory || path.startsWith(`${directory}/`)
}

export class MountTree {
  readonly mounts: Mount[]

  constructor(root: FileSystem) {
    this.mounts = [
      {
        target: '/',
        parent: undefined,
        source: 'rootfs',
        type: 'rootfs',
        options: ['rw'],
        fileSystem: root,
        base: '/',
      },
    ]
  }

  /** The mount that a path without symlinks is on. */
  mountOf(outer: string): Mount {
    let at = this.mounts.find((mount) => mount.parent === undefined)
    if (at === undefined) throw new Error('the fake machine has lost its root')
    for (;;) {
      const here: Mount = at
      const next = this.mounts
        .filter((mount) => mount.parent === here && within(outer, mount.target))
        .sort((a, b) => a.target.length - b.target.length)[0]
      if (next === undefined) return here
      at = next
    }
  }

  /** What is at a path without symlinks. */
  at(outer: string): Place {
    const mount = this.mountOf(outer)
    const rest = mount.target === '/' ? outer : outer.slice(mount.target.length) || '/'
    const inner = mount.base === '/' ? rest : rest === '/' ? mount.base : mount.base + rest
    return { outer, mount, inner, stats: mount.fileSystem.status(inner) }
  }

  /**
   * Walks a path. `root` is its `/`, which symlinks and `..` cannot leave. Throws ENOENT, ENOTDIR and ELOOP as the
   * kernel does; the last component may be missing (`stats` undefined).
   */
  walk(
    operation: string,
    path: string,
    options: { readonly root?: string; readonly follow?: boolean } = {},
  ): Place {
    if (!path.startsWith('/')) throw refusal('EINVAL', operation, path, 'not an absolute path')
    const root = options.root ?? '/'
    const parts = path.split('/').filter((part) => part !== '' && part !== '.')
    let place = this.at(root)
    let links = 0
    for (let part = parts.shift(); part !== undefined; part = parts.shift()) {
      if (place.stats === undefined) throw refusal('ENOENT', operation, path)
      if (place.stats.kind !== 'directory') throw refusal('ENOTDIR', operation, path)
      if (part === '..') {
        if (place.outer !== root) place = this.at(parentOf(place.outer))
        continue
      }
      const next = this.at(join(place.outer, part))
      if (next.stats?.kind !== 'symlink' || (parts.length === 0 && options.follow === false)) {
        place = next
        continue
      }
      links += 1
      if (links > 40) throw refusal('ELOOP', operation, path)
      const target = next.mount.fileSystem.readLink(next.inner)
      parts.unshift(...target.split('/').filter((name) => name !== '' && name !== '.'))
      if (target.startsWith('/')) place = this.at(root)
    }
    return place
  }

  /** Where a path leads that must be there. */
  existing(operation: string, path: string, follow = true): Place & { readonly stats: Stats } {
    const place = this.walk(operation, path, { follow })
    if (place.stats === undefined) throw refusal('ENOENT', operation, path)
    return { ...place, stats: place.stats }
  }

  /** Where something is going to be written: its parent is a directory, and the mount not read-only. */
  writable(operation: string, path: string, follow = true): Place {
    const place = this.walk(operation, path, { follow })
    if (place.outer !== '/') {
      const parent = this.at(parentOf(place.outer)).stats
      if (parent === undefined) throw refusal('ENOENT', operation, path)
      if (parent.kind !== 'directory') throw refusal('ENOTDIR', operation, path)
    }
    if (place.mount.options.includes('ro') || place.mount.fileSystem.readOnly)
      throw refusal('EROFS', operation, path)
    return place
  }
}
