/**
 * Reads a tar archive without unpacking it: POSIX ustar and pax (pax(1)), GNU's long names and large numbers (tar(5)), as
 * GNU tar, busybox and libarchive write them. Whoever wrote it is not trusted: every size, number and name is checked.
 */

import { CommandError } from '../../../build/error.ts'
import { type Entry, insidePath } from './entry.ts'

const block = 512
/** Of a name or a pax header. */
const longestHeader = 1 << 20
const mostEntries = 200_000

/** What pax says of the header that follows it. */
type Records = Map<string, Buffer>

/** Records that say what the header says as well; all others are kept. */
const structural = new Set(['path', 'linkpath', 'size', 'uid', 'gid', 'uname', 'gname'])

/** `subject` names the archive in errors. */
export function readTar(archive: Buffer, subject: string): Map<string, Entry> {
  const contents = new Map<string, Entry>()
  const global: Records = new Map()
  let pending: Records = new Map()
  let offset = 0
  for (;;) {
    const header = archive.subarray(offset, offset + block)
    if (offset > archive.length) throw damaged(subject, 'it ends inside one of its files')
    // Two blocks of zeros are the end; some writers leave them out.
    if (header.length === 0 || header.every((byte) => byte === 0)) break
    if (header.length < block) throw damaged(subject, 'it ends inside a header')
    checkSum(header, subject)
    const type = String.fromCharCode(header[156] ?? 0)
    const size = sizeOf(header, type, pending, subject)
    const content = archive.subarray(offset + block, offset + block + size)
    if (content.length !== size) throw damaged(subject, 'it ends inside one of its files')
    offset += block + Math.ceil(size / block) * block
    if ('xgLK'.includes(type)) {
      if (size > longestHeader) throw damaged(subject, `a header of ${size} bytes in it makes no sense`)
      readExtension(type, content, { global, pending }, subject)
      continue
    }
    const records = new Map([...global, ...pending])
    pending = new Map()
    const entry = readEntry(header, type, content, records, subject)
    if (entry === undefined) continue
    const [path, value] = entry
    // What comes later counts, as for whoever unpacks it.
    contents.delete(path)
    contents.set(path, value)
    if (contents.size > mostEntries) throw damaged(subject, `it has more than ${mostEntries} entries`)
  }
  if (offset === 0 && archive.length < block) throw damaged(subject, 'it is empty')
  if (pending.size > 0) throw damaged(subject, 'it ends after a header of a file that is not there')
  return resolveLinks(contents, subject)
}

function readExtension(
  type: string,
  content: Buffer,
  { global, pending }: { readonly global: Records; readonly pending: Records },
  subject: string,
): void {
  if (type === 'L') pending.set('path', untilZero(content))
  else if (type === 'K') pending.set('linkpath', untilZero(content))
  else for (const [key, value] of readPax(content, subject)) (type === 'g' ? global : pending).set(key, value)
}

/** What has no content has no size: readers disagree about where such an archive goes on. */
function sizeOf(header: Buffer, type: string, records: Records, subject: string): number {
  const pax = 'xgLK'.includes(type) ? undefined : records.get('size')
  const size = pax === undefined ? number(header.subarray(124, 136), subject) : decimal(pax, subject)
  if (size < 0) throw damaged(subject, 'one of its files has a size below zero')
  if (size > 0 && '123456'.includes(type)) throw damaged(subject, 'a link or a directory in it has a size')
  return size
}

function readEntry(
  header: Buffer,
  type: string,
  content: Buffer,
  records: Records,
  subject: string,
): readonly [string, Entry] | undefined {
  const prefix =
    header.toString('latin1', 257, 263) === 'ustar\0' ? untilZero(header.subarray(345, 500)) : Buffer.alloc(0)
  const short = untilZero(header.subarray(0, 100))
  const whole = prefix.length === 0 ? short : Buffer.concat([prefix, Buffer.from('/'), short])
  const raw = utf8(records.get('path') ?? whole, subject)
  const path = insidePath(raw, subject)
  const target = utf8(records.get('linkpath') ?? untilZero(header.subarray(157, 257)), subject)
  const field = (start: number, end: number, key: string) => {
    const pax = records.get(key)
    return pax === undefined ? number(header.subarray(start, end), subject) : decimal(pax, subject)
  }
  const name = (start: number, key: string) =>
    utf8(records.get(key) ?? untilZero(header.subarray(start, start + 32)), subject)
  const facts = {
    mode: number(header.subarray(100, 108), subject) & 0o7777,
    uid: field(108, 116, 'uid'),
    gid: field(116, 124, 'gid'),
    user: name(265, 'uname'),
    group: name(297, 'gname'),
    mtime: number(header.subarray(136, 148), subject),
    records: new Map([...records].filter(([key]) => !structural.has(key))),
  }
  const device = () => ({
    major: number(header.subarray(329, 337), subject),
    minor: number(header.subarray(337, 345), subject),
  })
  if (path === '' && type !== '5') {
    throw damaged(subject, `it holds a name that is none: ${JSON.stringify(raw)}`)
  }
  switch (type) {
    case '0':
    case '\0':
    case '7':
      // The oldest tar had no other way to say that it is a directory.
      if (raw.endsWith('/')) return [path, { kind: 'directory', ...facts }]
      return [path, { kind: 'file', bytes: content, ...facts }]
    case '1':
      return [path, { kind: 'hardlink', target: insidePath(target, subject), ...facts }]
    case '2':
      if (target === '') throw damaged(subject, `the symlink ${path} in it leads nowhere`)
      return [path, { kind: 'symlink', target, ...facts }]
    case '3':
      return [path, { kind: 'character', ...device(), ...facts }]
    case '4':
      return [path, { kind: 'block', ...device(), ...facts }]
    case '5':
      return [path, { kind: 'directory', ...facts }]
    case '6':
      return [path, { kind: 'fifo', ...facts }]
    default:
      throw damaged(subject, `${path} in it is of a type that cannot be read: ${JSON.stringify(type)}`)
  }
}

