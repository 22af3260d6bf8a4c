/**
 * From a world to a list of packages in the order of their installation, as `apk add --force-broken-world` makes it:
 * an entry that cannot be had is left out, and said.
 */

import { BootError } from '../sys/index.ts'
import type { Blame } from './blame.ts'
import { blame } from './blame.ts'
import { installOrder } from './changeset.ts'
import type { Dependency } from './dependency.ts'
import { EQUAL, formatDependency } from './dependency.ts'
import type { Package, Universe, WorldEntry } from './graph.ts'
import { chosenPackage, isFulfilled, labelOf } from './graph.ts'
import { namesNear } from './near-names.ts'
import { Solver } from './solver.ts'
import type { PackageSource } from './source.ts'
import { numberField } from './stanza.ts'
import type { Tags } from './tags.ts'
import { makeTags } from './tags.ts'
import { loadUniverse } from './universe.ts'
import type { World } from './world.ts'

export interface SelectedPackage {
  readonly name: string
  readonly version: string
  /** `C:` of its index. */
  readonly checksum: string
  readonly stanza: string
  /** Indexes of the source's repositories that have this very package, the one that apk takes first. */
  readonly repositories: readonly number[]
  /** The tag that it was had by. */
  readonly tag: string | undefined
  /** Bytes of the package file. */
  readonly size: number
  /** Bytes that its files take. */
  readonly installedSize: number
  /** Of the whole file, hex, where a lock has it. */
  readonly sha256?: string
}

/** An entry of the world that the system will not have. */
export interface DroppedEntry {
  readonly entry: string
  /** From the entry to what is missing, a line each. */
  readonly chain: readonly string[]
  /** What there is instead: other versions, similar names, the same by a tag. */
  readonly nearMisses: readonly string[]
}

/** `x cannot be had: nothing provides x (there is y)`. */
export function describeDropped({ entry, chain, nearMisses }: DroppedEntry): string {
  const what = entry.startsWith('!')
    ? `${entry.slice(1)} is there, which the world forbids (${entry})`
    : `${entry} cannot be had`
  const hint = nearMisses.length === 0 ? '' : ` (there is ${nearMisses.join(', ')})`
  return `${[what, ...chain].join(': ')}${hint}`
}

export interface Selection {
  /** In the order of installation. */
  readonly packages: readonly SelectedPackage[]
  readonly dropped: readonly DroppedEntry[]
}

/** As apk-tools has it (APK_MAX_REPOS); a package's repositories are the bits of a number. */
const MOST_REPOSITORIES = 32

/** Rejects with a `BootError` where there are too many repositories, or where one's index is malformed. */
export async function selectPackages(source: PackageSource, world: World): Promise<Selection> {
  const { length } = source.repositories
  if (length > MOST_REPOSITORIES) {
    throw new BootError(`there are ${length} repositories, and apk knows ${MOST_REPOSITORIES} at most`, {
      advice: ['Take some out of alpine_repo= or etc/apk/repositories.'],
    })
  }
  const universe = await loadUniverse(source, world.entries)
  const tags = makeTags(source.repositories, world.entries)
  const { order, broken, excluded } = solveWithout(universe, tags, entriesOf(universe, world))
  const dropped: DroppedEntry[] = world.invalid.map((entry) => ({
    entry,
    chain: [`${JSON.stringify(entry)} is no package name: name, name=1.2, name~1, name@tag`],
    nearMisses: [],
  }))
  for (const [entry, first] of broken) {
    // It came in for another's sake, or nothing that it forbids did.
    if (isFulfilled(entry.dependency, entry.name.state.chosen)) continue
    // apk gives `!name` up when anything fails, although nothing is wrong with it: what is, shows at the end.
    const why = first.chain.length > 0 ? first : blame(universe, tags, entry, [])
    dropped.push({
      entry: formatDependency(entry.dependency, 'tags'),
      chain: why.chain,
      nearMisses:
        why.missingName === undefined
          ? why.instead
          : [...why.instead, ...(await namesNear(source, why.missingName))],
    })
  }
  for (const [pkg, { chain, instead }] of excluded) {
    const conditions = pkg.installIf.map(({ dependency }) => formatDependency(dependency)).join(' and ')
    if (conditions === '') continue
    const comes = `${labelOf(pkg)} comes by itself with ${conditions}`
    dropped.push({ entry: pkg.name.text, chain: [comes, ...chain], nearMisses: instead })
  }
  return { packages: order.map((pkg) => selected(pkg, source, tags)), dropped }
}

function entriesOf(universe: Universe, world: World): WorldEntry[] {
  return world.entries.flatMap((dependency: Dependency) => {
    const name = universe.names.get(dependency.name)
    return name === undefined ? [] : [{ name, dependency }]
  })
}

/** Solves again and again, each time without the entries that failed, until nothing does. */
function solveWithout(universe: Universe, tags: Tags, world: readonly WorldEntry[]) {
  const broken = new Map<WorldEntry, Blame>()
  const excluded = new Map<Package, Blame>()
  for (;;) {
    const kept = world.filter((entry) => !broken.has(entry))
    const solver = new Solver(universe, tags, excluded)
    solver.solve(
      kept,
      world.map(({ name }) => name),
    )
    // What was left out may come in for another's sake: it then has its place in the order all the same.
    const order = installOrder(solver, world)
    if (solver.errors === 0) return { order, broken, excluded }
    const failed = kept.filter(({ name }) => {
      const pkg = chosenPackage(name.state)
      return pkg === undefined || pkg.state.error !== undefined
    })
    if (failed.length === 0) {
      // At this apk tries the same for ever: what is wrong, came in by install_if. Without that it goes on.
      const culprits = universe.packages.filter(({ state }) => state.error !== undefined)
      if (culprits.every((pkg) => excluded.has(pkg))) {
        return { order: order.filter((pkg) => !excluded.has(pkg)), broken, excluded }
      }
      for (const pkg of culprits) excluded.set(pkg, blame(universe, tags, exactly(pkg), kept))
    }
    for (const entry of failed) broken.set(entry, blame(universe, tags, entry, kept))
  }
}

/** An entry for this very package. */
function exactly({ name, version }: Package): WorldEntry {
  const dependency = { name: name.text, conflict: false, tag: undefined, operator: EQUAL, version }
  return { name, dependency }
}

function selected(pkg: Package, source: PackageSource, tags: Tags): SelectedPackage {
  const having = source.repositories.flatMap((repository, n) =>
    (pkg.repositories >> n) & 1 ? [{ n, repository }] : [],
  )
  having.sort((a, b) => Number(b.repository.local) - Number(a.repository.local))
  return {
    name: pkg.name.text,
    version: pkg.version,
    checksum: pkg.checksum,
    stanza: pkg.stanza,
    repositories: having.map(({ n }) => n),
    tag: tags.tagOf(pkg),
    size: numberField(pkg.stanza, 'S'),
    installedSize: numberField(pkg.stanza, 'I'),
  }
}
