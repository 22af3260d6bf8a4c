/** Tar archives as bytes: a reader of ustar, pax and GNU long names, and a writer of ustar with pax headers. */

import { refusal } from './faults.ts'

export type TarType = 'file' | 'directory' | 'symlink' | 'hardlink' | 'char' | 'block' | 'fifo'

export interface TarEntry {
  /** As it is in the archive. */
  readonly name: string
  readonly type: TarType
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly uname: string
  readonly gname: string
  readonly link: string
  readonly content: Buffer
  readonly pax: ReadonlyMap<string, string>
}

const TYPES: Readonly<Record<string, TarType>> = {
  '\0': 'file',
  '0': 'file',
  '1': 'hardlink',
  '2': 'symlink',
  '3': 'char',
  '4': 'block',
  '5': 'directory',
  '6': 'fifo',
  '7': 'file',
}

function text(bytes: Buffer): string {
  const end = bytes.indexOf(0)
  return bytes.subarray(0, end === -1 ? undefined : end).toString('utf8')
}

/** Octal, or GNU's base-256 when the first bit is set. */
function number(field: Buffer): number {
  if (((field[0] ?? 0) & 0x80) !== 0) return Number(BigInt(`0x${field.subarray(1).toString('hex')}`))
  return Number.parseInt(text(field).trim() || '0', 8)
}

function paxRecords(bytes: Buffer): Map<string, string> {
  const records = new Map<string, string>()
  for (let at = 0; at < bytes.length; ) {
    const space = bytes.indexOf(0x20, at)
    const length = Number(bytes.subarray(at, space).toString())
    if (space === -1 || !(length > 0)) break
    const record = bytes.subarray(space + 1, at + length - 1).toString('utf8')
    const equals = record.indexOf('=')
    records.set(record.slice(0, equals), record.slice(equals + 1))
    at += length
  }
  return records
}

/** The archive's entries. Throws FORMAT for what is no tar, TRUNCATED for one that ends inside an entry. */
export function readTar(bytes: Buffer, operation: string, subject: string): TarEntry[] {
  const entries: TarEntry[] = []
  let longName: string | undefined
  let longLink: string | undefined
  let pax = new Map<string, string>()
  for (let at = 0; at + 512 <= bytes.length; ) {
    const header = bytes.subarray(at, at + 512)
    if (header.every((byte) => byte === 0)) break
    const sum = header.reduce((total, byte, index) => total + (index >= 148 && index < 156 ? 32 : byte), 0)
    if (sum !== number(header.subarray(148, 156)))
      throw refusal('FORMAT', operation, subject, 'not a tar archive')
    const size = Number(pax.get('size') ?? number(header.subarray(124, 136)))
    const content = bytes.subarray(at + 512, at + 512 + size)
    if (content.length < size)
      throw refusal('TRUNCATED', operation, subject, 'the archive ends inside a file')
    at += 512 + Math.ceil(size / 512) * 512
    const flag = String.fromCharCode(header[156] ?? 0)
    if (flag === 'x') pax = paxRecords(content)
    else if (flag === 'L') longName = text(content)
    else if (flag === 'K') longLink = text(content)
    if ('xgLK'.includes(flag)) continue
    const type = TYPES[flag]
    if (type === undefined) throw refusal('FORMAT', operation, subject, `unknown entry type '${flag}'`)
    const prefix = header.subarray(257, 262).toString() === 'ustar' ? text(header.subarray(345, 500)) : ''
    const short = text(header.subarray(0, 100))
    entries.push({
      name: pax.get('path') ?? longName ?? (prefix === '' ? short : `${prefix}/${short}`),
      type,
      mode: number(header.subarray(100, 108)) & 0o7777,
      uid: number(header.subarray(108, 116)),
      gid: number(header.subarray(116, 124)),
      uname: text(header.subarray(265, 297)),
      gname: text(header.subarray(297, 329)),
      link: pax.get('linkpath') ?? longLink ?? text(header.subarray(157, 257)),
      content,
      pax,
    })
    longName = undefined
    longLink = undefined
    pax = new Map()
  }
  if (entries.length === 0 && bytes.length > 0 && bytes.length < 512) {
    throw refusal('FORMAT', operation, subject, 'not a tar archive')
  }
  return entries
}

export interface TarSource {
  readonly name: string
  readonly type?: TarType
  readonly mode?: number
  readonly uid?: number
  readonly gid?: number
  readonly uname?: string
  readonly gname?: string
  readonly link?: string
  readonly content?: string | Uint8Array
  readonly pax?: Readonly<Record<string, string>>
}

/** An archive of these entries. `end`: with the two empty blocks, which apk leaves out between its members. */
export function makeTar(entries: readonly TarSource[], options: { readonly end?: boolean } = {}): Buffer {
  const blocks: Buffer[] = []
  for (const entry of entries) {
    const records = Object.entries(entry.pax ?? {})
    if (Buffer.byteLength(entry.name) > 100) records.push(['path', entry.name])
    if (records.length > 0) {
      const content = Buffer.from(records.map(([key, value]) => paxRecord(key, value)).join(''))
      blocks.push(header({ name: 'pax', content }, 'x'), content, padding(content.length))
    }
    const content = Buffer.from(entry.content ?? '')
    const flag = Object.entries(TYPES).find(
      ([flag, type]) => flag !== '\0' && type === (entry.type ?? 'file'),
    )?.[0]
    blocks.push(header(entry, flag ?? '0'), content, padding(content.length))
  }
  if (options.end !== false) blocks.push(Buffer.alloc(1024))
  return Buffer.concat(blocks)
}

function header(entry: TarSource, flag: string): Buffer {
  const block = Buffer.alloc(512)
  const octal = (value: number, at: number, length: number) =>
    block.write(`${value.toString(8).padStart(length - 1, '0')}\0`, at, 'latin1')
  block.write(entry.name.slice(0, 100), 0)
  octal(entry.mode ?? (entry.type === 'directory' ? 0o755 : 0o644), 100, 8)
  octal(entry.uid ?? 0, 108, 8)
  octal(entry.gid ?? 0, 116, 8)
  octal(Buffer.byteLength(entry.content ?? ''), 124, 12)
  octal(0, 136, 12)
  block.write(flag, 156)
  block.write(entry.link ?? '', 157)
  block.write('ustar\x0000', 257, 'latin1')
  block.write(entry.uname ?? 'root', 265)
  block.write(entry.gname ?? 'root', 297)
  block.fill(0x20, 148, 156)
  const sum = block.reduce((total, byte) => total + byte, 0)
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
  return block
}

function padding(length: number): Buffer {
  return Buffer.alloc((512 - (length % 512)) % 512)
}

/** `length key=value\n`, where the length counts its own digits. */
function paxRecord(key: string, value: string): string {
  const body = ` ${key}=${value}\n`
  const bytes = Buffer.byteLength(body)
  let length = bytes + String(bytes).length
  if (String(length).length > String(bytes).length) length = bytes + String(length).length
  return `${length}${body}`
}
