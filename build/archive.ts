/**
 * Reads the archives that kernels are packaged in: tar (POSIX ustar with pax and GNU long names) and ar (Debian's
 * outer layer, deb(5)). Everything in memory; names are checked before anybody writes them.
 */

import { CommandError } from './error.ts'

export type TarMember =
  | {
      readonly kind: 'file'
      readonly name: string
      readonly mode: number
      readonly mtime: number
      readonly bytes: Buffer
    }
  | { readonly kind: 'symlink'; readonly name: string; readonly target: string }

const block = 512

/**
 * The files and symlinks of a tar archive; several archives one after the other, as in an apk, are read as one.
 * Names lose a leading `./` or `/`; one with `..` in it is refused.
 */
export function* readTar(archive: Buffer, subject: string): Generator<TarMember> {
  let longName: string | undefined
  let longTarget: string | undefined
  let offset = 0
  while (offset + block <= archive.length) {
    const header = archive.subarray(offset, offset + block)
    offset += block
    if (header[0] === 0) continue // an archive's end, or padding
    const size = octal(header.subarray(124, 136), subject)
    const content = archive.subarray(offset, offset + size)
    if (content.length !== size) throw new CommandError(`${subject} ends inside one of its files`)
    offset += Math.ceil(size / block) * block
    const type = String.fromCharCode(header[156] ?? 0)
    if (type === 'x') {
      const pax = readPax(content)
      longName = pax.get('path') ?? longName
      longTarget = pax.get('linkpath') ?? longTarget
      continue
    }
    if (type === 'L' || type === 'K') {
      if (type === 'L') longName = text(content)
      else longTarget = text(content)
      continue
    }
    const prefix = header.toString('latin1', 257, 262) === 'ustar' ? text(header.subarray(345, 500)) : ''
    const short = text(header.subarray(0, 100))
    const name = insideName(longName ?? (prefix === '' ? short : `${prefix}/${short}`), subject)
    const target = longTarget ?? text(header.subarray(157, 257))
    longName = undefined
    longTarget = undefined
    if (type === '0' || type === '\0') {
      const mode = octal(header.subarray(100, 108), subject) & 0o7777
      yield { kind: 'file', name, mode, mtime: octal(header.subarray(136, 148), subject), bytes: content }
    } else if (type === '2') {
      yield { kind: 'symlink', name, target }
    }
  }
}

/** The members of an ar archive, by name. */
export function readAr(archive: Buffer, subject: string): Map<string, Buffer> {
  if (archive.toString('latin1', 0, 8) !== '!<arch>\n')
    throw new CommandError(`${subject} is no Debian package`)
  const members = new Map<string, Buffer>()
  for (let offset = 8; offset + 60 <= archive.length; ) {
    const name = archive
      .toString('latin1', offset, offset + 16)
      .trim()
      .replace(/\/$/, '')
    const size = Number(archive.toString('latin1', offset + 48, offset + 58).trim())
    const content = archive.subarray(offset + 60, offset + 60 + size)
    if (!Number.isSafeInteger(size) || content.length !== size) {
      throw new CommandError(`${subject} is cut off inside '${name}'`)
    }
    members.set(name, content)
    offset += 60 + size + (size % 2)
  }
  return members
}

function insideName(raw: string, subject: string): string {
  const parts = raw.split('/').filter((part) => part !== '' && part !== '.')
  if (parts.includes('..'))
    throw new CommandError(`${subject} holds the name '${raw}', which leads out of it`)
  return parts.join('/')
}

function octal(field: Buffer, subject: string): number {
  // GNU's base-256 marks itself by the first bit; no file of a kernel needs it.
  const digits = text(field).trim()
  if (!/^[0-7]*$/.test(digits)) throw new CommandError(`${subject} is no tar archive, or a damaged one`)
  return digits === '' ? 0 : Number.parseInt(digits, 8)
}

function text(field: Buffer): string {
  const end = field.indexOf(0)
  return field.toString('utf8', 0, end === -1 ? field.length : end)
}

/** Records `LENGTH KEY=VALUE\n`, the length counting itself (pax(1)). */
function readPax(content: Buffer): Map<string, string> {
  const records = new Map<string, string>()
  for (let offset = 0; offset < content.length; ) {
    const space = content.indexOf(0x20, offset)
    const length = space === -1 ? Number.NaN : Number(content.toString('latin1', offset, space))
    if (!Number.isSafeInteger(length) || length < 5 || offset + length > content.length) break
    const record = content.toString('utf8', space + 1, offset + length - 1)
    const equals = record.indexOf('=')
    if (equals !== -1) records.set(record.slice(0, equals), record.slice(equals + 1))
    offset += length
  }
  return records
}
