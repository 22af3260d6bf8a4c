/**
 * Dependencies as world, `D:`, `p:`, `i:` and `replaces` write them: `[!]name[@tag][operator version]`, with the
 * operators `<`, `<=`, `=`, `~`, `>=`, `>` and `><` (the version is then a checksum).
 */

import { compareVersions, isVersion } from './version.ts'

/** What a version may be, compared to the one that is written. Bits, as `>=` is two of them. */
export const LESS = 1
export const EQUAL = 2
export const GREATER = 4
export const FUZZY = 8
const ANY = LESS | EQUAL | GREATER | FUZZY
const CHECKSUM = LESS | GREATER

const OPERATOR_SIGNS = ['<', '=', '>', '~']

export interface Dependency {
  readonly name: string
  /** `!name`: must not be there. */
  readonly conflict: boolean
  /** `@tag`, without the sign; only world has it. */
  readonly tag: string | undefined
  /** Bits of LESS, EQUAL, GREATER, FUZZY. */
  readonly operator: number
  /** Absent: any. */
  readonly version: string | undefined
}

/** Written out, as it is asked of every name in every stanza. */
function firstOperator(text: string): number {
  let first = text.indexOf('=')
  let at = text.indexOf('<')
  if (at >= 0 && (first < 0 || at < first)) first = at
  at = text.indexOf('>')
  if (at >= 0 && (first < 0 || at < first)) first = at
  at = text.indexOf('~')
  return at >= 0 && (first < 0 || at < first) ? at : first
}

/** The name in a dependency of an index, which has no tags; with the `!` of a conflict. */
export function nameIn(dependency: string): string {
  const at = firstOperator(dependency)
  return at < 0 ? dependency : dependency.slice(0, at)
}

function operatorBits(text: string): number {
  if (text === '=') return EQUAL
  let bits = 0
  for (const sign of text) {
    if (sign === '<') bits |= LESS
    else if (sign === '>') bits |= GREATER
    else if (sign === '=') bits |= EQUAL
    else bits |= FUZZY | EQUAL
  }
  return bits
}

/**
 * One dependency; undefined when apk would refuse it. `as it is`: of an index, whose maker looked at its versions.
 */
export function parseDependency(
  text: string,
  versions: 'checked' | 'as it is' = 'checked',
): Dependency | undefined {
  const conflict = text.startsWith('!')
  const start = conflict ? 1 : 0
  const at = firstOperator(text)
  let name = text
  let operator = ANY
  let version: string | undefined
  if (at >= 0) {
    let end = at + 1
    while (end < text.length && OPERATOR_SIGNS.includes(text.charAt(end))) end++
    operator = operatorBits(text.slice(at, end))
    version = text.slice(end)
    const checked = versions === 'checked' && (operator & CHECKSUM) !== CHECKSUM
    if (version === '' || (checked && !isVersion(version))) return undefined
    name = text.slice(start, at)
  } else if (conflict) name = text.slice(1)
  let tag: string | undefined
  const sign = name.indexOf('@')
  if (sign >= 0) {
    tag = name.slice(sign + 1)
    name = name.slice(0, sign)
  }
  return name === '' ? undefined : { name, conflict, tag, operator, version }
}

/** A field with any number of dependencies. `invalid` is the first one that apk would refuse; it reads no further. */
export function parseDependencies(text: string): {
  readonly dependencies: readonly Dependency[]
  readonly invalid: string | undefined
} {
  const dependencies: Dependency[] = []
  for (const word of text.split(/[ \n]+/)) {
    if (word === '') continue
    const dependency = parseDependency(word)
    if (dependency === undefined) return { dependencies, invalid: word }
    dependencies.push(dependency)
  }
  return { dependencies, invalid: undefined }
}

const OPERATOR_TEXT = new Map([
  [LESS, '<'],
  [LESS | EQUAL, '<='],
  [EQUAL | FUZZY, '~'],
  [FUZZY, '~'],
  [EQUAL, '='],
  [GREATER | EQUAL, '>='],
  [GREATER, '>'],
  [CHECKSUM, '><'],
])

/** As apk writes it; `tags` for world, which keeps them. */
export function formatDependency(dependency: Dependency, tags: 'tags' | 'no tags' = 'no tags'): string {
  const { name, conflict, tag, operator, version } = dependency
  const sign = conflict ? '!' : ''
  const at = tag !== undefined && tags === 'tags' ? `@${tag}` : ''
  const wanted = version === undefined ? '' : `${OPERATOR_TEXT.get(operator) ?? '?'}${version}`
  return `${sign}${name}${at}${wanted}`
}

/**
 * Whether something of this version (undefined: provided without one) and this checksum is what the dependency
 * names, its `!` aside.
 */
export function matches(dependency: Dependency, version: string | undefined, checksum: string): boolean {
  const { operator, version: wanted } = dependency
  if (wanted === undefined || operator === ANY) return true
  if (operator === CHECKSUM) return wanted === checksum
  if (version === undefined) return false
  const order = compareVersions(version, wanted, (operator & FUZZY) !== 0)
  return (operator & (order < 0 ? LESS : order > 0 ? GREATER : EQUAL)) !== 0
}
