/**
 * The cases that apk-tools 2.14 tests its own solver with (its source, test/*.test): those that begin with an empty system,
 * as a boot does. One that expects an error is met by a world that cannot be had whole.
 */

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { stanzaSource } from '../../test/support/stanza-source.ts'
import type { Findings } from './findings.ts'
import { chooseOurselves, difference } from './ours.ts'

interface Case {
  readonly repositories: readonly { readonly tag: string | undefined; readonly file: string }[]
  readonly world: readonly string[]
  /** `name (version)`; undefined: an error. */
  readonly expected: readonly string[] | undefined
}

export async function runCases(directory: string, findings: Findings): Promise<void> {
  const files = readdirSync(directory).filter((name) => name.endsWith('.test'))
  if (files.length === 0) return findings.say(`${directory} has no cases of 2.14’s solver`)
  let [tried, met] = [0, 0]
  for (const file of files) {
    const test = readCase(readFileSync(join(directory, file), 'utf8'))
    if (test === undefined) continue
    tried++
    const repositories = test.repositories.map(({ tag, file }) => {
      return { tag, local: true, stanzas: readStanzas(readFileSync(join(directory, file), 'utf8')) }
    })
    const { lines, dropped } = await chooseOurselves(stanzaSource(repositories), test.world)
    const differing = test.expected === undefined ? undefined : difference(lines, test.expected)
    if (differing === undefined && dropped.length > 0 === (test.expected === undefined)) met++
    else
      findings.differs(
        `${file}: ${differing ?? (dropped.length > 0 ? 'we drop something' : 'we find no fault')}`,
      )
  }
  findings.say(
    `${met} of ${tried} cases of its solver’s tests are met; ${files.length - tried} are of upgrades and the like, which no boot makes`,
  )
}

/** Undefined: it is not of our kind. */
function readCase(text: string): Case | undefined {
  const { args = '', expect = '' } = blocksOf(text)
  const words = args.split(/\s+/).filter((word) => word !== '')
  const repositories: { tag: string | undefined; file: string }[] = []
  const world: string[] = []
  let adding = false
  for (let at = 0; at < words.length; at++) {
    const word = words[at] ?? ''
    if (word === '--test-repo') {
      const [, tag, file = ''] = /^(?:(\w+):)?(.*)$/.exec(words[++at] ?? '') ?? []
      repositories.push({ tag, file })
    } else if (word === 'add' && !adding) adding = true
    else if (word.startsWith('-') || !adding) return undefined
    else world.push(word)
  }
  const installs = [...expect.matchAll(/^\(\d+\/\d+\) (\w+) (\S+ \(.*\))$/gm)]
  if (!adding || installs.some(([, verb]) => verb !== 'Installing')) return undefined
  const expected = /^ERROR/m.test(expect) ? undefined : installs.map(([, , line = '']) => line)
  return { repositories, world, expected }
}

/** What stands below `@NAME` lines, by the name in small letters. */
function blocksOf(text: string): Readonly<Record<string, string>> {
  const blocks = text.split(/^@(?=[A-Z]+\b)/m).slice(1)
  return Object.fromEntries(
    blocks.map((block) => {
      const [, name = '', rest = ''] = /^([A-Z]+)((?:.|\n)*)$/.exec(block) ?? []
      return [name.toLowerCase(), rest]
    }),
  )
}

/** Some have no checksum; and two written by hand may be the same bytes: then the second package is not there. */
function readStanzas(text: string): readonly string[] {
  const found = new Map<string, string>()
  for (const [n, stanza] of text.split(/\n\n+/).entries()) {
    if (!/^P:/m.test(stanza)) continue
    const [, base64 = Buffer.from(`none ${n}`.padEnd(20)).toString('base64')] =
      /^C:Q1(.*)$/m.exec(stanza) ?? []
    const checksum = Buffer.from(base64, 'base64').toString('base64')
    // No index has a field twice, but apk would take both.
    const merged = stanza.replace(/^C:.*\n/m, '').replace(/^p:(.*)\np:(.*)$/m, 'p:$1 $2')
    if (!found.has(checksum)) found.set(checksum, `C:Q1${checksum}\n${merged}`)
  }
  return [...found.values()]
}
