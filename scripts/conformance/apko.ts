/**
 * apko (a Go module), a chooser of packages that owes nothing to apk's or to ours: its own test data has signed indexes of
 * Alpine. A small Go program (test/conformance) asks it.
 *
 * It decides one name after the other and takes nothing back, does not know what a world leaves out when it cannot be had
 * whole, and sees install_if below one entry of the world at a time. So it may differ, and every difference is explained:
 * by what is wrong with its answer, or, where nothing is, by the real apk.
 */

import { join } from 'node:path'
import { parseDependency } from '../../src/apk/dependency.ts'
import { field } from '../../src/apk/stanza.ts'
import { randomNumbers } from '../../test/support/random.ts'
import { stanzaSource } from '../../test/support/stanza-source.ts'
import { projectRoot, run } from '../processes.ts'
import { drawWorld, fillUrn } from './draw.ts'
import type { Findings } from './findings.ts'
import { buildGo, go } from './go.ts'
import { type Choice, chooseOurselves, difference } from './ours.ts'
import type { RealApk } from './real-apk.ts'
import type { Repository } from './repository.ts'
import { faultsOf, type Member, memberOf, needlessIn } from './valid.ts'
import { type Drawing, inParallel } from './worlds.ts'

export interface Apko {
  readonly program: string
  /** Of its module, with its test data. */
  readonly directory: string
}

/** Rejects where Go cannot build it; undefined where there is no Go. */
export async function buildApko(): Promise<Apko | undefined> {
  const version = await go('version').catch(() => undefined)
  if (version === undefined || version.status !== 0) return undefined
  const program = join(projectRoot, 'out/conformance/choose')
  const failure = await buildGo('.', program)
  if (failure !== undefined) throw new Error(failure)
  const { output } = await go('list', '-m', '-f', '{{.Dir}}', 'chainguard.dev/apko')
  return { program, directory: output.trim() }
}

/** The signed indexes of Alpine's main repository in its test data, the newest first. */
export function indexesOfApko({ directory }: Apko): readonly string[] {
  return ['alpine-317', 'alpine-316'].map((name) =>
    join(directory, 'pkg/apk/apk/testdata', name, 'APKINDEX.tar.gz'),
  )
}

interface Answer {
  readonly packages: readonly string[]
  readonly error: string | undefined
}

async function askApko(
  { program }: Apko,
  file: string,
  worlds: readonly (readonly string[])[],
): Promise<Answer[]> {
  const input = worlds.map((world) => `${JSON.stringify(world)}\n`).join('')
  const { status, output, errors } = await run(program, [file], { input })
  if (status !== 0) throw new Error(`apko could not be asked: ${errors}`)
  return output.split('\n').flatMap((line) => (line === '' ? [] : [readAnswer(line)]))
}

function readAnswer(line: string): Answer {
  const answer: unknown = JSON.parse(line)
  if (
    typeof answer !== 'object' ||
    answer === null ||
    !('packages' in answer) ||
    !Array.isArray(answer.packages)
  )
    throw new Error(`apko answered ${line}`)
  const error = 'error' in answer ? String(answer.error) : undefined
  return { packages: answer.packages.map(String), error }
}

export async function compareWithApko(
  apko: Apko,
  apk: RealApk | undefined,
  repository: Repository,
  { seed, worlds }: Drawing,
  findings: Findings,
): Promise<void> {
  const judge = new Judge(apk, repository, findings)
  const urn = fillUrn([repository])
  const random = randomNumbers(seed)
  const drawn = Array.from({ length: worlds }, () => drawWorld(random, urn, 'conflicts and tags'))
  const answers = await askApko(apko, repository.file, drawn)
  if (answers.length !== drawn.length)
    throw new Error(`apko gave ${answers.length} answers of ${drawn.length}`)
  const cases = drawn.flatMap((world, n) => {
    const answer = answers[n]
    return answer === undefined ? [] : [{ world, answer }]
  })
  await inParallel(cases, ({ world, answer }) => judge.compare(world, answer))
  judge.tell(worlds)
}

class Judge {
  readonly #apk: RealApk | undefined
  readonly #findings: Findings
  readonly #source: ReturnType<typeof stanzaSource>
  readonly #options: readonly string[]
  readonly #members: ReadonlyMap<string, Member>
  #same = 0
  #ordered = 0
  #refused = 0
  readonly #explained = new Map<string, string[]>()

