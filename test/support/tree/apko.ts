/**
 * The same world installed by apko (a Go module), in its memory: an installer that owes nothing to apk's or to ours. It runs no
 * scripts, takes owners by their numbers, knows no set-id bits and no devices. What it does not know is counted, not compared.
 */

import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Comparison } from './differences.ts'
import { type Node, walk } from './walk.ts'

interface ApkoNode {
  readonly path: string
  readonly type: string
  readonly mode: string
  readonly size: number
  readonly content?: string
  readonly target?: string
}

interface ApkoTree {
  readonly nodes: ReadonlyMap<string, ApkoNode>
  readonly installed: string
}

/** `program` is test/conformance/tree, built. */
export function installWithApko(
  program: string,
  { repository, keys, world }: { repository: string; keys: string; world: readonly string[] },
): ApkoTree {
  const text = execFileSync(program, [repository, keys, ...world], { encoding: 'utf8', maxBuffer: 1 << 27 })
  const lines: (ApkoNode & { installed?: string })[] = text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line))
  const installed = lines.find((line) => line.installed !== undefined)?.installed ?? ''
  return { nodes: new Map(lines.map((node) => [node.path, node])), installed }
}

/** Counts a difference that is known, and gives no line of it. */
type Explain = (reason: string) => string[]

/** A file or a directory as a database has it. */
interface Listed {
  readonly mode: number
  readonly owner: string
  readonly checksum: string | undefined
}

interface ListedPackage {
  readonly fields: ReadonlyMap<string, string>
  readonly paths: ReadonlyMap<string, Listed>
}

export interface ApkoComparison extends Comparison {
  /** How many differences have which reason. */
  readonly explained: ReadonlyMap<string, number>
}

export function compareWithApko(root: string, apko: ApkoTree): ApkoComparison {
  const explained = new Map<string, number>()
  const explain: Explain = (reason) => {
    explained.set(reason, (explained.get(reason) ?? 0) + 1)
    return []
  }
  const ours = parseInstalled(readFileSync(join(root, 'lib/apk/db/installed'), 'utf8'))
  const theirs = parseInstalled(apko.installed)
  const differences = [...new Set([...ours.keys(), ...theirs.keys()])].sort().flatMap((name) => {
    const [one, other] = [ours.get(name), theirs.get(name)]
    if (one === undefined || other === undefined) return [`${name}: only ${one ? 'ours' : 'apko'} has it`]
    return [...fieldsThatDiffer(name, one, other, explain), ...pathsThatDiffer(name, one, other, explain)]
  })
  const tree = walk(root)
  const listed = new Map([...ours.values()].flatMap(({ paths }) => [...paths]))
  for (const [path, { checksum }] of listed) {
    const [one, other] = [tree.get(path), apko.nodes.get(path)]
    if (one === undefined || other === undefined) {
      if (one === undefined && other === undefined) continue
      differences.push(`${path}: only ${one === undefined ? 'apko' : 'ours'} has it`)
    } else if (['dev', 'proc', 'sys'].includes(path)) {
      // As in a boot they are there before the first package, to be mounted on.
    } else if (one.type === 'file' && `Q1${one.content}` !== checksum) explain('a script changed the file')
    else differences.push(...nodesThatDiffer(path, one, other, explain))
  }
  return { paths: listed.size, packages: ours.size, differences, explained }
}

function nodesThatDiffer(path: string, one: Node, other: ApkoNode, explain: Explain): string[] {
  const told = (what: string, mine: unknown, yours: unknown) =>
    mine === yours ? [] : [`${path}: ${what}: ours ${mine}, apko ${yours}`]
  if (one.type !== other.type) return told('type', one.type, other.type)
  const mode = Number.parseInt(one.mode, 8)
  if (one.type !== 'symlink' && mode > 0o777) explain('set-id and sticky bits, which apko drops')
  const modes =
    one.type === 'symlink'
      ? []
      : told('mode', (mode & 0o777).toString(8), other.mode.replace(/^0+/, '') || '0')
  const contents =
    one.type === 'file'
      ? [...told('size', one.size, other.size), ...told('content', one.content, other.content)]
      : []
  return [...modes, ...contents, ...told('target', one.target, other.target)]
}

/** Those that apko has of a package: from its .PKGINFO, and empty ones, too. It has no size of the package's file. */
function fieldsThatDiffer(
  name: string,
  one: ListedPackage,
  other: ListedPackage,
  explain: Explain,
): string[] {
  return ['C', 'V', 'A', 'L', 'T', 'o', 'm', 'U', 'D', 'p', 'r', 'i', 't', 'I'].flatMap((letter) => {
    const [mine, yours] = [one.fields.get(letter) ?? '', other.fields.get(letter) ?? '']
    if (mine === yours || (letter === 'i' && mine === '' && yours === '[]')) return []
    // As `apk index --rewrite-arch` has it; apko takes it from the package.
    if (letter === 'A' && yours === 'noarch') return explain('architectures that the index rewrites')
    if (letter === 'i' && yours === '[]') return explain('install_if, which apko does not note')
    return [`${name}: ${letter}: ours ${mine}, apko ${yours}`]
  })
}

function pathsThatDiffer(name: string, one: ListedPackage, other: ListedPackage, explain: Explain): string[] {
  return [...new Set([...one.paths.keys(), ...other.paths.keys()])].sort().flatMap((path) => {
    const [mine, yours] = [one.paths.get(path), other.paths.get(path)]
    if (mine !== undefined && yours === undefined && !path.includes('/') && mine.checksum === undefined)
      return explain('directories at the top without a file, which apko does not list')
    if (mine === undefined || yours === undefined)
      return [`${name}: only ${mine ? 'ours' : 'apko'} lists ${path}`]
    if (mine.owner !== yours.owner) explain('owners by name, which apko takes by number')
    if ((mine.mode & 0o777) !== (yours.mode & 0o777))
      return [`${name}: ${path}: ours ${mine.mode.toString(8)}, apko ${yours.mode.toString(8)}`]
    if (mine.checksum === yours.checksum) return []
    if (yours.checksum === undefined) return explain('checksums of hard links, which apko does not note')
    return [`${name}: ${path}: ours ${mine.checksum}, apko ${yours.checksum}`]
  })
}

function parseInstalled(text: string): Map<string, ListedPackage> {
  const packages = new Map<string, ListedPackage>()
  for (const stanza of text.split('\n\n')) {
    const fields = new Map<string, string>()
    const paths = new Map<string, Listed>()
    let directory = ''
    let path = ''
    for (const line of stanza.split('\n')) {
      const [letter, value] = [line.slice(0, 1), line.slice(2)]
      const known = paths.get(path)
      if (letter === 'F' || letter === 'R') {
        if (letter === 'F') directory = value
        path = letter === 'F' || directory === '' ? value : `${directory}/${value}`
        paths.set(path, { mode: letter === 'F' ? 0o755 : 0o644, owner: '0:0', checksum: undefined })
      } else if ((letter === 'M' || letter === 'a') && known !== undefined) {
        const [uid, gid, mode = ''] = value.split(':')
        paths.set(path, { ...known, owner: `${uid}:${gid}`, mode: Number.parseInt(mode, 8) })
      } else if (letter === 'Z' && known !== undefined) paths.set(path, { ...known, checksum: value })
      else if (letter !== '') fields.set(letter, value)
    }
    const name = fields.get('P')
    if (name !== undefined) packages.set(name, { fields, paths })
  }
  return packages
}
