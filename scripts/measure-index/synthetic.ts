/**
 * An index of any size from a seed, shaped as Alpine's community is: families of a library or a program with their
 * `-dev`, `-doc`, `-openrc`, `-lang` and completions; `so:`, `cmd:` and `pc:` names; dependencies that a few names get
 * most of; an install_if in a third of the stanzas.
 */

import { createHash } from 'node:crypto'
import { randomNumbers } from '../../test/support/random.ts'

/** What the measured world asks for; both a synthetic index and Alpine's have them. */
export const world = [
  ...['alpine-base', 'chrony', 'openssh', 'nfs-utils', 'dbus', 'curl'],
  ...['bash', 'tzdata', 'e2fsprogs', 'util-linux', 'sudo'],
]

interface Stanza {
  readonly name: string
  readonly version: string
  readonly origin: string
  readonly depends?: readonly string[]
  readonly provides?: readonly string[]
  readonly installIf?: readonly string[]
  readonly priority?: number
}

/** The text of an APKINDEX of at least so many packages. */
export function syntheticIndex(packages: number, seed: number): string {
  const random = randomNumbers(seed)
  const families = new Families(random)
  const stanzas: Stanza[] = [...families.core()]
  while (stanzas.length < packages) stanzas.push(...families.next())
  stanzas.sort((a, b) => (a.name < b.name ? -1 : 1))
  return stanzas.map((stanza) => textOf(stanza, random)).join('')
}

const syllables = 'ba co di fu ga ho ji ku la mo ni pe qui ro su ta vo wi xe zu'.split(' ')

class Families {
  readonly #random: () => number
  readonly #taken = new Set<string>(world)
  /** What others depend on, those that most do first. */
  readonly #libraries: string[] = ['so:libc.musl-x86_64.so.1']
  readonly #programs: string[] = []

  constructor(random: () => number) {
    this.#random = random
  }

  *core(): Generator<Stanza> {
    yield { name: 'musl', version: '1.2.4-r2', origin: 'musl', provides: ['so:libc.musl-x86_64.so.1=1'] }
    const applets = Array.from({ length: 300 }, (_, n) => `cmd:applet${n}=1.36.1-r15`)
    yield* this.#family('busybox', applets)
    for (let n = 0; n < 60; n++) yield* this.#family(this.#word(), [])
    const base = [...this.#programs.slice(0, 10)]
    yield { name: 'alpine-base', version: '3.19.1-r0', origin: 'alpine-base', depends: base }
    for (const name of world.slice(1)) yield* this.#family(name, [])
  }

  next(): Iterable<Stanza> {
    return this.#family(this.#word(), [])
  }

  *#family(name: string, more: readonly string[]): Generator<Stanza> {
    const random = this.#random
    const version = `${this.#int(12)}.${this.#int(30)}.${this.#int(10)}-r${this.#int(4)}`
    const own = `${name}=${version}`
    const depends = [
      ...this.#pick(this.#libraries, 1 + this.#int(8)),
      ...this.#pick(this.#programs, this.#int(3)),
    ]
    const part = (suffix: string, rest: Omit<Stanza, 'name' | 'version' | 'origin'>): Stanza => ({
      name: `${name}${suffix}`,
      version,
      origin: name,
      ...rest,
    })
    const sonames = Array.from(
      { length: 1 + this.#int(2) },
      (_, n) => `so:lib${name}${n || ''}.so.${this.#int(9)}`,
    )
    const isLibrary = random() < 0.4
    const provides = isLibrary
      ? sonames.map((so) => `${so}=${version.replace(/-.*/, '')}`)
      : [`cmd:${name}=${version}`, ...more, ...(random() < 0.05 ? [`virtual-${this.#int(40)}`] : [])]
    yield part('', { depends, provides, ...(random() < 0.02 ? { priority: this.#int(100) } : {}) })
    if (random() < 0.6) yield part('-doc', { installIf: ['docs', own] })
    if (isLibrary || random() < 0.2)
      yield part('-dev', {
        depends: [own, ...this.#pick(this.#programs, 3)],
        provides: [`pc:${name}=${version}`],
      })
    if (random() < 0.1) yield part('-openrc', { installIf: ['openrc', own] })
    if (random() < 0.2) yield part('-lang', { installIf: [own, 'lang'] })
    if (random() < 0.3) yield part('-pyc', { depends: [own], installIf: [own, 'pyc'] })
    if (random() < 0.15)
      for (const shell of ['bash', 'zsh', 'fish'])
        yield part(`-${shell}-completion`, { installIf: [own, shell === 'bash' ? 'bash-completion' : shell] })
    if (isLibrary) this.#libraries.push(...sonames)
    else this.#programs.push(name)
  }

  #int(below: number): number {
    return Math.floor(this.#random() * below)
  }

  /** The first ones far more often than the last. */
  #pick(from: readonly string[], count: number): string[] {
    const chosen = Array.from({ length: count }, () => from[Math.floor(from.length * this.#random() ** 4)])
    return [...new Set(chosen)].filter((name) => name !== undefined)
  }

  #word(): string {
    for (;;) {
      const parts = Array.from({ length: 2 + this.#int(3) }, () => syllables[this.#int(syllables.length)])
      const word = parts.join('')
      if (this.#taken.has(word)) continue
      this.#taken.add(word)
      return word
    }
  }
}

function textOf(stanza: Stanza, random: () => number): string {
  const { name, version, origin, depends, provides, installIf, priority } = stanza
  const digest = createHash('sha1').update(`${name}-${version}`).digest()
  const installed = Math.floor(random() * 2 ** 22)
  const lines: readonly (readonly [string, string | undefined])[] = [
    ['C', `Q1${digest.toString('base64')}`],
    ['P', name],
    ['V', version],
    ['A', 'x86_64'],
    ['S', String(1000 + (installed >> 1))],
    ['I', String(4096 + installed)],
    ['T', `What ${origin} has for everybody who needs ${name}`],
    ['U', `https://${origin}.example.org/`],
    ['L', 'GPL-2.0-or-later'],
    ['o', origin],
    ['m', `Somebody <${origin}@example.org>`],
    ['t', String(1_700_000_000 + (installed >> 4))],
    ['c', digest.toString('hex')],
    ['k', priority === undefined ? undefined : String(priority)],
    ['D', depends?.join(' ')],
    ['p', provides?.join(' ')],
    ['i', installIf?.join(' ')],
  ]
  const present = lines.filter(([, value]) => value !== undefined && value !== '')
  return `${present.map(([letter, value]) => `${letter}:${value}`).join('\n')}\n\n`
}
