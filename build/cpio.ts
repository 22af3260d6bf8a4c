/**
 * Writes a "newc" cpio archive, the format of an initramfs (the kernel's
 * Documentation/driver-api/early-userspace/buffer-format.rst). The same tree gives the same bytes: times are 0,
 * owners are root, names are sorted, inodes are numbered in order. Device nodes need no privilege, as nothing is
 * ever made on disk.
 */

export type Entry =
  | { readonly kind: 'directory'; readonly mode: number }
  | { readonly kind: 'file'; readonly mode: number; readonly bytes: Uint8Array }
  | { readonly kind: 'symlink'; readonly target: string }
  | { readonly kind: 'character'; readonly mode: number; readonly major: number; readonly minor: number }

/** An entry by its name, relative and without a leading slash: `lib/modules`. */
export type Tree = ReadonlyMap<string, Entry>

const typeBits = { directory: 0o040000, file: 0o100000, symlink: 0o120000, character: 0o020000 } as const
/** The kernel reads a file's length as 32 bits. */
export const largestFile = 0xffff_ffff

/** The archive, unpadded but for its entries. Directories that entries lie in are added with mode 0755. */
export function writeCpio(tree: Tree): Buffer {
  const whole = withParents(tree)
  const pieces: Buffer[] = []
  let inode = 1
  // Sorted by code unit, so a directory comes before what is in it, as the kernel needs it.
  for (const name of [...whole.keys()].sort()) {
    const entry = whole.get(name)
    if (entry !== undefined) pieces.push(...writeEntry(name, entry, inode++))
  }
  pieces.push(trailer())
  return Buffer.concat(pieces)
}

function withParents(tree: Tree): Map<string, Entry> {
  const whole = new Map<string, Entry>()
  for (const [name, entry] of tree) {
    if (name === '' || name.split('/').some((part) => part === '' || part === '.' || part === '..')) {
      throw new RangeError(`not a name inside an initrd: '${name}'`)
    }
    for (let slash = name.indexOf('/'); slash !== -1; slash = name.indexOf('/', slash + 1)) {
      const parent = name.slice(0, slash)
      const present = tree.get(parent)
      if (present === undefined) whole.set(parent, { kind: 'directory', mode: 0o755 })
      else if (present.kind !== 'directory') {
        throw new RangeError(`'${name}' lies in '${parent}', which is no directory`)
      }
    }
    whole.set(name, entry)
  }
  return whole
}

/**
 * What stands before and after the content of an archive with this one file, for a content that never is in memory
 * as a whole. The directories that it lies in are in it too.
 */
export function frameFile(
  name: string,
  mode: number,
  size: number,
): { readonly before: Buffer; readonly after: Buffer } {
  const file: Entry = { kind: 'file', mode, bytes: new Uint8Array() }
  const pieces: Buffer[] = []
  let inode = 1
  for (const [path, entry] of withParents(new Map([[name, file]]))) {
    pieces.push(writeHeader(path, entry, inode++, path === name ? size : 0))
  }
  return {
    before: Buffer.concat(pieces),
    after: Buffer.concat([Buffer.alloc(paddingAfter(size)), trailer()]),
  }
}

/** Zeros that bring a length to the multiple of four on which the kernel looks for the next archive, too. */
export function paddingAfter(length: number): number {
  return (4 - (length % 4)) % 4
}

function trailer(): Buffer {
  return writeHeader('TRAILER!!!', { kind: 'file', mode: 0, bytes: new Uint8Array() }, 0, 0, true)
}

function writeEntry(name: string, entry: Entry, inode: number): Buffer[] {
  const content =
    entry.kind === 'file' ? entry.bytes : Buffer.from(entry.kind === 'symlink' ? entry.target : '')
  return [writeHeader(name, entry, inode, content.length), pad(content)]
}

function writeHeader(name: string, entry: Entry, inode: number, size: number, isTrailer = false): Buffer {
  if (size > largestFile) throw new RangeError(`${name} is larger than 4 GiB`)
  const permissions = entry.kind === 'symlink' ? 0o777 : entry.mode
  const device = entry.kind === 'character' ? entry : { major: 0, minor: 0 }
  const path = Buffer.from(`${name}\0`)
  const fields = [
    inode,
    isTrailer ? 0 : typeBits[entry.kind] | permissions,
    0, // uid
    0, // gid
    entry.kind === 'directory' ? 2 : 1, // links
    0, // mtime
    size,
    0, // the archive's own device, major and minor
    0,
    device.major,
    device.minor,
    path.length,
    0, // checksum, unused by newc
  ]
  const header = Buffer.from(`070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}`)
  return pad(Buffer.concat([header, path]))
}

/** Names and contents both start on multiples of four. */
function pad(bytes: Uint8Array): Buffer {
  return Buffer.concat([bytes], bytes.length + paddingAfter(bytes.length))
}
