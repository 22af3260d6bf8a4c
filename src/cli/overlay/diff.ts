/** What differs between two overlays: packages, services and users by word, everything else by path. */

import { createHash } from 'node:crypto'
import { formatDependency } from '../../apk/dependency.ts'
import { makeWorld, worldWords } from '../../apk/world.ts'
import { freshAccounts } from './accounts.ts'
import { bytesOf, type Contents, type Entry, makeDirectory, root, textOf } from './entry.ts'
import { unifiedHunks } from './hunks.ts'

export interface Difference {
  readonly path: string
  readonly change: 'added' | 'removed' | 'changed'
  /** For a person: `mode 0644 → 0600`. */
  readonly facts: readonly string[]
  /** Of text files, as `diff -u` has them. */
  readonly hunks?: readonly string[]
}

export interface Words {
  readonly added: readonly string[]
  readonly removed: readonly string[]
}

export interface OverlayDifferences {
  readonly world: Words
  /** `default:sshd`. */
  readonly services: Words
  readonly users: Words
  /** Whose hash of a password is another one; the hashes themselves are not told. */
  readonly passwords: readonly string[]
  readonly files: readonly Difference[]
}

export function isSame({ world, services, users, passwords, files }: OverlayDifferences): boolean {
  const none = ({ added, removed }: Words) => added.length + removed.length === 0
  return [world, services, users].every(none) && passwords.length + files.length === 0
}

/** Paths whose content is told by word. */
const toldByWord = new Set(['etc/apk/world', 'etc/shadow'])
const serviceLink = /^etc\/runlevels\/([^/]+)\/([^/]+)$/

export function compareOverlays(first: Contents, second: Contents): OverlayDifferences {
  const [before, after] = [withImplied(first), withImplied(second)]
  const paths = [...new Set([...before.keys(), ...after.keys()])].sort()
  return {
    world: compareWords(worldOf(before), worldOf(after)),
    services: compareWords(servicesOf(before), servicesOf(after)),
    users: compareWords(usersOf(before), usersOf(after)),
    passwords: comparePasswords(before, after),
    files: paths.flatMap((path) => comparePath(path, before, after)),
  }
}

/** Directories that are left out, as lbu leaves them out: whoever unpacks it finds or makes them. */
function withImplied(contents: Contents): Contents {
  const whole = new Map(contents)
  for (const [path, { mtime }] of contents) {
    for (let slash = path.indexOf('/'); slash !== -1; slash = path.indexOf('/', slash + 1)) {
      const parent = path.slice(0, slash)
      if (!whole.has(parent)) whole.set(parent, makeDirectory({ ...root, mode: 0o755, mtime }))
    }
  }
  return whole
}

function compareWords(before: readonly string[], after: readonly string[]): Words {
  return {
    added: after.filter((word) => !before.includes(word)),
    removed: before.filter((word) => !after.includes(word)),
  }
}

function worldOf(contents: Contents): readonly string[] {
  const world = makeWorld(worldWords(textOf(contents, 'etc/apk/world') ?? ''))
  return [...world.entries.map((entry) => formatDependency(entry, 'tags')), ...world.invalid]
}

function servicesOf(contents: Contents): readonly string[] {
  return [...contents].flatMap(([path, { kind }]) => {
    const [, runlevel, name] = serviceLink.exec(path) ?? []
    return kind === 'symlink' && runlevel !== undefined ? [`${runlevel}:${name}`] : []
  })
}

function usersOf(contents: Contents): readonly string[] {
  return rowsOf(contents, 'passwd').map(([name = '', , uid]) => `${name} (${uid})`)
}

function comparePasswords(before: Contents, after: Contents): readonly string[] {
  const former = new Map(rowsOf(before, 'shadow').map(([name = '', hash]) => [name, hash]))
  return rowsOf(after, 'shadow').flatMap(([name = '', hash]) =>
    former.has(name) && former.get(name) !== hash ? [name] : [],
  )
}

/** An overlay without the file leaves the one that the package brings. */
function rowsOf(contents: Contents, file: 'passwd' | 'shadow'): readonly (readonly string[])[] {
  const text = textOf(contents, `etc/${file}`) ?? freshAccounts[file]
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => line.split(':'))
}

