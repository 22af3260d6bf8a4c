/**
 * Extended attributes of a tree's files, ACLs, labels and capabilities among them (xattr(7)). Node does not know them: GNU tar
 * reads and writes them, as pax records of its archives.
 */

import { spawnSync } from 'node:child_process'
import { chmodSync } from 'node:fs'
import { CommandError } from '../../../build/error.ts'
import { makeFile, makeSymlink } from '../overlay/entry.ts'
import { readTar } from '../overlay/tar-read.ts'
import { writeTar } from '../overlay/tar-write.ts'
import type { Tree } from './tree.ts'

/** By name, `security.capability` for one. */
export type Attributes = ReadonlyMap<string, Buffer>

/** What a file is that has attributes. */
export type Made =
  | {
      readonly kind: 'file'
      readonly bytes: Buffer
      readonly mode: number
      readonly uid: number
      readonly gid: number
    }
  | { readonly kind: 'symlink'; readonly target: string; readonly uid: number; readonly gid: number }

const prefix = 'SCHILY.xattr.'
const known = ['--xattrs', '--xattrs-include=*']
const most = 256 << 20

/** What is said of a file's content, and is no longer true of another. The kernel itself drops a capability with a write. */
const ofContent = new Set(['security.capability', 'security.ima', 'security.evm'])

export function withoutContents(attributes: Attributes): Attributes {
  return new Map([...attributes].filter(([name]) => !ofContent.has(name)))
}

/** Whether this machine can tell of attributes, and keep them. */
export function canKeepAttributes(): boolean {
  const { stdout } = spawnSync('tar', ['--version'], { encoding: 'utf8' })
  return typeof stdout === 'string' && stdout.includes('GNU tar')
}

/** Of files and symlinks that are there; only those that have any. None where this machine cannot tell. */
export function readAttributes(tree: Tree, paths: readonly string[]): ReadonlyMap<string, Attributes> {
  const there = paths.filter((path) => {
    const found = tree.look(path)
    return found?.isFile() === true || found?.isSymbolicLink() === true
  })
  if (there.length === 0 || !canKeepAttributes()) return new Map()
  const listed = ['--no-recursion', '--hard-dereference', '--null', '--verbatim-files-from', '--files-from=-']
  const archive = runTar(
    ['--create', '--format=pax', ...known, '--directory', tree.directory, ...listed],
    there.map((path) => `${path}\0`).join(''),
  )
  const found = [...readTar(archive, tree.directory)].map(([path, { records }]) => {
    const attributes = [...records].filter(([name]) => name.startsWith(prefix))
    return [path, new Map(attributes.map(([name, value]) => [name.slice(prefix.length), value]))] as const
  })
  return new Map(found.filter(([, attributes]) => attributes.size > 0))
}

/** Makes a file with its attributes; its time is now. Throws where one of them cannot be had. */
export function makeWithAttributes(tree: Tree, path: string, made: Made, attributes: Attributes): void {
  const facts = { mode: 0o600, user: '', group: '', mtime: 0, ...made }
  const records = new Map([...attributes].map(([name, value]) => [prefix + name, value]))
  const plain = made.kind === 'file' ? makeFile(made.bytes, facts) : makeSymlink(made.target, 0)
  const entry = { ...plain, uid: made.uid, gid: made.gid, records }
  const owner = process.geteuid?.() === 0 ? '--same-owner' : '--no-same-owner'
  runTar(
    ['--extract', ...known, '--numeric-owner', owner, '--touch', '--directory', tree.directory],
    writeTar(new Map([[path, entry]])),
  )
  if (made.kind === 'file') chmodSync(tree.at(path), made.mode)
  const now = readAttributes(tree, [path]).get(path)
  const lost = [...attributes].filter(([name, value]) => now?.get(name)?.equals(value) !== true)
  if (lost.length === 0) return
  throw new CommandError(`${tree.at(path)} does not take ${lost.map(([name]) => name).join(', ')}`, {
    advice: [
      'Extended attributes are what the file had: root may set them all, on a file system that has them.',
    ],
  })
}

function runTar(words: readonly string[], input: string | Buffer): Buffer {
  const { status, stdout, stderr, error } = spawnSync('tar', words, { input, maxBuffer: most })
  if (status === 0) return stdout
  const said = stderr?.toString('utf8').trim()
  throw new CommandError('tar could not read or write the extended attributes of the tree', {
    cause: error ?? new Error(said || `it ended with ${status}`),
    advice: ['GNU tar does it: Debian and Red Hat have it; Alpine: apk add tar.'],
  })
}
