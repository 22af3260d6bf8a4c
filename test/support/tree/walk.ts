/** Everything that a tree is: what packages and apk decide of each file, one property beside the other. */

import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { type BigIntStats, lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'

/** Of one path; absent is what its kind does not have. */
export interface Node {
  readonly type: 'file' | 'directory' | 'symlink' | 'char' | 'block' | 'fifo' | 'socket'
  /** Octal, with set-id and sticky. */
  readonly mode: string
  /** `uid:gid` */
  readonly owner: string
  readonly size?: number
  /** Of a file, SHA-1 in base64 as apk's database has it; SHA-1 is what there is to compare it with. */
  readonly content?: string
  /** Seconds since 1970. */
  readonly time?: number
  readonly target?: string
  /** `major:minor` */
  readonly device?: string
  /** The other names of the same file, in order. */
  readonly links?: string
  /** `name=0x…` in order. */
  readonly attributes?: string
}

export type Tree = ReadonlyMap<string, Node>

/** `paths` are relative to the root. Needs getfattr(1) for extended attributes, and root to see all of them. */
export function walk(root: string): Tree {
  const found = new Map<string, { readonly status: BigIntStats; readonly node: Node }>()
  const names = new Map<string, string[]>()
  const visit = (directory: string) => {
    for (const name of readdirSync(join(root, directory)).sort()) {
      const path = directory === '' ? name : `${directory}/${name}`
      const status = lstatSync(join(root, path), { bigint: true })
      found.set(path, { status, node: describe(join(root, path), status) })
      if (status.isDirectory()) visit(path)
      else if (status.nlink > 1n) {
        const inode = String(status.ino)
        names.set(inode, [...(names.get(inode) ?? []), path])
      }
    }
  }
  visit('')
  const attributes = extendedAttributes(root)
  return new Map(
    [...found].map(([path, { status, node }]) => {
      const links = names.get(String(status.ino))
      const own = attributes.get(path)
      return [
        path,
        {
          ...node,
          ...(links === undefined || status.isDirectory() ? {} : { links: links.join(' ') }),
          ...(own === undefined ? {} : { attributes: own }),
        },
      ]
    }),
  )
}

function describe(path: string, status: BigIntStats): Node {
  const node = { mode: (status.mode & 0o7777n).toString(8), owner: `${status.uid}:${status.gid}` }
  const time = Number(status.mtimeMs / 1000n)
  const device = `${status.rdev >> 8n}:${status.rdev & 0xffn}`
  if (status.isDirectory()) return { type: 'directory', ...node }
  if (status.isSymbolicLink()) return { type: 'symlink', ...node, target: readlinkSync(path) }
  if (status.isFIFO()) return { type: 'fifo', ...node, time }
  if (status.isSocket()) return { type: 'socket', ...node }
  if (status.isCharacterDevice()) return { type: 'char', ...node, device, time }
  if (status.isBlockDevice()) return { type: 'block', ...node, device, time }
  const content = createHash('sha1').update(readFileSync(path)).digest('base64')
  return { type: 'file', ...node, size: Number(status.size), content, time }
}

/** By path; of files that have some. */
function extendedAttributes(root: string): Map<string, string> {
  const options = ['-R', '-h', '-P', '-d', '-m', '-', '-e', 'hex', '.']
  const text = execFileSync('getfattr', options, { cwd: root, encoding: 'utf8', maxBuffer: 1 << 26 })
  const found = new Map<string, string>()
  for (const block of text.split('\n\n')) {
    const lines = block.split('\n').filter((line) => line !== '')
    const path = /^# file: (.*)$/.exec(lines[0] ?? '')?.[1]
    if (path === undefined) continue
    const plain = path.replace(/\\(\d{3})/g, (_, octal: string) =>
      String.fromCharCode(Number.parseInt(octal, 8)),
    )
    found.set(plain, lines.slice(1).sort().join(' '))
  }
  return found
}
