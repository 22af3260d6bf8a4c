/**
 * Writes an overlay's tar archive as `lbu package` does, which packs with busybox: GNU's headers and long names (tar(5)),
 * names without `./`, directories before what is in them. The same contents give the same bytes. What busybox has no word
 * for, extended attributes, stands in pax headers, which it passes over.
 */

import type { Contents, Entry } from './entry.ts'

const block = 512
const typeflags = {
  file: '0',
  hardlink: '1',
  symlink: '2',
  character: '3',
  block: '4',
  directory: '5',
  fifo: '6',
} as const

export function writeTar(contents: Contents): Buffer {
  // By path, so that a directory comes first; other names of a file after all files.
  const entries = [...contents].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
  const isLink = ([, { kind }]: readonly [string, Entry]) => kind === 'hardlink'
  const ordered = [...entries.filter((each) => !isLink(each)), ...entries.filter(isLink)]
  const pieces = ordered.flatMap(([path, entry]) => writeEntry(path, entry))
  return Buffer.concat([...pieces, Buffer.alloc(2 * block)])
}

function writeEntry(path: string, entry: Entry): Buffer[] {
  const name = Buffer.from(entry.kind === 'directory' ? `${path === '' ? '.' : path}/` : path)
  const target = Buffer.from('target' in entry ? entry.target : '')
  const content = entry.kind === 'file' ? entry.bytes : Buffer.alloc(0)
  return [
    ...(entry.records.size === 0 ? [] : writeExtension('x', 'PaxHeaders/x', paxOf(entry.records))),
    ...(target.length > 100 ? writeExtension('K', '././@LongLink', withZero(target)) : []),
    ...(name.length > 100 ? writeExtension('L', '././@LongLink', withZero(name)) : []),
    writeHeader(name, typeflags[entry.kind], target, content.length, entry),
    ...padded(content),
  ]
}

function writeExtension(type: string, name: string, content: Buffer): Buffer[] {
  const facts = { mode: 0o644, uid: 0, gid: 0, user: 'root', group: 'root', mtime: 0 }
  return [writeHeader(Buffer.from(name), type, Buffer.alloc(0), content.length, facts), ...padded(content)]
}

function writeHeader(
  name: Buffer,
  type: string,
  target: Buffer,
  size: number,
  facts: Pick<Entry, 'mode' | 'uid' | 'gid' | 'user' | 'group' | 'mtime'> & {
    major?: number
    minor?: number
  },
): Buffer {
  const header = Buffer.alloc(block)
  name.copy(header, 0, 0, 100)
  number(header, 100, 8, facts.mode)
  number(header, 108, 8, facts.uid)
  number(header, 116, 8, facts.gid)
  number(header, 124, 12, size)
  number(header, 136, 12, facts.mtime)
  header.write(type, 156)
  target.copy(header, 157, 0, 100)
  header.write('ustar  \0', 257, 'latin1')
  header.write(facts.user, 265, 31)
  header.write(facts.group, 297, 31)
  if (facts.major !== undefined && facts.minor !== undefined) {
    number(header, 329, 8, facts.major)
    number(header, 337, 8, facts.minor)
  }
  header.fill(' ', 148, 156)
  const sum = header.reduce((total, byte) => total + byte, 0)
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
  return header
}

/** Octal where it fits, else GNU's big-endian binary, marked by the first bit. */
function number(header: Buffer, at: number, width: number, value: number): void {
  const digits = value.toString(8).padStart(width - 1, '0')
  if (value >= 0 && digits.length < width) {
    header.write(`${digits}\0`, at)
    return
  }
  let rest = BigInt(value)
  for (let byte = at + width - 1; byte >= at; byte--) {
    header[byte] = Number(rest & 0xffn)
    rest >>= 8n
  }
  header[at] = ((header[at] ?? 0) & 0x7f) | 0x80 | (value < 0 ? 0x40 : 0)
}

/** A record's length counts itself. */
function paxOf(records: ReadonlyMap<string, Buffer>): Buffer {
  const sorted = [...records].sort(([a], [b]) => (a < b ? -1 : 1))
  return Buffer.concat(
    sorted.map(([key, value]) => {
      const rest = Buffer.concat([Buffer.from(` ${key}=`), value, Buffer.from('\n')])
      let length = rest.length + String(rest.length).length
      if (String(length).length !== String(rest.length).length) length = rest.length + String(length).length
      return Buffer.concat([Buffer.from(String(length)), rest])
    }),
  )
}

function withZero(text: Buffer): Buffer {
  return Buffer.concat([text, Buffer.alloc(1)])
}

function padded(content: Buffer): Buffer[] {
  const rest = content.length % block
  return rest === 0 ? [content] : [content, Buffer.alloc(block - rest)]
}
