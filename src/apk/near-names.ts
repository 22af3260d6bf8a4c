/** The did-you-mean of package names: one edit away, or what the same is called elsewhere. */

import type { PackageSource } from './source.ts'
import { field } from './stanza.ts'

const MOST_LISTED = 5
/** A name of this length has 4,000 neighbours, one edit away. */
const LONGEST = 48
const CHARACTERS = 'abcdefghijklmnopqrstuvwxyz0123456789-_.+'

/** Names like this one that the repositories have: packages, and `name of package` for what one provides. */
export async function namesNear(source: PackageSource, name: string): Promise<readonly string[]> {
  const habits = calledElsewhere(name)
  const edits = name.length > LONGEST ? [] : oneEditFrom(name)
  const guesses = new Set([...habits, ...edits])
  guesses.delete(name)
  guesses.delete('')
  const found = new Map<string, string>()
  for (const stanza of (await source.lookup([...guesses])).flat()) {
    const own = field(stanza, 'P') ?? ''
    if (guesses.has(own)) found.set(own, own)
    for (const word of (field(stanza, 'p') ?? '').split(' ')) {
      const provided = word.replace(/[<=>~].*/, '')
      // Of a command or another name it is the package that can be named.
      if (guesses.has(provided) && !found.has(provided))
        found.set(provided, habits.has(provided) ? own : `${provided} of ${own}`)
    }
  }
  const order = [...guesses].flatMap((guess) => found.get(guess) ?? [])
  return [...new Set(order)].slice(0, MOST_LISTED)
}

/** The likely ones first. */
function calledElsewhere(name: string): ReadonlySet<string> {
  const plain = name.toLowerCase()
  return new Set([
    plain,
    plain.replaceAll('_', '-'),
    plain.replaceAll('-', '_'),
    plain.replaceAll('-', ''),
    plain.replace(/[-_.\d]+$/, ''),
    plain.replace(/-(server|client|daemon|utils|tools)$/, ''),
    plain.replace(/^(python3?|py)-/, 'py3-'),
    `${plain}-server`,
    `cmd:${plain}`,
    `lib${plain}`,
    plain.replace(/^lib/, ''),
    plain.replace(/d$/, ''),
  ])
}

/** A character too many, two swapped, one wrong, one missing. */
function oneEditFrom(name: string): readonly string[] {
  const [fewer, swapped, wrong, more]: [string[], string[], string[], string[]] = [[], [], [], []]
  for (let at = 0; at <= name.length; at++) {
    const [before, after] = [name.slice(0, at), name.slice(at)]
    if (after !== '') fewer.push(before + after.slice(1))
    if (after.length > 1) swapped.push(`${before}${after[1]}${after[0]}${after.slice(2)}`)
    for (const character of CHARACTERS) {
      if (after !== '') wrong.push(before + character + after.slice(1))
      more.push(before + character + after)
    }
  }
  return [...fewer, ...swapped, ...more, ...wrong]
}
