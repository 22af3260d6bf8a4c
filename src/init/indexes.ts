/**
 * The index phase: what the repositories have, signature checked. Those of the command line are fetched while the
 * overlay still comes; those that the overlay names, after it.
 */
import { fetchIndex, type VerifiedIndex } from '../apk/index.ts'
import { findKeys } from '../apk/keys.ts'
import { parseRepositories, type Repository } from '../apk/repositories.ts'
import type { RamBootPlan } from '../boot/plan.ts'
import type { Media } from '../media/media.ts'
import { type FetchLimits, fetchPipeline, redactUrl } from '../network/fetch.ts'
import type { Overlay } from '../overlay/apkovl.ts'
import { sysroot } from '../root/ram.ts'
import { BootError, chainOf, hasCode, type Sys } from '../sys/index.ts'
import { count } from './format.ts'
import { fetchOptions, type Report } from './story.ts'

export interface Repositories {
  readonly indexes: readonly VerifiedIndex[]
  /** Those that Alpine's init writes into etc/apk/repositories where the overlay has none. */
  readonly lines: readonly string[]
}

export async function fetchIndexes(
  sys: Sys,
  plan: RamBootPlan,
  media: Media,
  overlay: Promise<Overlay | undefined>,
  report: Report,
): Promise<Repositories> {
  const arch = plan.machine.architecture
  const lines = [...plan.root.repositories, ...media.repositories]
  const named = parseRepositories(lines.join('\n'), arch)
  const early = named.map((repository) => fetchEarly(sys, arch, repository, overlay, report))
  const [indexes] = await Promise.all([Promise.all(early), overlay])

  const known = new Set(named.map(({ url }) => url))
  for (const repository of await repositoriesOfOverlay(sys, arch)) {
    if (known.has(repository.url)) continue
    const index = await fetchOfOverlay(sys, arch, repository, indexes.length > 0, report)
    if (index !== undefined) indexes.push(index)
  }
  if (indexes.length === 0) throw noRepository(plan, media)
  const packages = indexes.reduce((sum, index) => sum + index.packages, 0)
  const signers = new Set(indexes.map(({ signedBy }) => signedBy))
  report.detail(
    `${count(packages, 'package')} in ${count(indexes.length, 'repository', 'repositories')}, signed by ${[...signers].join(', ')}`,
  )
  return { indexes, lines }
}

/** By the keys of the initrd at once; only if those do not do, by the overlay's as well. */
async function fetchEarly(
  sys: Sys,
  arch: string,
  repository: Repository,
  overlay: Promise<Overlay | undefined>,
  report: Report,
): Promise<VerifiedIndex> {
  const request = { repository: mirrorsOf(repository), arch, fetch: fetchPipeline }
  const options = fetchOptions(report, `the index of ${redactUrl(repository.url)}`)
  const keys = await findKeys(sys, undefined)
  try {
    return await fetchIndex(sys, { ...request, keys }, options)
  } catch (error) {
    if (!(error instanceof BootError && hasCode(error.cause, 'SIGNATURE')) || (await overlay) === undefined)
      throw error
    const more = await findKeys(sys, sysroot)
    if (more.size === keys.size) throw error
    report.note(`${redactUrl(repository.url)}: trying the overlay’s keys`)
    return fetchIndex(sys, { ...request, keys: more }, options)
  }
}

async function repositoriesOfOverlay(sys: Sys, arch: string): Promise<readonly Repository[]> {
  const path = await sys.files.resolveIn(sysroot, '/etc/apk/repositories')
  return path === undefined ? [] : parseRepositories(await sys.files.readText(path), arch)
}

/** With alpine_repo= the overlay's repositories are a second choice: as apk does, the boot goes on without one. */
const secondChoice: Partial<FetchLimits> = { triesPerUrl: 2, patienceMs: 15_000 }

async function fetchOfOverlay(
  sys: Sys,
  arch: string,
  repository: Repository,
  optional: boolean,
  report: Report,
): Promise<VerifiedIndex | undefined> {
  const local = repository.url.startsWith('/')
  const limits = optional || local ? secondChoice : {}
  const request = {
    repository: mirrorsOf(repository),
    arch,
    keys: await findKeys(sys, sysroot),
    fetch: ((at, wanted, options) =>
      fetchPipeline(at, { ...wanted, limits }, options)) satisfies typeof fetchPipeline,
  }
  try {
    return await fetchIndex(sys, request, fetchOptions(report, `the index of ${redactUrl(repository.url)}`))
  } catch (error) {
    const distrusted = error instanceof BootError && hasCode(error.cause, 'SIGNATURE')
    if (!(optional || local) || distrusted || report.signal.aborted) throw error
    report.warn(`a repository of the overlay is left out: ${chainOf(error).join(': ')}`)
    return undefined
  }
}

function mirrorsOf({ url, tag }: Repository) {
  return { urls: [url], tag }
}

function noRepository(plan: RamBootPlan, { looked }: Media): BootError {
  return new BootError('there is no repository to install packages from', {
    advice: [
      plan.root.overlay.kind === 'search'
        ? 'name one: alpine_repo=http://SERVER/alpine/v3.19/main'
        : 'name one: alpine_repo=http://SERVER/alpine/v3.19/main, or etc/apk/repositories of the overlay',
      ...(looked.length === 0 ? [] : [`no directory with .boot_repository is on ${looked.join(', ')}`]),
    ],
  })
}
