/** A world resolved once: from indexes to a lock, with the digest of every package. */

import { CommandError } from '../../../build/error.ts'
import type { Lock } from '../../apk/lock.ts'
import { describeDropped, type SelectedPackage, selectPackages } from '../../apk/select.ts'
import type { World } from '../../apk/world.ts'
import { digestOfPackage } from './apk-file.ts'
import { type OpenRepository, sourceOf } from './repository.ts'

export interface LockPlan {
  readonly arch: string
  readonly world: World
  readonly repositories: readonly OpenRepository[]
  readonly made: string
  /** What is known of packages already. */
  readonly former: Lock | undefined
  /** Whether packages that come by the network are fetched for their digests. */
  readonly fetches: boolean
  readonly tell: (line: string) => void
}

const parallel = 4

/** Rejects with a CommandError where the world cannot be had whole. */
export async function makeLock(plan: LockPlan): Promise<Lock> {
  const { arch, world, repositories, made } = plan
  const { packages, dropped } = await selectPackages(sourceOf(repositories), world)
  if (dropped.length > 0) {
    throw new CommandError(`the world cannot be had whole:\n  ${dropped.map(describeDropped).join('\n  ')}`, {
      advice: ['Correct the world, or name the repository that has it: --repo.'],
    })
  }
  return {
    made,
    arch,
    world,
    repositories: repositories.map(({ place: { urls, tag } }) => ({ urls, tag })),
    packages: await withDigests(packages, plan),
  }
}

async function withDigests(
  packages: readonly SelectedPackage[],
  { repositories, former, fetches, tell }: LockPlan,
): Promise<readonly SelectedPackage[]> {
  const known = new Map(former?.packages.map(({ checksum, size, sha256 }) => [`${checksum} ${size}`, sha256]))
  const digests = new Map<SelectedPackage, string>()
  const unread = packages.filter((pkg) => {
    const digest = known.get(`${pkg.checksum} ${pkg.size}`)
    if (digest !== undefined) digests.set(pkg, digest)
    const home = homeOf(pkg, repositories)
    return home.place.from.kind === 'directory' || (fetches && digest === undefined)
  })
  const remote = unread.filter((pkg) => homeOf(pkg, repositories).place.from.kind === 'urls')
  if (remote.length > 0) {
    const bytes = remote.reduce((sum, { size }) => sum + size, 0)
    tell(`fetching ${remote.length} packages, ${(bytes / 1e6).toFixed(1)} MB, for their digests`)
  }
  const queue = unread.values()
  const worker = async () => {
    for (const pkg of queue) digests.set(pkg, await read(pkg, homeOf(pkg, repositories)))
  }
  await Promise.all(Array.from({ length: parallel }, worker))
  return packages.map((pkg) => {
    const sha256 = digests.get(pkg)
    return sha256 === undefined ? pkg : { ...pkg, sha256 }
  })
}

/** The first repository that has it. */
function homeOf(pkg: SelectedPackage, repositories: readonly OpenRepository[]): OpenRepository {
  const home = repositories[pkg.repositories[0] ?? -1]
  if (home === undefined) throw new Error(`${pkg.name} is of no repository`)
  return home
}

async function read(pkg: SelectedPackage, home: OpenRepository): Promise<string> {
  const shown = `${pkg.name}-${pkg.version}.apk`
  const bytes = await home.read(pkg)
  if (bytes.length === pkg.size) return digestOfPackage(bytes, pkg.checksum, shown)
  throw new CommandError(`${shown} has ${bytes.length} bytes, and ${pkg.size} in the index`, {
    advice: ['Make the index of the repository again, or wait until its mirror is whole.'],
  })
}
