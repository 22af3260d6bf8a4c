/**
 * Tar archives that are the same bytes whenever their content is: ustar headers, with pax records only where a name
 * is too long or a caller asks for them. Our own, because apk's archives need what tar libraries do not offer: a
 * pax record for each file, archives cut off before their end blocks, and no time or owner of this machine.
 */

export type EntryKind = 'file' | 'directory' | 'symlink' | 'hardlink' | 'char' | 'block' | 'fifo'

export interface Entry {
  readonly kind: EntryKind
  /** Relative, without `./` and without a directory's slash; the writer puts down whatever stands here. */
  readonly path: string
  readonly mode: number
  /** Names, as apk looks owners up by name; numbers are for whoever does not know the name. */
  readonly owner: {
    readonly user: string
    readonly group: string
    readonly uid: number
    readonly gid: number
  }
  /** Seconds since 1970. */
  readonly time: number
  readonly content: Buffer
  /** The target of a symlink, or the path of the file that a hard link is another name of. */
  readonly target: string
  /** Of a device: major and minor. */
  readonly device?: readonly [number, number]
  readonly records?: Readonly<Record<string, string>>
}

const block = 512
export const root = { user: 'root', group: 'root', uid: 0, gid: 0 } as const
const nothing = Buffer.alloc(0)

export function file(path: string, content: string | Buffer, mode = 0o644): Entry {
  return { kind: 'file', path, mode, owner: root, time: 0, content: Buffer.from(content), target: '' }
}

export function directory(path: string, mode = 0o755): Entry {
  return { kind: 'directory', path, mode, owner: root, time: 0, content: nothing, target: '' }
}

export function symlink(path: string, target: string): Entry {
  return { kind: 'symlink', path, mode: 0o777, owner: root, time: 0, content: nothing, target }
}

/** The directories that lead to these entries and are not among them, root's and 0755, before them. */
export function withParents(entries: readonly Entry[]): Entry[] {
  const known = new Set(entries.filter((entry) => entry.kind === 'directory').map((entry) => entry.path))
  const parents = new Map<string, Entry>()
  for (const entry of entries) {
    const parts = entry.path.split('/')
    for (let depth = 1; depth < parts.length; depth++) {
      const path = parts.slice(0, depth).join('/')
      if (!known.has(path)) parents.set(path, { ...directory(path), time: entry.time })
    }
  }
  return [...parents.values(), ...entries].sort((a, b) => (key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : 0))
}

/** Sorts by path, but a hard link never before the file that it is another name of. */
function key(entry: Entry): string {
  return entry.kind === 'hardlink' && entry.target > entry.path ? `${entry.target}\u0000` : entry.path
}

const typeflags = {
  file: '0',
  hardlink: '1',
  symlink: '2',
  char: '3',
  block: '4',
  directory: '5',
  fifo: '6',
} as const

/** `cut`: without the two empty blocks, so that another member can go on where this one stops (apk's format). */
export function writeTar(entries: readonly Entry[], options: { readonly cut?: boolean } = {}): Buffer {
  const blocks: Buffer[] = []
  for (const entry of entries) {
    const name = entry.kind === 'directory' ? `${entry.path}/` : entry.path
    const records: Record<string, string> = { ...entry.records }
    if (Buffer.byteLength(name) > 100) records.path = name
    if (Buffer.byteLength(entry.target) > 100) records.linkpath = entry.target
    const pax = paxRecords(records)
    if (pax.length > 0) blocks.push(header(`PaxHeaders/${name}`, 'x', entry, pax.length), padded(pax))
    blocks.push(header(name, typeflags[entry.kind], entry, entry.content.length), padded(entry.content))
  }
  if (options.cut !== true) blocks.push(Buffer.alloc(2 * block))
  return Buffer.concat(blocks)
}

function header(name: string, typeflag: string, entry: Entry, size: number): Buffer {
  const out = Buffer.alloc(block)
  const extension = typeflag === 'x'
  Buffer.from(name).copy(out, 0, 0, 100)
  octal(out, 100, 8, extension ? 0o644 : entry.mode & 0o7777)
  octal(out, 108, 8, entry.owner.uid)
  octal(out, 116, 8, entry.owner.gid)
  octal(out, 124, 12, size)
  octal(out, 136, 12, entry.time)
  out.write(typeflag, 156)
  Buffer.from(entry.target).copy(out, 157, 0, 100)
  out.write('ustar\u000000', 257)
  out.write(entry.owner.user, 265, 31)
  out.write(entry.owner.group, 297, 31)
  const [major, minor] = entry.device ?? [0, 0]
  octal(out, 329, 8, major)
  octal(out, 337, 8, minor)
  out.fill(' ', 148, 156)
  const sum = out.reduce((total, byte) => total + byte, 0)
  out.write(`${sum.toString(8).padStart(6, '0')}\u0000 `, 148)
  return out
}

