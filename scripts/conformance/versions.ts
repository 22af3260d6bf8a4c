/**
 * The order of versions. Every pair of versions that an index speaks of, against the real apk: each is the version of an
 * installed package in a database of our making, and `apk info --installed` says which of all of them a dependency takes.
 * And the table of apk-tools' own tests.
 */

import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { matches, parseDependency } from '../../src/apk/dependency.ts'
import { field } from '../../src/apk/stanza.ts'
import { compareVersions, isVersion } from '../../src/apk/version.ts'
import type { Random } from '../../test/support/random.ts'
import { wordsOf } from '../../test/support/stanza-source.ts'
import type { Findings } from './findings.ts'
import type { RealApk } from './real-apk.ts'
import type { Repository } from './repository.ts'
import { inParallel } from './worlds.ts'

/** Those of packages, and those that are asked for or provided; each once, in a random order. */
export function versionsIn(repositories: readonly Repository[], random: Random): readonly string[] {
  const versions = new Set<string>()
  for (const stanza of repositories.flatMap(({ stanzas }) => stanzas)) {
    versions.add(field(stanza, 'V') ?? '')
    const dependencies = (['D', 'p', 'i'] as const).flatMap((letter) => wordsOf(field(stanza, letter)))
    for (const word of dependencies) versions.add(/[<>=~]+(.+)$/.exec(word)?.[1] ?? '')
  }
  versions.delete('')
  return [...versions]
    .map((version) => ({ version, key: random() }))
    .sort((a, b) => a.key - b.key)
    .map(({ version }) => version)
}

/** `most` of the versions, each with each: less than, and about. */
export async function comparePairs(
  apk: RealApk,
  all: readonly string[],
  most: number,
  findings: Findings,
): Promise<void> {
  await compareValidity(apk, all, findings)
  const versions = all.filter(isVersion).slice(0, most)
  apk.install(versions.map(installedAs))
  let pairs = 0
  await inParallel(versions, async (wanted) => {
    for (const operator of ['<', '~']) {
      const asked = versions.map((_, n) => `v${n}${operator}${wanted}`)
      const { output } = await apk.run('info', '--installed', ...asked)
      const theirs = new Set(output.split('\n'))
      for (const [n, version] of versions.entries()) {
        const dependency = parseDependency(asked[n] ?? '')
        const ours = dependency !== undefined && matches(dependency, version, '')
        if (ours !== theirs.has(`v${n}`))
          findings.differs(`is ${version} ${operator} ${wanted}? We say ${ours}`)
      }
    }
    pairs += versions.length
  })
  apk.install([])
  findings.say(
    `${pairs} ordered pairs of ${versions.length} of ${all.length} versions were compared by < and by ~ with ${apk.version}`,
  )
}

async function compareValidity(apk: RealApk, versions: readonly string[], findings: Findings): Promise<void> {
  const { output } = await apk.run('version', '--check', '--', ...versions)
  const invalid = new Set(output.split('\n'))
  for (const version of versions)
    if (isVersion(version) === invalid.has(version)) findings.differs(`is ${version} a version?`)
}

function installedAs(version: string, n: number): string {
  const lines = [
    `C:Q1${Buffer.from(String(n).padStart(20, '0')).toString('base64')}`,
    `P:v${n}`,
    `V:${version}`,
  ]
  return [...lines, 'A:noarch', 'S:1', 'I:1', 'T:', 'U:', 'L:'].join('\n')
}

/** version.data: `a < b` a line, and versions by themselves that are one, or with `!` none. Later apk-tools know more. */
export async function compareTable(
  apk: RealApk | undefined,
  directory: string,
  findings: Findings,
): Promise<void> {
  const file = ['version.data', 'unit/version.data'].map((name) => join(directory, name)).find(existsSync)
  if (file === undefined) return findings.say(`${directory} has no version.data`)
  let [same, later, lines] = [0, 0, 0]
  for (const line of readFileSync(file, 'utf8').split('\n')) {
    const claim = readClaim(line)
    if (claim === undefined) continue
    lines++
    if (claim.holds) same++
    else if (apk !== undefined && (await claim.ask(apk)) !== claim.expected) later++
    else
      findings.differs(`${line}: we say otherwise${apk === undefined ? '' : `, and ${apk.version} does not`}`)
  }
  findings.say(
    `${same} of the ${lines} lines of version.data hold${later > 0 ? `; of the others ${apk?.version} says what we say` : ''}`,
  )
}

interface Claim {
  readonly expected: string
  readonly holds: boolean
  ask(apk: RealApk): Promise<string>
}

function readClaim(line: string): Claim | undefined {
  const [, a, operator, b] = /^(\S+) (!?~|[<>]~?|=) (\S+)/.exec(line) ?? []
  if (a !== undefined && operator !== undefined && b !== undefined) return compared(a, operator, b)
  const [, no, version] = /^(!?)([^\s!]\S*)$/.exec(line) ?? []
  if (version === undefined) return undefined
  const expected = no === '' ? 'valid' : 'invalid'
  return {
    expected,
    holds: isVersion(version) === (no === ''),
    ask: async (apk) =>
      (await apk.run('version', '--check', '--', version)).output.trim() === '' ? 'valid' : 'invalid',
  }
}

function compared(a: string, operator: string, b: string): Claim {
  if (/^[<>=]$/.test(operator)) {
    const order = compareVersions(a, b)
    return {
      expected: operator,
      holds: (order < 0 ? '<' : order > 0 ? '>' : '=') === operator,
      ask: async (apk) => (await apk.run('version', '--test', a, b)).output.trim(),
    }
  }
  const dependency = parseDependency(`x${operator.replace('!', '')}${b}`)
  const takes = dependency !== undefined && matches(dependency, a, '')
  return {
    expected: operator,
    holds: takes !== operator.startsWith('!'),
    ask: async (apk) => {
      apk.install([installedAs(a, 0)])
      const { output } = await apk.run('info', '--installed', `v0${operator.replace('!', '')}${b}`)
      apk.install([])
      return (output.trim() === 'v0') === operator.startsWith('!') ? 'otherwise' : operator
    },
  }
}