function comparePath(path: string, before: Contents, after: Contents): readonly Difference[] {
  const [old, fresh] = [before.get(path), after.get(path)]
  if (old === undefined || fresh === undefined) {
    const entry = old ?? fresh
    if (entry === undefined || isToldAsService(path, entry)) return []
    const [from, to] = [textTold(path, before), textTold(path, after)]
    const change = old === undefined ? 'added' : 'removed'
    return [{ path, change, facts: [showEntry(entry)], ...hunksOf(from ?? '', to ?? '', entry) }]
  }
  const facts = compareFacts(old, fresh)
  const [left, right] = [bytesOf(before, path), bytesOf(after, path)]
  const isOther = left !== undefined && right !== undefined && !left.equals(right)
  const [from, to] = [textTold(path, before), textTold(path, after)]
  const hasTexts = isOther && from !== undefined && to !== undefined
  const more = isOther && !hasTexts && !toldByWord.has(path) ? [`${digest(left)} → ${digest(right)}`] : []
  if (facts.length === 0 && (!isOther || isSilent(path, before, after))) return []
  return [
    { path, change: 'changed', facts: [...facts, ...more], ...(hasTexts ? hunksOf(from, to, fresh) : {}) },
  ]
}

/** Nothing is left to be told once the words are. */
function isSilent(path: string, before: Contents, after: Contents): boolean {
  if (path === 'etc/apk/world') return true
  return path === 'etc/shadow' && bytesOf(before, path) !== undefined && bytesOf(after, path) !== undefined
}

function isToldAsService(path: string, entry: Entry): boolean {
  if (serviceLink.test(path)) return entry.kind === 'symlink'
  return entry.kind === 'directory' && /^etc(\/runlevels(\/[^/]+)?)?$/.test(path)
}

/** Undefined where it is no text, or one that is told otherwise. */
function textTold(path: string, contents: Contents): string | undefined {
  if (toldByWord.has(path)) return undefined
  const bytes = bytesOf(contents, path)
  if (bytes === undefined || bytes.length > 1 << 20 || bytes.includes(0)) return undefined
  const text = bytes.toString('utf8')
  return Buffer.from(text).equals(bytes) ? text : undefined
}

function hunksOf(from: string, to: string, { kind }: Entry): { readonly hunks?: readonly string[] } {
  if (kind !== 'file' && kind !== 'hardlink') return {}
  const hunks = unifiedHunks(from, to)
  return hunks === undefined || hunks.length === 0 ? {} : { hunks }
}

function compareFacts(old: Entry, fresh: Entry): string[] {
  const told = (what: string, from: string, to: string) => (from === to ? [] : [`${what} ${from} → ${to}`])
  const owner = ({ uid, gid }: Entry) => `${uid}:${gid}`
  const mode = (entry: Entry) => (entry.kind === 'symlink' ? '' : octal(entry.mode))
  return [
    ...told('kind', old.kind, fresh.kind),
    ...(old.kind === 'symlink' || fresh.kind === 'symlink' ? [] : told('mode', mode(old), mode(fresh))),
    ...told('owner', owner(old), owner(fresh)),
    ...told('leads to', targetOf(old), targetOf(fresh)),
    ...told('device', deviceOf(old), deviceOf(fresh)),
    ...told('attributes', attributesOf(old), attributesOf(fresh)),
  ]
}

function targetOf(entry: Entry): string {
  return 'target' in entry ? entry.target : '-'
}

function deviceOf(entry: Entry): string {
  return entry.kind === 'character' || entry.kind === 'block' ? `${entry.major}:${entry.minor}` : '-'
}

/** Times below a second are of no interest. */
function attributesOf({ records }: Entry): string {
  const names = [...records.keys()].filter((key) => !/time$/.test(key)).sort()
  return (
    names
      .map((name) => `${name.replace('SCHILY.xattr.', '')}=${records.get(name)?.toString('base64')}`)
      .join(' ') || '-'
  )
}

export function showEntry(entry: Entry): string {
  const size = entry.kind === 'file' ? `, ${entry.bytes.length} bytes` : ''
  const target = 'target' in entry ? ` to ${entry.target}` : ''
  return `${entry.kind}${target}, ${octal(entry.mode)} ${entry.uid}:${entry.gid}${size}`
}

function octal(mode: number): string {
  return mode.toString(8).padStart(4, '0')
}

function digest(bytes: Buffer): string {
  return `${bytes.length} bytes, sha256 ${createHash('sha256').update(bytes).digest('hex').slice(0, 12)}…`
}