function octal(out: Buffer, at: number, width: number, value: number): void {
  out.write(`${value.toString(8).padStart(width - 1, '0')}\u0000`, at)
}

/** A record's length counts itself: "27 path=…\n". */
function paxRecords(records: Readonly<Record<string, string>>): Buffer {
  const lines = Object.entries(records).map(([key, value]) => {
    const rest = Buffer.byteLength(` ${key}=${value}\n`)
    let length = rest + String(rest).length
    if (String(length).length !== String(rest).length) length = rest + String(length).length
    return `${length} ${key}=${value}\n`
  })
  return Buffer.from(lines.join(''))
}

function padded(content: Buffer): Buffer {
  const rest = content.length % block
  return rest === 0 ? content : Buffer.concat([content, Buffer.alloc(block - rest)])
}

/** Reads an archive of dpkg-deb's: ustar, GNU long names, pax paths. Throws on anything else. */
export function readTar(archive: Buffer): Entry[] {
  const entries: Entry[] = []
  let long: { path?: string; target?: string } = {}
  for (let at = 0; at + block <= archive.length; ) {
    const head = archive.subarray(at, at + block)
    if (head.every((byte) => byte === 0)) break
    const size = parseOctal(head, 124, 12)
    const content = archive.subarray(at + block, at + block + size)
    if (content.length < size) throw new Error('the archive ends inside a file')
    at += block + Math.ceil(size / block) * block

    const typeflag = String.fromCharCode(head[156] ?? 0)
    if (typeflag === 'L') long = { ...long, path: text(content, 0, size) }
    else if (typeflag === 'K') long = { ...long, target: text(content, 0, size) }
    else if (typeflag === 'x') long = { ...long, ...paxNames(content.toString()) }
    else if (typeflag !== 'g') {
      const prefix = text(head, 345, 155)
      const ustar = text(head, 257, 8) === 'ustar' && prefix !== '' ? `${prefix}/` : ''
      const path = clean(long.path ?? ustar + text(head, 0, 100))
      const target = long.target ?? text(head, 157, 100)
      const kind = kindOf(typeflag, path)
      long = {}
      if (path === '') continue
      entries.push({
        kind,
        path,
        mode: parseOctal(head, 100, 8),
        owner: {
          user: text(head, 265, 32) || 'root',
          group: text(head, 297, 32) || 'root',
          uid: parseOctal(head, 108, 8),
          gid: parseOctal(head, 116, 8),
        },
        time: parseOctal(head, 136, 12),
        content: kind === 'file' ? content : nothing,
        target: kind === 'hardlink' ? clean(target) : target,
      })
    }
  }
  return entries
}

function kindOf(typeflag: string, path: string): EntryKind {
  switch (typeflag) {
    case '0':
    case '\u0000':
      return 'file'
    case '1':
      return 'hardlink'
    case '2':
      return 'symlink'
    case '5':
      return 'directory'
    default:
      throw new Error(`${path}: entries of type ${JSON.stringify(typeflag)} are not expected in a package`)
  }
}

function clean(path: string): string {
  return path
    .replace(/^\.?\/+/, '')
    .replace(/^\.$/, '')
    .replace(/\/+$/, '')
}

function paxNames(records: string): { path?: string; target?: string } {
  const path = /^\d+ path=(.*)$/m.exec(records)?.[1]
  const target = /^\d+ linkpath=(.*)$/m.exec(records)?.[1]
  return { ...(path === undefined ? {} : { path }), ...(target === undefined ? {} : { target }) }
}

function text(from: Buffer, at: number, width: number): string {
  const field = from.subarray(at, at + width)
  const end = field.indexOf(0)
  return field.subarray(0, end === -1 ? width : end).toString()
}

function parseOctal(from: Buffer, at: number, width: number): number {
  const value = Number.parseInt(text(from, at, width).trim() || '0', 8)
  if (!Number.isSafeInteger(value)) throw new Error('a number in the archive cannot be read')
  return value
}
