/** /dev.tar.gz: with links, init unpacks it in place of copying /dev, device by device over the network (seed 003). */

import { lstatSync, readFileSync, readlinkSync } from 'node:fs'
import { gzipSync } from 'node:zlib'
import { type Entry, put } from '../overlay/entry.ts'
import { writeTar } from '../overlay/tar-write.ts'
import type { Look } from './step.ts'
import type { Tree } from './tree.ts'

const archive = 'dev.tar.gz'

export const sharedDevices: Look = (tree, { links }) => {
  if (!links || tree.list('dev').length === 0) return undefined
  const contents = new Map<string, Entry>()
  collect(tree, 'dev', contents)
  const content = gzipSync(writeTar(contents), { level: 9 })
  if (tree.look(archive)?.isFile() && readFileSync(tree.at(archive)).equals(content)) return undefined
  return {
    why: 'init unpacks it at once, where it would copy /dev file by file',
    steps: [{ kind: 'write', path: archive, content, mode: 0o644 }],
  }
}

function collect(tree: Tree, path: string, contents: Map<string, Entry>): void {
  const found = lstatSync(tree.at(path))
  const { uid, gid, rdev } = found
  const mtime = Math.floor(found.mtimeMs / 1000)
  const facts = { mode: found.mode & 0o7777, uid, gid, user: '', group: '', mtime, records: new Map() }
  const add = (entry: Entry) => put(contents, path, entry, archive)
  if (found.isDirectory()) {
    add({ kind: 'directory', ...facts })
    for (const name of tree.list(path)) collect(tree, `${path}/${name}`, contents)
  } else if (found.isSymbolicLink()) add({ kind: 'symlink', target: readlinkSync(tree.at(path)), ...facts })
  else if (found.isFile()) add({ kind: 'file', bytes: readFileSync(tree.at(path)), ...facts })
  else if (found.isFIFO()) add({ kind: 'fifo', ...facts })
  else if (found.isCharacterDevice()) add({ kind: 'character', ...numbersOf(rdev), ...facts })
  else if (found.isBlockDevice()) add({ kind: 'block', ...numbersOf(rdev), ...facts })
  // A socket is of a process that is gone.
}

/** makedev(3): Linux's 64 bits, of which Node gives a number. */
function numbersOf(rdev: number): { readonly major: number; readonly minor: number } {
  const device = BigInt(rdev)
  return {
    major: Number(((device >> 8n) & 0xfffn) | ((device >> 32n) & ~0xfffn)),
    minor: Number((device & 0xffn) | ((device >> 12n) & 0xffffff00n)),
  }
}
