/** What an overlay holds, entry by entry, with owners that nobody needs to be root for: nothing of it is unpacked to be changed. */

import { CommandError } from '../../../build/error.ts'

interface Facts {
  /** Permissions with setuid, setgid and sticky: 07777 at most. */
  readonly mode: number
  readonly uid: number
  readonly gid: number
  /** What the archive calls the owners; empty where it does not. Numbers count. */
  readonly user: string
  readonly group: string
  /** Seconds since 1970. */
  readonly mtime: number
  /** pax records that are kept as they are: extended attributes (`SCHILY.xattr.NAME`), times below a second. */
  readonly records: ReadonlyMap<string, Buffer>
}

export type Entry = Facts &
  (
    | { readonly kind: 'file'; readonly bytes: Buffer }
    | { readonly kind: 'directory' }
    | { readonly kind: 'symlink'; readonly target: string }
    /** Another name of a file; `target` is its path in the overlay. */
    | { readonly kind: 'hardlink'; readonly target: string }
    | { readonly kind: 'character' | 'block'; readonly major: number; readonly minor: number }
    | { readonly kind: 'fifo' }
  )

export type Owner = Pick<Facts, 'uid' | 'gid' | 'user' | 'group'>

/** By path: relative to the root, without `./` and without a directory's slash. The root itself is `''`. */
export type Contents = ReadonlyMap<string, Entry>

export const root: Owner = { uid: 0, gid: 0, user: 'root', group: 'root' }
const noRecords: ReadonlyMap<string, Buffer> = new Map()

type Made = Owner & { readonly mode: number; readonly mtime: number }

export function makeFile(bytes: Buffer | string, facts: Made): Entry {
  return { kind: 'file', bytes: Buffer.from(bytes), records: noRecords, ...facts }
}

export function makeDirectory(facts: Made): Entry {
  return { kind: 'directory', records: noRecords, ...facts }
}

export function makeSymlink(target: string, mtime: number): Entry {
  return { kind: 'symlink', target, records: noRecords, ...root, mode: 0o777, mtime }
}

/** Extended attributes alone, for what was changed. */
export function withoutTimes(records: Entry['records']): Entry['records'] {
  return new Map([...records].filter(([key]) => !/^[acm]time$/.test(key)))
}

/** A path as people write it, `/etc/x`, `./etc/x/`: as `Contents` has it. Throws where it leads out. */
export function insidePath(raw: string, subject: string): string {
  const parts = raw.split('/').filter((part) => part !== '' && part !== '.')
  if (parts.includes('..') || raw.includes('\0')) {
    throw new CommandError(`${subject} holds the name ${JSON.stringify(raw)}, which leads out of it`)
  }
  return parts.join('/')
}

/**
 * Without the directories above it, as lbu packs: packages bring them with modes of their own, or whoever unpacks it makes
 * them. Throws where one of them is there and no directory.
 */
export function put(contents: Map<string, Entry>, path: string, entry: Entry, subject: string): void {
  for (let slash = path.indexOf('/'); slash !== -1; slash = path.indexOf('/', slash + 1)) {
    const parent = path.slice(0, slash)
    const present = contents.get(parent)
    if (present === undefined && parent === 'etc') {
      contents.set(parent, makeDirectory({ ...root, mode: 0o755, mtime: entry.mtime }))
    } else if (present !== undefined && present.kind !== 'directory') {
      throw new CommandError(
        `${subject}: /${path} cannot lie in /${parent}, which is a ${present.kind} there`,
      )
    }
  }
  if (entry.kind !== 'directory' && contents.get(path)?.kind === 'directory') {
    throw new CommandError(`${subject}: /${path} is a directory there`, {
      advice: [`--remove /${path} takes it away, with what is in it.`],
    })
  }
  keepOtherNames(contents, path)
  contents.set(path, entry)
}

/** With all that lies in it. Whether there was such a thing. */
export function take(contents: Map<string, Entry>, path: string): boolean {
  const gone = [...contents.keys()].filter((name) => name === path || name.startsWith(`${path}/`))
  for (const name of gone) {
    keepOtherNames(contents, name, gone)
    contents.delete(name)
  }
  return gone.length > 0
}

/** A file goes, and hard links are its other names: the first of them becomes the file. */
function keepOtherNames(contents: Map<string, Entry>, path: string, goingToo: readonly string[] = []): void {
  const file = contents.get(path)
  if (file?.kind !== 'file') return
  let heir: string | undefined
  for (const [name, entry] of contents) {
    if (entry.kind !== 'hardlink' || entry.target !== path || goingToo.includes(name)) continue
    if (heir === undefined) {
      heir = name
      contents.set(name, file)
    } else contents.set(name, { ...entry, target: heir })
  }
}

/** The text of a file, or of what a hard link is another name of; undefined: there is none. */
export function textOf(contents: Contents, path: string): string | undefined {
  return bytesOf(contents, path)?.toString('utf8')
}

export function bytesOf(contents: Contents, path: string): Buffer | undefined {
  const entry = contents.get(path)
  const file = entry?.kind === 'hardlink' ? contents.get(entry.target) : entry
  return file?.kind === 'file' ? file.bytes : undefined
}

/** A file's text in place of the former, owners and mode kept; a new one is of root and 0644 or what `facts` says. */
export function putText(
  contents: Map<string, Entry>,
  path: string,
  text: string,
  { mtime, subject, ...facts }: { readonly mtime: number; readonly subject: string } & Partial<Made>,
): void {
  const former = contents.get(path)
  const file = former?.kind === 'hardlink' ? contents.get(former.target) : former
  if (file?.kind === 'file') {
    if (file.bytes.equals(Buffer.from(text))) return
    const { mode, uid, gid, user, group } = file
    const made = makeFile(text, { mode, uid, gid, user, group, mtime })
    put(contents, path, { ...made, records: withoutTimes(file.records) }, subject)
  } else put(contents, path, makeFile(text, { ...root, mode: 0o644, ...facts, mtime }), subject)
}
