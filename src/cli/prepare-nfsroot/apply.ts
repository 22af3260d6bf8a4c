/** Makes the changes in a tree, each whole or not at all, once the journal has what was there. */

import {
  chmodSync,
  chownSync,
  lstatSync,
  mkdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname } from 'node:path'
import { CommandError, errnoOf } from '../../../build/error.ts'
import { type Attributes, makeWithAttributes, readAttributes, withoutContents } from './attributes.ts'
import {
  formerOf,
  freshPath,
  type Journal,
  type Line,
  type Print,
  printOfFile,
  writeJournal,
} from './journal.ts'
import type { Change, Step } from './step.ts'
import type { Tree } from './tree.ts'

export interface Applying {
  /** Where the journal is. */
  readonly journalPath: string
  /** Of former changes, which go on being undone to what was before the first of them. */
  readonly former: Journal | undefined
  /** Before each step. */
  readonly onStep?: (step: Step) => void
}

export function applyChanges(
  tree: Tree,
  changes: readonly Change[],
  { journalPath, former, onStep }: Applying,
): void {
  const steps = changes.flatMap((change) => change.steps)
  if (steps.length === 0) return
  const attributes = readAttributes(
    tree,
    steps.map(({ path }) => path),
  )
  try {
    writeJournal(journalPath, extendJournal(tree, steps, former, attributes))
  } catch (cause) {
    throw new CommandError(`${journalPath} could not be written: without it nothing is changed`, {
      cause,
      advice: adviceFor(cause),
    })
  }
  for (const step of steps) {
    onStep?.(step)
    try {
      applyStep(tree, step, attributes.get(step.path))
    } catch (cause) {
      throw new CommandError(`${tree.at(step.path)} could not be changed; not everything is done`, {
        cause,
        advice: [...adviceFor(cause), 'The same again goes on; --undo brings back what was there.'],
      })
    }
  }
}

function adviceFor(cause: unknown): readonly string[] {
  const code = errnoOf(cause)
  if (code === 'EACCES' || code === 'EPERM') return ['Its files are of root: run this as root.']
  if (code === 'EROFS') return ['It is mounted read-only: mount it read-write on this server.']
  return code === 'ENOSPC' ? ['The disk is full.'] : []
}

/** What is there now, of each path that changes, and of the directories above, whose times change too. */
function extendJournal(
  tree: Tree,
  steps: readonly Step[],
  former: Journal | undefined,
  attributes: ReadonlyMap<string, Attributes>,
): Journal {
  const lines = new Map<string, Line>()
  for (const line of former?.lines ?? []) lines.set(line.path, line)
  const record = (path: string, print: Print) => {
    const before = lines.get(path)?.former ?? formerOf(tree, path, attributes.get(path))
    lines.set(path, { path, former: before, print })
  }
  const recordParents = (path: string) => {
    record('', 'directory')
    for (let slash = path.indexOf('/'); slash !== -1; slash = path.indexOf('/', slash + 1)) {
      record(path.slice(0, slash), 'directory')
    }
  }
  for (const step of steps) {
    recordParents(step.path)
    if (step.kind === 'move') recordParents(step.to)
    else record(step.path, printOfStep(step))
  }
  const moves = steps.flatMap((step) => (step.kind === 'move' ? [{ from: step.path, to: step.to }] : []))
  const others = (former?.moves ?? []).filter(({ from }) => !moves.some((move) => move.from === from))
  return { version: 1, tree: tree.directory, lines: [...lines.values()], moves: [...others, ...moves] }
}

function printOfStep(step: Exclude<Step, { kind: 'move' }>): Print {
  if (step.kind === 'write') return printOfFile(Buffer.from(step.content))
  return step.kind === 'link' ? `symlink ${step.target}` : 'none'
}

/** `attributes`: of what is there. */
function applyStep(tree: Tree, step: Step, attributes: Attributes | undefined): void {
  const place = tree.at(step.path)
  const fresh = tree.at(freshPath(step.path))
  switch (step.kind) {
    case 'write':
      mkdirSync(dirname(place), { recursive: true })
      writeFresh(tree, step, attributes)
      renameSync(fresh, place)
      return
    case 'link':
      mkdirSync(dirname(place), { recursive: true })
      rmSync(fresh, { force: true })
      symlinkSync(step.target, fresh)
      renameSync(fresh, place)
      return
    case 'remove':
      rmSync(place, { force: true })
      return
    case 'move':
      moveDirectory(tree, step.path, step.to)
  }
}

/** A file that is written anew keeps its owner and its attributes. */
function writeFresh(
  tree: Tree,
  { path, content, mode = 0o644 }: Extract<Step, { kind: 'write' }>,
  attributes: Attributes | undefined,
): void {
  const fresh = freshPath(path)
  const found = tree.look(path)
  const owner = found?.isFile() ? { uid: found.uid, gid: found.gid } : undefined
  if (owner !== undefined && attributes !== undefined) {
    const made = { kind: 'file', bytes: Buffer.from(content), mode, ...owner } as const
    makeWithAttributes(tree, fresh, made, withoutContents(attributes))
    return
  }
  writeFileSync(tree.at(fresh), content, { mode: 0o600 })
  if (owner !== undefined) chownSync(tree.at(fresh), owner.uid, owner.gid)
  chmodSync(tree.at(fresh), mode)
}

/** Broken off in between, the second half is made when it is run again. */
function moveDirectory(tree: Tree, from: string, to: string): void {
  const [source, target] = [tree.at(from), tree.at(to)]
  const isThere = lstatSync(target, { throwIfNoEntry: false }) !== undefined
  if (isThere && tree.look(from) !== undefined) throw new CommandError(`${target} is there already`)
  mkdirSync(dirname(target), { recursive: true })
  if (!isThere) renameSync(source, target)
  symlinkSync(`/${to}`, source)
}
