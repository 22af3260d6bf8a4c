/** Reads what the builder needs of ELF files (elf(5)): a kernel module's .modinfo, a program's interpreter. */

/** Reads `length` bytes at `offset`; fewer only at the file's end. */
export type ReadAt = (offset: number, length: number) => Buffer

export class ElfError extends Error {
  override readonly name = 'ElfError'
}

/** A section as large as this is no .modinfo: a broken or hostile file is not believed. */
const largestSection = 4 * 1024 * 1024
const programInterpreter = 3

export function readerOf(bytes: Uint8Array): ReadAt {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return (offset, length) => buffer.subarray(offset, offset + length)
}

/** The `key=value` strings of a kernel module's .modinfo, in order. */
export function readModinfo(readAt: ReadAt): [key: string, value: string][] {
  const header = readHeader(readAt)
  const sections: { name: number; offset: number; size: number }[] = []
  const table = exactly(
    readAt,
    header.sectionOffset,
    header.sectionCount * header.sectionSize,
    'section table',
  )
  for (let index = 0; index < header.sectionCount; index++) {
    const at = index * header.sectionSize
    sections.push({
      name: table.readUInt32LE(at),
      offset: smallNumber(table.readBigUInt64LE(at + 24)),
      size: smallNumber(table.readBigUInt64LE(at + 32)),
    })
  }
  const nameSection = sections[header.nameSection]
  if (nameSection === undefined) throw new ElfError('no section names')
  const names = exactly(readAt, nameSection.offset, nameSection.size, 'section names')
  const modinfo = sections.find((section) => stringAt(names, section.name) === '.modinfo')
  if (modinfo === undefined) throw new ElfError('no .modinfo section: not a kernel module')
  const text = exactly(readAt, modinfo.offset, modinfo.size, '.modinfo').toString('utf8')
  return text.split('\0').flatMap((line): [string, string][] => {
    const equals = line.indexOf('=')
    return equals === -1 ? [] : [[line.slice(0, equals), line.slice(equals + 1)]]
  })
}

/** True when the program asks for a dynamic loader, which an initrd has not. */
export function needsInterpreter(readAt: ReadAt): boolean {
  const header = readHeader(readAt)
  const table = exactly(
    readAt,
    header.programOffset,
    header.programCount * header.programSize,
    'program table',
  )
  for (let index = 0; index < header.programCount; index++) {
    if (table.readUInt32LE(index * header.programSize) === programInterpreter) return true
  }
  return false
}

function readHeader(readAt: ReadAt) {
  const header = exactly(readAt, 0, 64, 'header')
  if (header.readUInt32BE(0) !== 0x7f454c46) throw new ElfError('not an ELF file')
  if (header[4] !== 2 || header[5] !== 1) throw new ElfError('not a 64-bit little-endian ELF file')
  const parsed = {
    programOffset: smallNumber(header.readBigUInt64LE(32)),
    sectionOffset: smallNumber(header.readBigUInt64LE(40)),
    programSize: header.readUInt16LE(54),
    programCount: header.readUInt16LE(56),
    sectionSize: header.readUInt16LE(58),
    sectionCount: header.readUInt16LE(60),
    nameSection: header.readUInt16LE(62),
  }
  if (parsed.sectionCount > 0 && parsed.sectionSize < 64) throw new ElfError('section headers are too short')
  if (parsed.programCount > 0 && parsed.programSize < 56) throw new ElfError('program headers are too short')
  return parsed
}

function exactly(readAt: ReadAt, offset: number, length: number, what: string): Buffer {
  if (length > largestSection) throw new ElfError(`${what} of ${length} bytes`)
  const bytes = readAt(offset, length)
  if (bytes.length !== length) throw new ElfError(`the file ends inside its ${what}`)
  return bytes
}

function smallNumber(value: bigint): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw new ElfError(`an offset of ${value}`)
  return Number(value)
}

function stringAt(table: Buffer, offset: number): string {
  const end = table.indexOf(0, offset)
  return table.toString('latin1', offset, end === -1 ? table.length : end)
}
