/**
 * One package's stanza: lines of `letter:value`, in an index (APKINDEX) and, with more letters, in the database of
 * what is installed. A field is looked for when it is asked for: the solver reads a few letters of each.
 */

import { formatDependency, parseDependencies } from './dependency.ts'

/** The letters that an index and the database share. */
export type Field =
  | 'C' // checksum of the control member, Q1 and base64
  | 'P' // name
  | 'V' // version
  | 'A' // architecture
  | 'S' // bytes of the package file
  | 'I' // bytes installed
  | 'T' // description
  | 'U' // URL of the project
  | 'L' // licence
  | 'o' // origin: the source package
  | 'm' // maintainer
  | 't' // build time, seconds
  | 'c' // commit
  | 'k' // provider priority
  | 'D' // depends
  | 'p' // provides
  | 'i' // install_if
  | 'r' // replaces
  | 'q' // replaces priority
  | 's' // tag of the repository

/**
 * A field's value; undefined when it is absent or empty. Of a field given twice the last one counts. By `split`, which
 * QuickJS does at memory's speed: its `indexOf` compares strings at every place, and costs eight times as much.
 */
export function field(stanza: string, letter: Field): string | undefined {
  const parts = stanza.split(`\n${letter}:`)
  let rest = parts.at(-1)
  if (parts.length === 1) rest = stanza.startsWith(`${letter}:`) ? stanza.slice(2) : undefined
  const value = rest?.split('\n', 1)[0]
  return value === '' ? undefined : value
}

/** A field that is a number in decimal; 0 when it is absent. Stops at the first other character, as apk does. */
export function numberField(stanza: string, letter: Field): number {
  const digits = /^\d{1,15}/.exec(field(stanza, letter) ?? '')
  return digits === null ? 0 : Number(digits[0])
}

/** What the package itself, not the index, adds to its stanza: from `.PKGINFO` and the choice of a repository. */
export interface InstalledExtras {
  /** `r:`, as in .PKGINFO. */
  readonly replaces: string | undefined
  readonly replacesPriority: number
  /** `s:`: the tag of the repository that it came from. */
  readonly tag: string | undefined
}

function dependencyLine(stanza: string, letter: 'D' | 'p' | 'i'): string {
  const value = field(stanza, letter)
  if (value === undefined) return ''
  const { dependencies } = parseDependencies(value)
  return dependencies.length === 0
    ? ''
    : `${letter}:${dependencies.map((d) => formatDependency(d)).join(' ')}\n`
}

function optionalLine(stanza: string, letter: 'A' | 'o' | 'm' | 'c'): string {
  const value = field(stanza, letter)
  return value === undefined ? '' : `${letter}:${value}\n`
}

function nonZeroLine(letter: 't' | 'k' | 'q', value: number): string {
  return value === 0 ? '' : `${letter}:${value}\n`
}

/**
 * The lines that apk 2.14 writes to lib/apk/db/installed for a package before its `F:` lines, from its stanza in the
 * index. Ends in a newline.
 */
export function installedStanza(stanza: string, extras: InstalledExtras): string {
  const replaces = extras.replaces === undefined ? [] : parseDependencies(extras.replaces).dependencies
  return [
    `C:${field(stanza, 'C') ?? ''}\nP:${field(stanza, 'P') ?? ''}\nV:${field(stanza, 'V') ?? ''}\n`,
    optionalLine(stanza, 'A'),
    `S:${numberField(stanza, 'S')}\nI:${numberField(stanza, 'I')}\n`,
    `T:${field(stanza, 'T') ?? ''}\nU:${field(stanza, 'U') ?? ''}\nL:${field(stanza, 'L') ?? ''}\n`,
    optionalLine(stanza, 'o'),
    optionalLine(stanza, 'm'),
    nonZeroLine('t', numberField(stanza, 't')),
    optionalLine(stanza, 'c'),
    nonZeroLine('k', numberField(stanza, 'k')),
    dependencyLine(stanza, 'D'),
    dependencyLine(stanza, 'p'),
    dependencyLine(stanza, 'i'),
    replaces.length === 0 ? '' : `r:${replaces.map((d) => formatDependency(d, 'tags')).join(' ')}\n`,
    nonZeroLine('q', extras.replacesPriority),
    extras.tag === undefined ? '' : `s:${extras.tag}\n`,
  ].join('')
}
