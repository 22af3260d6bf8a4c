/**
 * Small repositories made up of everything that a solver may stumble over, each with a world of its own, against the real
 * apk: a handful of packages reach corners that thousands of real ones do not.
 */

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { makeTar } from '../../test/support/machine/tar.ts'
import { type Spec, type Specs, stanzaOf } from '../../test/support/memory-source.ts'
import { type Random, randomNumbers } from '../../test/support/random.ts'
import { nameIn, stanzaSource } from '../../test/support/stanza-source.ts'
import type { Findings } from './findings.ts'
import { chooseOurselves, difference } from './ours.ts'
import type { RealApk } from './real-apk.ts'
import type { Repository } from './repository.ts'
import { type Drawing, inParallel } from './worlds.ts'

/** Where what install_if brings in is broken, apk tries the same for ever. */
const longestMs = 4000
const mostShown = 10

export async function compareSmall(
  apk: RealApk,
  { seed, worlds }: Drawing,
  findings: Findings,
): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'conformance-small-'))
  const random = randomNumbers(seed)
  const drawn = Array.from({ length: worlds }, (_, n) => {
    const names = drawNames(random)
    return {
      repositories: drawRepositories(random, names, join(directory, String(n))),
      world: drawWords(random, names),
    }
  })
  let [same, endless, dropping] = [0, 0, 0]
  try {
    await inParallel(drawn, async ({ repositories, world }) => {
      const ours = await chooseOurselves(stanzaSource(repositories), world)
      const theirs = await apk.choose(apk.repositories(repositories), world, longestMs)
      if (ours.dropped.length > 0) dropping++
      const differing = theirs === undefined ? undefined : difference(ours.lines, theirs)
      if (theirs === undefined && ours.dropped.length > 0) endless++
      else if (theirs !== undefined && differing === undefined) same++
      else if (findings.differences < mostShown)
        findings.differs(tell(repositories, world, differing ?? 'apk came to no end'))
      else findings.differs(world.join(' '))
    })
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
  findings.say(
    `${same} of ${worlds} small repositories as ${apk.version} chooses from them (${dropping} worlds could not be had whole)`,
  )
  if (endless > 0) findings.say(`${endless} more, in which apk came to no end: we say what is wrong`)
}

function tell(repositories: readonly Repository[], world: readonly string[], differing: string): string {
  const lists = repositories.map(
    ({ tag, stanzas }) => `${tag === undefined ? '' : `@${tag}\n`}${stanzas.join('\n\n')}`,
  )
  return `${world.join(' ')}\n      ${differing}\n${lists.join('\n---\n').replace(/^/gm, '        ')}`
}

const virtual = ['v:one', 'v:two', 'v:three', 'cmd:x']

interface Names {
  readonly packages: readonly string[]
}

function drawNames(random: Random): Names {
  const count = 4 + Math.floor(random() * 14)
  const pick = picker(random)
  return {
    packages: Array.from(
      { length: count },
      (_, n) => `${String.fromCharCode(97 + n)}${pick(['', 'x', 'lib'])}`,
    ),
  }
}

function picker(random: Random) {
  return (from: readonly string[]) => from[Math.floor(random() * from.length)] ?? ''
}

function drawDependency(random: Random, { packages }: Names): string {
  const pick = picker(random)
  const name = random() < 0.8 ? pick(packages) : pick(virtual)
  const conflict = random() < 0.06 ? '!' : ''
  const version =
    random() < 0.7 ? '' : `${pick(['=', '<', '>', '>=', '<=', '~'])}${1 + Math.floor(random() * 3)}`
  return `${conflict}${name}${version}`
}

function drawSpec(random: Random, names: Names): Spec {
  const pick = picker(random)
  const several = (count: number, draw: () => string) => Array.from({ length: count }, draw).join(' ')
  const number = () => 1 + Math.floor(random() * 3)
  const provided = () => `${pick([...virtual, ...names.packages])}${random() < 0.5 ? '' : `=${number()}`}`
  const condition = () =>
    `${random() < 0.08 ? '!' : ''}${pick(names.packages)}${random() < 0.7 ? '' : `=${number()}`}`
  const depends = several(Math.floor(random() * 3), () => drawDependency(random, names))
  return {
    ...(depends === '' ? {} : { depends }),
    ...(random() < 0.3 ? { provides: several(random() < 0.5 ? 1 : 2, provided) } : {}),
    ...(random() < 0.12 ? { installIf: several(2, condition) } : {}),
    ...(random() < 0.15 ? { priority: 1 + Math.floor(random() * 20) } : {}),
    ...(random() < 0.03 ? { installed: 0 } : {}),
  }
}

function drawRepositories(random: Random, names: Names, directory: string): readonly Repository[] {
  const count = 1 + Math.floor(random() * 3)
  return Array.from({ length: count }, (_, n) => {
    const specs: Record<string, Spec> = {}
    for (const name of names.packages)
      for (const version of [1, 2, 3])
        if (random() < 0.45) specs[`${name}-${version}`] = drawSpec(random, names)
    const tag = n > 0 && random() < 0.4 ? 'edge' : undefined
    return writeRepository(join(directory, String(n)), tag, specs)
  })
}

function writeRepository(directory: string, tag: string | undefined, specs: Specs): Repository {
  const stanzas = Object.entries(specs).map(([label, spec]) => stanzaOf(label, spec))
  const content = stanzas.map((stanza) => `${stanza}\n\n`).join('')
  const tar = makeTar([
    { name: 'DESCRIPTION', content: 'small' },
    { name: 'APKINDEX', content },
  ])
  mkdirSync(directory, { recursive: true })
  const file = join(directory, 'APKINDEX.tar.gz')
  writeFileSync(file, gzipSync(tar))
  return { file, tag, local: true, stanzas, description: 'small', signedBy: undefined }
}

function drawWords(random: Random, names: Names): readonly string[] {
  const words = new Map<string, string>()
  const count = 1 + Math.floor(random() * 5)
  for (let n = 0; n < count; n++) {
    const word = drawDependency(random, names)
    const name = nameIn(word)
    words.set(name, random() < 0.15 && !word.startsWith('!') ? word.replace(name, `${name}@edge`) : word)
  }
  return [...words.values()]
}