  constructor(apk: RealApk | undefined, repository: Repository, findings: Findings) {
    this.#apk = apk
    this.#findings = findings
    this.#source = stanzaSource([repository])
    this.#options = apk?.repositories([repository]) ?? []
    this.#members = new Map(
      repository.stanzas.map((stanza) => memberOf(stanza)).map((each) => [each.label, each]),
    )
  }

  async compare(world: readonly string[], answer: Answer): Promise<void> {
    const ours = await chooseOurselves(this.#source, world)
    const faults = this.#faultsOfOurs(world, ours)
    if (faults.length > 0)
      this.#findings.differs(`${world.join(' ')}\n      ours is wrong: ${faults.join('; ')}`)
    if (ours.dropped.length > 0 && answer.error !== undefined) {
      this.#refused++
      return
    }
    const labels = ours.stanzas.map((stanza) => `${field(stanza, 'P')}-${field(stanza, 'V')}`)
    if (
      answer.error === undefined &&
      difference([...labels].sort(), [...answer.packages].sort()) === undefined
    ) {
      this.#same++
      if (difference(labels, answer.packages) === undefined) this.#ordered++
      return
    }
    const what = answer.error?.replace(/\s+/g, ' ') ?? difference(labels, answer.packages) ?? ''
    const reason = this.#reason(world, ours, answer)
    const verdict = await this.#verdict(world, ours)
    if (verdict === 'apk differs')
      this.#findings.differs(`${world.join(' ')}\n      apk chooses otherwise than we do`)
    const kind = verdict === undefined ? reason : `${reason}; ${verdict}`
    this.#explained.set(kind, [...(this.#explained.get(kind) ?? []), `${world.join(' ')}\n        ${what}`])
  }

  tell(worlds: number): void {
    this.#findings.say(
      `${this.#same} of ${worlds} worlds get the same packages from apko (${this.#ordered} in the same order), ${this.#refused} cannot be had, says apko too`,
    )
    for (const [kind, cases] of [...this.#explained].sort((a, b) => b[1].length - a[1].length)) {
      this.#findings.say(`${cases.length} differ: ${kind}`)
      for (const each of cases) console.log(`      ${each}`)
    }
  }

  /** Without the entries that were dropped, all must be met. */
  #faultsOfOurs(world: readonly string[], { stanzas, dropped }: Choice): readonly string[] {
    const lost = new Set(dropped.map(({ entry }) => entry))
    return this.#faults(
      world.filter((entry) => !lost.has(entry)),
      stanzas.map((stanza) => memberOf(stanza)),
    )
  }

  #faults(world: readonly string[], members: readonly Member[]): readonly string[] {
    const entries = world.flatMap((word) => parseDependency(word) ?? [])
    const needless = needlessIn(members, entries).map(({ label }) => `nothing asks for ${label}`)
    return [...faultsOf(members, entries, [...this.#members.values()]), ...needless]
  }

  #reason(world: readonly string[], ours: Choice, { packages, error }: Answer): string {
    if (error !== undefined) return 'apko finds no answer, and there is one'
    const faults = this.#faults(
      world,
      packages.flatMap((label) => this.#members.get(label) ?? []),
    )
    if (faults.some((fault) => /asks for/.test(fault) && !fault.startsWith('nothing')))
      return 'something that apko’s answer needs is not in it'
    if (faults.some((fault) => fault.includes('both provide')))
      return 'apko’s answer has two that exclude each other'
    if (faults.some((fault) => fault.includes('install_if')))
      return 'apko leaves out what install_if brings in'
    if (faults.length > 0) return 'apko’s answer has packages that nothing asks for'
    if (ours.dropped.length > 0) {
      const unnamed = ours.dropped.every(({ chain }) =>
        /comes only if|none is preferred/.test(chain.at(-1) ?? ''),
      )
      return unnamed
        ? 'apko takes a provider that has neither a version nor a priority, which apk does not by itself'
        : 'apko finds an answer for the whole world'
    }
    const preferred = this.#preference(
      ours.stanzas.map((stanza) => memberOf(stanza)),
      packages,
    )
    return preferred
      ? 'we take the provider with the higher provider_priority'
      : 'both answers are right: a name that several provide in the same version'
  }

  /** Whether for every package of theirs alone there is one of ours that provides the same, and has a higher priority. */
  #preference(ours: readonly Member[], labels: readonly string[]): boolean {
    const theirs = labels.flatMap((label) => this.#members.get(label) ?? [])
    const alone = (some: readonly Member[], others: readonly Member[]) =>
      some.filter(({ label }) => others.every((other) => other.label !== label))
    const better = alone(ours, theirs).filter(({ priority }) => priority > 0)
    const rivals = alone(theirs, ours).filter((member) => better.some((each) => sharesName(each, member)))
    return (
      rivals.length > 0 &&
      rivals.every((rival) =>
        better.some((each) => each.priority > rival.priority && sharesName(each, rival)),
      )
    )
  }

  async #verdict(world: readonly string[], ours: Choice): Promise<string | undefined> {
    if (this.#apk === undefined) return undefined
    const theirs = await this.#apk.choose(this.#options, world)
    return theirs === undefined || difference(ours.lines, theirs) !== undefined
      ? 'apk differs'
      : `${this.#apk.version} chooses as we do`
  }
}

function sharesName(a: Member, b: Member): boolean {
  return a.offers.some(({ name }) => b.offers.some((other) => other.name === name))
}
