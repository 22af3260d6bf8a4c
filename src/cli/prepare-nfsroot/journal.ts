/**
 * What was changed in a tree, and what was there before: written down, and on the disk, before anything is changed, so that
 * all of it can be undone whenever it was broken off.
 *
 * It lies beside the tree and not in it: it holds what was taken out because everybody can read the tree.
 */

import { createHash } from 'node:crypto'
import {
  chmodSync,
  chownSync,
  closeSync,
  fsyncSync,
  lchownSync,
  lutimesSync,
  mkdirSync,
  openSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { dirname } from 'node:path'
import { CommandError, errnoOf } from '../../../build/error.ts'
import { type Attributes, makeWithAttributes } from './attributes.ts'
import type { Tree } from './tree.ts'

/** What is, or was, at a path. */
export type Former =
  | { readonly kind: 'none' }
  | (Facts & { readonly kind: 'file'; readonly mode: number; readonly base64: string })
  | (Facts & { readonly kind: 'symlink'; readonly target: string })
  /** Of one that stays, its time. */
  | (Facts & { readonly kind: 'directory' })

interface Facts {
  readonly uid: number
  readonly gid: number
  /** Milliseconds since 1970. */
  readonly mtimeMs: number
  /** Extended attributes, base64, by name; undefined: it has none. */
  readonly attributes?: Readonly<Record<string, string>>
}

/** By what a path is known again after a change: `none`, `symlink TARGET`, `file SHA256`, `directory`. */
export type Print = string

export interface Line {
  /** Relative to the tree; no part but the last is a symlink. */
  readonly path: string
  readonly former: Former
  /** What is there once the change is made. */
  readonly print: Print
}

export interface Journal {
  readonly version: 1
  /** The tree's absolute path. */
  readonly tree: string
  /** In the order of the changes; a path stands in it once. */
  readonly lines: readonly Line[]
  /** Directories that went elsewhere, a symlink in their place. */
  readonly moves: readonly { readonly from: string; readonly to: string }[]
}

export function journalOf(tree: Tree): string {
  return `${tree.directory}.diskless-undo`
}

/** Undefined: nothing is to be undone. Throws at one that is none, or of another tree. */
export function readJournal(path: string, tree: Tree): Journal | undefined {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (cause) {
    if (errnoOf(cause) === 'ENOENT') return undefined
    throw new CommandError(`${path} could not be read`, { cause })
  }
  const journal = parseJournal(text)
  if (journal === undefined)
    throw new CommandError(`${path} is no record of what was changed, or a damaged one`)
  if (journal.tree === tree.directory) return journal
  throw new CommandError(`${path} is of ${journal.tree}, not of ${tree.directory}`, {
    advice: ['Where the tree was moved, change "tree" in it.'],
  })
}

function parseJournal(text: string): Journal | undefined {
  try {
    const value: Journal = JSON.parse(text)
    const isPath = (path: unknown) =>
      typeof path === 'string' && path.split('/').every((part) => !['', '.', '..'].includes(part))
    const isLine = ({ path, former, print }: Line) =>
      (path === '' || isPath(path)) && typeof former.kind === 'string' && typeof print === 'string'
    const isMove = ({ from, to }: Journal['moves'][number]) => isPath(from) && isPath(to)
    const fits = value.version === 1 && typeof value.tree === 'string'
    return fits && value.lines.every(isLine) && value.moves.every(isMove) ? value : undefined
  } catch {
    // Not JSON, or something is missing in it.
    return undefined
  }
}

/** On the disk when this returns. */
export function writeJournal(path: string, journal: Journal): void {
  const fresh = `${path}.${process.pid}`
  const file = openSync(fresh, 'w', 0o600)
  try {
    writeFileSync(file, `${JSON.stringify(journal, null, 1)}\n`)
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
  renameSync(fresh, path)
  const directory = openSync(dirname(path), 'r')
  try {
    fsyncSync(directory)
  } finally {
    closeSync(directory)
  }
}

/** What is at a path now; its extended attributes are known to who asks, or do not matter. */
export function formerOf(tree: Tree, path: string, known?: Attributes): Former {
  const found = tree.look(path)
  if (found === undefined) return { kind: 'none' }
  const { uid, gid, mtimeMs } = found
  if (found.isDirectory()) return { kind: 'directory', uid, gid, mtimeMs }
  const attributes = [...(known ?? [])].map(([name, value]) => [name, value.toString('base64')] as const)
  const facts = {
    uid,
    gid,
    mtimeMs,
    ...(known === undefined ? {} : { attributes: Object.fromEntries(attributes) }),
  }
  if (found.isSymbolicLink()) return { kind: 'symlink', target: readlinkSync(tree.at(path)), ...facts }
  if (!found.isFile()) throw new CommandError(`${tree.at(path)} is neither a file nor a symlink`)
  const base64 = readFileSync(tree.at(path)).toString('base64')
  return { kind: 'file', mode: found.mode & 0o7777, base64, ...facts }
}

export function printOf(former: Former): Print {
  switch (former.kind) {
    case 'symlink':
      return `symlink ${former.target}`
    case 'file':
      return printOfFile(Buffer.from(former.base64, 'base64'))
    default:
      return former.kind
  }
}

export function printOfFile(bytes: Buffer): Print {
  return `file ${createHash('sha256').update(bytes).digest('hex')}`
}

export interface Undone {
  readonly restored: readonly string[]
  /** What somebody changed after us, and is as it is. */
  readonly kept: readonly string[]
}

/**
 * Brings back what was there, whether or not the changes were all made, or some of them undone. What somebody has changed
 * since stays, unless `force`. With `dry`, nothing is done.
 */
export function undo(tree: Tree, journal: Journal, { force, dry }: { force: boolean; dry: boolean }): Undone {
  const restored: string[] = []
  const kept: string[] = []
  if (!dry) for (const { path } of journal.lines) rmSync(tree.at(freshPath(path)), { force: true })
  for (const { from, to } of journal.moves.toReversed()) {
    if (tree.look(to) === undefined) continue
    const there = tree.linkAt(from)
    if (there !== `/${to}` && tree.look(from) !== undefined) {
      kept.push(from)
      continue
    }
    restored.push(from)
    if (dry) continue
    rmSync(tree.at(from), { force: true })
    renameSync(tree.at(to), tree.at(from))
  }
  const directories: Line[] = []
  for (const line of journal.lines.toReversed()) {
    const now = formerOf(tree, line.path)
    if (line.former.kind === 'directory') directories.push(line)
    else if (printOf(now) !== printOf(line.former)) {
      if (printOf(now) !== line.print && !force) kept.push(line.path)
      else if (!dry && now.kind === 'directory' && tree.list(line.path).length > 0) kept.push(line.path)
      else {
        restored.push(line.path)
        if (!dry) restore(tree, line)
      }
    }
  }
  // Their times last: what was done in them changed those.
  if (!dry) for (const line of directories) restore(tree, line)
  return { restored, kept }
}

/** Where a file is written before it takes its place. One that is left there was broken off. */
export function freshPath(path: string): string {
  return `${path}.diskless-new`
}

function restore(tree: Tree, { path, former }: Line): void {
  const place = tree.at(path)
  const seconds = 'mtimeMs' in former ? former.mtimeMs / 1000 : 0
  const fresh = tree.at(freshPath(path))
  switch (former.kind) {
    case 'none':
      if (tree.look(path)?.isDirectory()) rmdirSync(place)
      else rmSync(place, { force: true })
      return
    case 'directory':
      mkdirSync(place, { recursive: true })
      utimesSync(place, seconds, seconds)
      return
    case 'symlink':
      rmSync(fresh, { force: true })
      if (former.attributes === undefined) {
        symlinkSync(former.target, fresh)
        lchownSync(fresh, former.uid, former.gid)
      } else makeWithAttributes(tree, freshPath(path), former, attributesOf(former.attributes))
      lutimesSync(fresh, seconds, seconds)
      renameSync(fresh, place)
      return
    case 'file':
      if (former.attributes === undefined) {
        writeFileSync(fresh, Buffer.from(former.base64, 'base64'), { mode: 0o600 })
        chownSync(fresh, former.uid, former.gid)
        chmodSync(fresh, former.mode)
      } else {
        const made = { ...former, bytes: Buffer.from(former.base64, 'base64') }
        makeWithAttributes(tree, freshPath(path), made, attributesOf(former.attributes))
      }
      utimesSync(fresh, seconds, seconds)
      renameSync(fresh, place)
  }
}

function attributesOf(attributes: Readonly<Record<string, string>>): Attributes {
  return new Map(Object.entries(attributes).map(([name, base64]) => [name, Buffer.from(base64, 'base64')]))
}
