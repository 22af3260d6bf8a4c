/** Reads "newc" cpio archives (the kernel's buffer-format.rst): what is in them and where, not the contents. */

import { CommandError } from '../../../build/error.ts'
import { type Bytes, clean } from './bytes.ts'

export interface CpioEntry {
  /** Without a leading `./` or `/`. */
  readonly name: string
  readonly kind: 'file' | 'directory' | 'symlink' | 'device' | 'other'
  /** Permissions, with setuid, setgid and sticky. */
  readonly mode: number
  readonly uid: number
  readonly gid: number
  /** Bytes of the content, and where it lies. */
  readonly size: number
  readonly offset: number
}

const headerLength = 110
/** PATH_MAX, which the kernel holds names to. */
const longestName = 4096
const kinds: ReadonlyMap<number, CpioEntry['kind']> = new Map([
  [0o100000, 'file'],
  [0o040000, 'directory'],
  [0o120000, 'symlink'],
  [0o020000, 'device'],
  [0o060000, 'device'],
])

export interface CpioArchive {
  readonly entries: readonly CpioEntry[]
  /** Of the first byte behind it. */
  readonly end: number
}

/** From `start` to the trailer. Throws a CommandError that says where it stops to be one. */
export function readCpio(bytes: Bytes, start: number, subject: string): CpioArchive {
  const entries: CpioEntry[] = []
  for (let at = start; ; ) {
    const header = bytes.slice(at, headerLength).toString('latin1')
    const last = entries.at(-1)
    const behind = last === undefined ? '' : `, behind '${clean(last.name)}'`
    if (header.length < headerLength) {
      throw new CommandError(
        `${subject} is cut short: it ends at byte ${bytes.size}${behind}, without a trailer`,
      )
    }
    if (!/^07070[12][\da-f]{104}$/i.test(header)) {
      throw new CommandError(`${subject} is damaged at byte ${at}${behind}: no cpio header is there`)
    }
    const field = (index: number) => Number.parseInt(header.slice(6 + index * 8, 14 + index * 8), 16)
    const [mode, size, nameLength] = [field(1), field(6), field(11)]
    if (nameLength < 1 || nameLength > longestName) {
      throw new CommandError(`${subject} is damaged at byte ${at}${behind}: a name of ${nameLength} bytes`)
    }
    const raw = bytes.slice(at + headerLength, nameLength)
    const name = raw.subarray(0, Math.max(raw.length - 1, 0)).toString('utf8')
    const offset = aligned(at + headerLength + nameLength)
    const end = offset + size
    if (raw.length < nameLength || end > bytes.size) {
      const there = Math.max(0, bytes.size - offset)
      throw new CommandError(
        `${subject} is cut short: it ends at byte ${bytes.size}, inside '${clean(name)}' (${there} of its ${size} bytes are there)`,
      )
    }
    if (name === 'TRAILER!!!') return { entries, end }
    entries.push({
      name: name.replace(/^(?:\.?\/)+/, ''),
      kind: kinds.get(mode & 0o170000) ?? 'other',
      mode: mode & 0o7777,
      uid: field(2),
      gid: field(3),
      size,
      offset,
    })
    at = aligned(end)
  }
}

/** Offsets count from the archive's own start, which itself is a multiple of four. */
function aligned(offset: number): number {
  return Math.ceil(offset / 4) * 4
}
