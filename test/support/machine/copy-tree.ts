/** `files.copyTree` of the fake machine. Times and extended attributes are none that it keeps. */

import { refusal } from './faults.ts'
import type { FakeFiles } from './files.ts'
import { join, type Place, parentOf } from './tree.ts'

const OPERATION = 'files.copyTree'

export interface Copied {
  readonly bytes: number
  readonly files: number
}

export function copyTree(files: FakeFiles, from: string, to: string): Copied {
  const { tree } = files
  const source = tree.existing(OPERATION, from)
  if (source.stats.kind !== 'directory') throw refusal('ENOTDIR', OPERATION, from)
  files.makeDirectories(parentOf(to))
  if (tree.walk(OPERATION, to).stats === undefined) {
    files.makeDirectories(to)
    keepOwner(source, tree.existing(OPERATION, to))
  }
  const target = tree.existing(OPERATION, to)
  if (target.stats.kind !== 'directory') throw refusal('ENOTDIR', OPERATION, to)
  if (`${target.outer}/`.startsWith(`${source.outer}/`)) {
    throw refusal('EINVAL', OPERATION, to, `is inside ${from}`)
  }
  return copyBelow(files, source, target.outer, new Map())
}

/** `copied`: where the inodes went that have been seen. */
function copyBelow(files: FakeFiles, from: Place, to: string, copied: Map<number, string>): Copied {
  let bytes = 0
  let count = 0
  for (const name of from.mount.fileSystem.list(from.inner)) {
    const source = files.tree.at(join(from.outer, name))
    const target = join(to, name)
    if (source.stats?.kind === 'directory') {
      enter(files, source, target)
      // A mount's place is a directory like any other; what is mounted there is not copied.
      if (source.mount !== from.mount) continue
      const below = copyBelow(files, source, target, copied)
      bytes += below.bytes
      count += below.files
    } else {
      copyOne(files, source, target, copied)
      bytes += source.stats?.size ?? 0
      count += 1
    }
  }
  return { bytes, files: count }
}

function enter(files: FakeFiles, source: Place, path: string): void {
  const target = files.tree.writable(OPERATION, path, false)
  if (target.stats !== undefined && target.stats.kind !== 'directory') {
    throw refusal('ENOTDIR', OPERATION, path)
  }
  if (target.stats === undefined) target.mount.fileSystem.makeDirectory(target.inner, 0o755)
  keepOwner(source, target)
}

function copyOne(files: FakeFiles, source: Place, path: string, copied: Map<number, string>): void {
  const { stats } = source
  if (stats === undefined) return
  const target = files.tree.writable(OPERATION, path, false)
  if (target.stats?.kind === 'directory') throw refusal('EISDIR', OPERATION, path)
  const { fileSystem } = target.mount
  if (target.stats !== undefined) fileSystem.remove(target.inner)
  const first = copied.get(stats.inode)
  if (first !== undefined) {
    fileSystem.hardLink(files.tree.at(first).inner, target.inner)
    return
  }
  copied.set(stats.inode, target.outer)
  if (stats.kind === 'symlink') {
    fileSystem.symlink(source.mount.fileSystem.readLink(source.inner), target.inner)
  } else if (stats.kind === 'block' || stats.kind === 'char') {
    fileSystem.makeNode(target.inner, stats.kind, stats.node ?? '0:0', stats.mode)
  } else {
    files.write(target.outer, source.mount.fileSystem.read(source.inner), { operation: OPERATION })
  }
  keepOwner(source, target)
}

function keepOwner(source: Place, target: Place): void {
  if (source.stats === undefined) return
  const { fileSystem } = target.mount
  if (source.stats.kind !== 'symlink') fileSystem.setMode(target.inner, source.stats.mode)
  fileSystem.setOwner(target.inner, source.stats.uid, source.stats.gid)
}
