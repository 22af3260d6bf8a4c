/** What is said of overlays and of what differs between two of them, for a person. */

import type { Output } from '../output.ts'
import type { Difference, OverlayDifferences, Words } from './diff.ts'
import type { Contents } from './entry.ts'

type Paint = Pick<Output, 'style'>

export function describeDifferences(differences: OverlayDifferences, { style }: Paint): string {
  const { world, services, users, passwords, files } = differences
  const lines = [
    ...describeWords('world', world, style),
    ...describeWords('services', services, style),
    ...describeWords('users', users, style),
    ...passwords.map((name) => `${style('bold', 'password')} of ${name} changed`),
    ...files.flatMap((file) => describeFile(file, style)),
  ]
  return lines.map((line) => `${line}\n`).join('')
}

function describeWords(what: string, { added, removed }: Words, style: Output['style']): string[] {
  if (added.length + removed.length === 0) return []
  const words = [
    ...removed.map((word) => style('red', `-${word}`)),
    ...added.map((word) => style('green', `+${word}`)),
  ]
  return [`${style('bold', what)} ${words.join(' ')}`]
}

function describeFile({ path, change, facts, hunks = [] }: Difference, style: Output['style']): string[] {
  const color = { added: 'green', removed: 'red', changed: 'yellow' } as const
  const head = `${style(color[change], change.padEnd(7))} ${style('bold', `/${shown(path)}`)}`
  const paint = (line: string) => {
    if (line.startsWith('@@')) return style('cyan', line)
    if (line.startsWith('+')) return style('green', line)
    return line.startsWith('-') ? style('red', line) : line
  }
  return [
    facts.length === 0 ? head : `${head}: ${facts.map(shown).join(', ')}`,
    ...hunks.map((line) => `  ${paint(shown(line))}`),
  ]
}

/** Whoever wrote the overlay does not write to this terminal. */
function shown(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}]/gu, (character) => (character === '\t' ? character : '?'))
}

/** `12 files, 3 directories, 4 symlinks` */
export function countEntries(contents: Contents): string {
  const counts = new Map<string, number>()
  for (const { kind } of contents.values()) counts.set(kind, (counts.get(kind) ?? 0) + 1)
  const plural = (kind: string, count: number) =>
    count === 1 ? `1 ${kind}` : `${count} ${kind === 'directory' ? 'directories' : `${kind}s`}`
  return [...counts].map(([kind, count]) => plural(kind, count)).join(', ')
}