/** Every hard link names the file itself, wherever either stands in the archive. */
function resolveLinks(contents: Map<string, Entry>, subject: string): Map<string, Entry> {
  for (const [path, entry] of contents) {
    if (entry.kind !== 'hardlink') continue
    let target = entry.target
    for (let steps = 0; contents.get(target)?.kind === 'hardlink' && steps < 40; steps++) {
      const next = contents.get(target)
      if (next?.kind === 'hardlink') target = next.target
    }
    if (contents.get(target)?.kind !== 'file') {
      throw damaged(subject, `${path} in it is another name of ${entry.target}, which is no file in it`)
    }
    contents.set(path, { ...entry, target })
  }
  return contents
}

/** The sum of the header's bytes, its own field taken for blanks; old writers took them for signed ones. */
function checkSum(header: Buffer, subject: string): void {
  let unsigned = 0
  let signed = 0
  header.forEach((byte, at) => {
    const value = at >= 148 && at < 156 ? 0x20 : byte
    unsigned += value
    signed += value > 127 ? value - 256 : value
  })
  const sum = number(header.subarray(148, 156), subject)
  if (sum !== unsigned && sum !== signed) throw damaged(subject, 'a checksum in it is wrong')
}

/** Octal digits, or, marked by the first bit, GNU's big-endian binary. */
function number(field: Buffer, subject: string): number {
  const [first = 0, ...rest] = field
  if (first & 0x80) {
    let value = BigInt(first & 0x40 ? first - 256 : first & 0x3f)
    for (const byte of rest) value = value * 256n + BigInt(byte)
    const result = Number(value)
    if (!Number.isSafeInteger(result)) throw damaged(subject, 'a number in it is out of all measure')
    return result
  }
  const digits = untilZero(field).toString('latin1').trim()
  if (!/^[0-7]*$/.test(digits)) throw damaged(subject, 'it has something else where a number should be')
  return digits === '' ? 0 : Number.parseInt(digits, 8)
}

function decimal(value: Buffer, subject: string): number {
  const result = Number(value.toString('latin1'))
  if (!/^\d+$/.test(value.toString('latin1')) || !Number.isSafeInteger(result)) {
    throw damaged(subject, 'it has something else where a number should be')
  }
  return result
}

/** Records `LENGTH KEY=VALUE\n`, the length counting itself. A value is any bytes. */
function readPax(content: Buffer, subject: string): Records {
  const records: Records = new Map()
  for (let offset = 0; offset < content.length; ) {
    const space = content.indexOf(0x20, offset)
    const length = space === -1 ? Number.NaN : Number(content.toString('latin1', offset, space))
    const equals = content.indexOf(0x3d, space)
    const end = offset + length
    if (!Number.isSafeInteger(length) || end > content.length || equals === -1 || equals >= end) {
      throw damaged(subject, 'a pax header in it makes no sense')
    }
    records.set(content.toString('utf8', space + 1, equals), content.subarray(equals + 1, end - 1))
    offset = end
  }
  return records
}

function untilZero(field: Buffer): Buffer {
  const end = field.indexOf(0)
  return end === -1 ? field : field.subarray(0, end)
}

function utf8(bytes: Buffer, subject: string): string {
  const text = bytes.toString('utf8')
  if (Buffer.from(text).equals(bytes)) return text
  throw damaged(subject, `the name ${JSON.stringify(text)} in it is not UTF-8`)
}

function damaged(subject: string, why: string): CommandError {
  return new CommandError(`${subject} is no tar archive that can be read, or a damaged one: ${why}`)
}
