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
  return numberOf(field(stanza, letter))
}

function numberOf(value: string | undefined): number {
  const digits = /^\d{1,15}/.exec(value ?? '')
  return digits === null ? 0 : Number(digits[0])
}

/** All fields at once, for who wants many: QuickJS looks for each one slowly. As `field` has them. */
function fieldsOf(stanza: string): ReadonlyMap<string, string> {
  const fields = new Map<string, string>()
  for (const line of stanza.split('\n')) {
    const letter = line.charAt(0)
    if (line.charAt(1) !== ':') continue
    if (line.length > 2) fields.set(letter, line.slice(2))
    else fields.delete(letter)
  }
  return fields
}

/** What the package itself, not the index, adds to its stanza: from `.PKGINFO` and the choice of a repository. */
export interface InstalledExtras {
  /** `r:`, as in .PKGINFO. */
  readonly replaces: string | undefined
  readonly replacesPriority: number
  /** `s:`: the tag of the repository that it came from. */
  readonly tag: string | undefined
}

/** Names with or without an operator and a version of the usual kind, a space between them: written as they are read. */
const usual =
  /^(?:!?[^ \n!@<=>~]+(?:[<>]?=?\d{1,15}(?:\.\d{1,15})*[a-z]?(?:_(?:alpha|beta|pre|rc|cvs|svn|git|hg|p)\d{0,15})*(?:-r\d{1,15})?)?(?: (?!$)|$))+$/

function dependencyLine(letter: 'D' | 'p' | 'i', value: string | undefined): string {
  if (value === undefined) return ''
  // busybox provides three hundred commands.
  if (usual.test(value)) return `${letter}:${value}\n`
  const { dependencies } = parseDependencies(value)
  return dependencies.length === 0
    ? ''
    : `${letter}:${dependencies.map((d) => formatDependency(d)).join(' ')}\n`
}

function optionalLine(letter: 'A' | 'o' | 'm' | 'c', value: string | undefined): string {
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
  const fields = fieldsOf(stanza)
  const of = (letter: Field) => fields.get(letter)
  const replaces = extras.replaces === undefined ? [] : parseDependencies(extras.replaces).dependencies
  return [
    `C:${of('C') ?? ''}\nP:${of('P') ?? ''}\nV:${of('V') ?? ''}\n`,
    optionalLine('A', of('A')),
    `S:${numberOf(of('S'))}\nI:${numberOf(of('I'))}\n`,
    `T:${of('T') ?? ''}\nU:${of('U') ?? ''}\nL:${of('L') ?? ''}\n`,
    optionalLine('o', of('o')),
    optionalLine('m', of('m')),
    nonZeroLine('t', numberOf(of('t'))),
    optionalLine('c', of('c')),
    nonZeroLine('k', numberOf(of('k'))),
    dependencyLine('D', of('D')),
    dependencyLine('p', of('p')),
    dependencyLine('i', of('i')),
    replaces.length === 0 ? '' : `r:${replaces.map((d) => formatDependency(d, 'tags')).join(' ')}\n`,
    nonZeroLine('q', extras.replacesPriority),
    extras.tag === undefined ? '' : `s:${extras.tag}\n`,
  ].join('')
}
