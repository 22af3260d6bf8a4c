/** An overlay as a directory that anybody can edit, its owners in a manifest: there and back without being root. */

import {
  chmodSync,
  linkSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { CommandError } from '../../../build/error.ts'
import { readInput } from '../../../build/inputs.ts'
import { makeDirectory } from '../../../build/make-directory.ts'
import { type Contents, type Entry, put, root, withoutTimes } from './entry.ts'
import { formatManifest, type Listed, manifestName, parseManifest } from './manifest.ts'

/** Into a directory that is new or empty. Resolves with what stands in the manifest only: devices, FIFOs. */
export function unpackTo(directory: string, contents: Contents, subject: string): readonly string[] {
  makeDirectory(directory)
  if (readdirSync(directory).length > 0) {
    throw new CommandError(`${directory} is not empty: what is unpacked there would mix with what is there`)
  }
  const entries = [...contents].filter(([path]) => path !== '')
  for (const [path] of entries) checkParents(path, contents, subject)
  const named = (kinds: readonly Entry['kind'][]) => entries.filter(([, { kind }]) => kinds.includes(kind))
  for (const [path] of named(['directory']).sort(byPath))
    mkdirSync(join(directory, path), { recursive: true })
  for (const [path, entry] of named(['file'])) {
    mkdirSync(join(directory, path, '..'), { recursive: true })
    if (entry.kind === 'file') writeFileSync(join(directory, path), entry.bytes)
    // Whoever edits it must be able to; setuid programs are none of this machine.
    chmodSync(join(directory, path), (entry.mode & 0o777) | 0o600)
    utimesSync(join(directory, path), entry.mtime, entry.mtime)
  }
  for (const [path, entry] of named(['hardlink'])) {
    mkdirSync(join(directory, path, '..'), { recursive: true })
    if (entry.kind === 'hardlink') linkSync(join(directory, entry.target), join(directory, path))
  }
  // Last, so that nothing is written through one.
  for (const [path, entry] of named(['symlink'])) {
    mkdirSync(join(directory, path, '..'), { recursive: true })
    if (entry.kind === 'symlink') symlinkSync(entry.target, join(directory, path))
    lutimesSync(join(directory, path), entry.mtime, entry.mtime)
  }
  for (const [path, entry] of named(['directory']).sort(byPath).reverse()) {
    chmodSync(join(directory, path), (entry.mode & 0o777) | 0o700)
    utimesSync(join(directory, path), entry.mtime, entry.mtime)
  }
  writeFileSync(join(directory, manifestName), formatManifest(contents))
  return named(['character', 'block', 'fifo']).map(([path]) => path)
}

/**
 * What is in the files and where symlinks lead, as the directory has it; who owns them and their modes, as the manifest says.
 * What the manifest does not know is root's, with its mode in the directory. Without a manifest, so is everything.
 */
export function packFrom(directory: string, manifest: string | undefined): Map<string, Entry> {
  if (statSync(directory, { throwIfNoEntry: false })?.isDirectory() !== true) {
    throw new CommandError(`${directory} is no directory`)
  }
  const beside = join(directory, manifestName)
  const place = manifest ?? (statSync(beside, { throwIfNoEntry: false }) === undefined ? undefined : beside)
  const listed =
    place === undefined ? new Map<string, Listed>() : parseManifest(readInput(place).toString('utf8'), place)
  const contents = new Map<string, Entry>()
  const top = listed.get('')
  if (top !== undefined) contents.set('', { kind: 'directory', ...factsOf(top) })
  readTree(directory, '', { listed, contents, firsts: new Map() })
  if (contents.size === 0 && listed.size === 0)
    throw new CommandError(`${directory} is empty: there is nothing to pack`)
  for (const [path, line] of listed) {
    const entry = fromManifest(line)
    if (entry !== undefined) put(contents, path, entry, directory)
  }
  return contents
}

interface Reading {
  readonly listed: ReadonlyMap<string, Listed>
  readonly contents: Map<string, Entry>
  /** Where the file of a device and an inode was seen first. */
  readonly firsts: Map<string, string>
}

function readTree(directory: string, below: string, reading: Reading): void {
  for (const name of readdirSync(join(directory, below)).sort()) {
    const path = below === '' ? name : `${below}/${name}`
    if (path === manifestName) continue
    const entry = readPath(join(directory, path), path, reading)
    const isDirectory = entry.kind === 'directory'
    // One that only leads to others has the mode that a package gives it: this one's is an accident.
    const leads = isDirectory && !reading.listed.has(path) && readdirSync(join(directory, path)).length > 0
    if (!leads || path === 'etc') reading.contents.set(path, entry)
    if (isDirectory) readTree(directory, path, reading)
  }
}

function readPath(place: string, path: string, { listed, firsts }: Reading): Entry {
  const found = lstatSync(place)
  const line = listed.get(path)
  const mtime = Math.floor(found.mtimeMs / 1000)
  const facts =
    line === undefined
      ? { ...root, mode: found.mode & 0o7777, mtime, records: new Map<string, Buffer>() }
      : { ...factsOf(line), mtime, ...(mtime === line.mtime ? {} : { records: withoutTimes(line.records) }) }
  if (found.isDirectory()) return { kind: 'directory', ...facts }
  if (found.isSymbolicLink()) return { kind: 'symlink', target: readlinkSync(place), ...facts, mode: 0o777 }
  if (!found.isFile()) {
    throw new CommandError(`${place} is neither a file, a directory nor a symlink`, {
      advice: [
        'Devices and FIFOs of an overlay stand in its manifest only: diskless overlay unpack shows how.',
      ],
    })
  }
  const inode = `${found.dev}:${found.ino}`
  const first = firsts.get(inode)
  if (first !== undefined && found.nlink > 1) return { kind: 'hardlink', target: first, ...facts }
  firsts.set(inode, path)
  return { kind: 'file', bytes: readFileSync(place), ...facts }
}

function factsOf({ mode, uid, gid, user, group, mtime, records }: Listed) {
  return { mode, uid, gid, user, group, mtime, records }
}

function fromManifest(line: Listed): Entry | undefined {
  const facts = factsOf(line)
  if (line.type === 'fifo') return { kind: 'fifo', ...facts }
  if (line.device === undefined) return undefined
  return { kind: line.type === 'char' ? 'character' : 'block', ...line.device, ...facts }
}

/** An archive may have a file below what is no directory in it. */
function checkParents(path: string, contents: Contents, subject: string): void {
  for (let slash = path.indexOf('/'); slash !== -1; slash = path.indexOf('/', slash + 1)) {
    const parent = path.slice(0, slash)
    const kind = contents.get(parent)?.kind ?? 'directory'
    if (kind === 'directory') continue
    throw new CommandError(`${subject} holds ${path}, and /${parent} in it is a ${kind}: it leads elsewhere`)
  }
}

function byPath([a]: readonly [string, Entry], [b]: readonly [string, Entry]): number {
  return a < b ? -1 : 1
}
