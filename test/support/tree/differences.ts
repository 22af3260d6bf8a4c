/** Two trees with their databases beside each other: every difference, and nothing that is only the time of day. */

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Node, type Tree, walk } from './walk.ts'

const DATABASE = 'lib/apk/db'

export interface Comparison {
  /** Paths of either. */
  readonly paths: number
  /** Stanzas of lib/apk/db/installed. */
  readonly packages: number
  /** A line each. */
  readonly differences: readonly string[]
}

/** `mine` and `yours` are what the two are called in the differences. */
export function compareRoots(
  mine: { readonly name: string; readonly root: string },
  yours: { readonly name: string; readonly root: string },
): Comparison {
  const [ours, theirs] = [walk(mine.root), walk(yours.root)]
  const dated = datedFiles(yours.root, theirs)
  const paths = [...new Set([...ours.keys(), ...theirs.keys()])].sort()
  const differences = paths.flatMap((path) => {
    const [one, other] = [ours.get(path), theirs.get(path)]
    if (isLeftOver(path)) return []
    if (one === undefined || other === undefined) {
      const [has, lacks, node] = one === undefined ? [yours, mine, other] : [mine, yours, one]
      return [`${path}: ${has.name} has a ${node?.type}, ${lacks.name} nothing`]
    }
    return propertiesOf(one, other).flatMap((property) => {
      if (property === 'time' && !dated.has(path)) return []
      if (isRewritten(path) && (property === 'content' || property === 'size')) return []
      return [`${path}: ${property}: ${mine.name} ${one[property]}, ${yours.name} ${other[property]}`]
    })
  })
  const text = (root: string, name: string) => readFileSync(join(root, DATABASE, name), 'latin1')
  for (const name of ['installed', 'triggers']) {
    differences.push(...linesThatDiffer(name, mine, yours, text(mine.root, name), text(yours.root, name)))
  }
  const scripts = (root: string) => withoutTimes(readFileSync(join(root, DATABASE, 'scripts.tar')))
  if (!scripts(mine.root).equals(scripts(yours.root))) differences.push(`${DATABASE}/scripts.tar differs`)
  const packages = text(yours.root, 'installed').match(/^P:/gm)?.length ?? 0
  return { paths: paths.length, packages, differences }
}

/** What apk could not put in its place because a directory is there, it leaves beside it under a name of its own. */
function isLeftOver(path: string): boolean {
  return /(^|\/)\.apk\.[0-9a-f]{48}$/.test(path)
}

/** Compared by what is in them, below. */
function isRewritten(path: string): boolean {
  return [`${DATABASE}/installed`, `${DATABASE}/triggers`, `${DATABASE}/scripts.tar`].includes(path)
}

const properties = [
  ...['type', 'mode', 'owner', 'size', 'content', 'time', 'target', 'device', 'links', 'attributes'],
] as const satisfies readonly (keyof Node)[]

function propertiesOf(one: Node, other: Node): (keyof Node)[] {
  return properties.filter((property) => one[property] !== other[property])
}

/**
 * Files that are as a package brought them: their time is the package's. Of everything else (directories, symlinks, what
 * scripts write, what apk writes itself) it is the moment of the installation.
 */
function datedFiles(root: string, tree: Tree): ReadonlySet<string> {
  const dated = new Set<string>()
  let directory = ''
  let path = ''
  for (const line of readFileSync(join(root, DATABASE, 'installed'), 'utf8').split('\n')) {
    const value = line.slice(2)
    if (line.startsWith('F:')) directory = value
    else if (line.startsWith('R:')) path = directory === '' ? value : `${directory}/${value}`
    else if (line.startsWith('Z:') && `Q1${tree.get(path)?.content}` === value) dated.add(path)
  }
  return dated
}

/** The lines where two texts part, the first few of them with the package that they are about. */
function linesThatDiffer(
  name: string,
  mine: { readonly name: string },
  yours: { readonly name: string },
  ours: string,
  theirs: string,
): string[] {
  const [one, other] = [ours.split('\n'), theirs.split('\n')]
  const found: string[] = []
  let about = ''
  for (let n = 0; n < Math.max(one.length, other.length) && found.length < 20; n++) {
    if (other[n]?.startsWith('P:')) about = ` (${other[n]?.slice(2)})`
    if (one[n] !== other[n])
      found.push(
        `${DATABASE}/${name}, line ${n + 1}${about}: ${mine.name} ${one[n]}, ${yours.name} ${other[n]}`,
      )
  }
  return found
}

/** A tar archive without the times in its headers, and their checksums. */
export function withoutTimes(archive: Buffer): Buffer {
  const copy = Buffer.from(archive)
  for (let at = 0; at + 512 <= copy.length && copy[at] !== 0; ) {
    const size = Number.parseInt(copy.toString('latin1', at + 124, at + 136), 8)
    copy.fill(0, at + 136, at + 155)
    at += 512 + Math.ceil(size / 512) * 512
  }
  return copy
}
