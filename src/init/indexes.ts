/**
 * The index phase: what the repositories have, signature checked. Those of the command line are fetched while the
 * overlay still comes; those that the overlay names, after it. One that is out of reach has what the package cache has.
 */
import { cachedIndex, type PackageCache } from '../apk/cache.ts'
import { fetchIndex, type VerifiedIndex } from '../apk/index.ts'
import { findKeys } from '../apk/keys.ts'
import { parseRepositories, type Repository } from '../apk/repositories.ts'
import { showCount } from '../boot/format.ts'
import { mirrorsIn } from '../boot/mirrors.ts'
import type { RamBootPlan } from '../boot/plan.ts'
import type { Media } from '../media/media.ts'
import { placesOfMedia, presentPath, readFstab } from '../media/places.ts'
import { type Fetch, type FetchLimits, redactUrl } from '../network/fetch.ts'
import type { Overlay } from '../overlay/apkovl.ts'
import { sysroot } from '../root/ram.ts'
import { BootError, chainOf, hasCode, type Sys } from '../sys/index.ts'
import { findCache } from './package-cache.ts'
import { fetchOptions, type Report } from './story.ts'

export interface Repositories {
  readonly kind: 'indexes'
  readonly indexes: readonly VerifiedIndex[]
  /** Where etc/apk/cache of the overlay leads to. */
  readonly cache: PackageCache | undefined
  /** Its medium, where nothing else was looked for on that. */
  readonly media: Media
  /** Those that Alpine's init writes into etc/apk/repositories where the overlay has none. */
  readonly lines: readonly string[]
}

export async function fetchIndexes(
  sys: Sys,
  plan: RamBootPlan,
  online: boolean,
  found: Media,
  overlay: Promise<Overlay | undefined>,
  fetch: Fetch,
  report: Report,
): Promise<Repositories> {
  const arch = plan.machine.architecture
  const lines = [...plan.root.repositories, ...found.repositories]
  const named = parseRepositories(lines.join('\n'), arch)
  const early = named.map((repository) => fetchEarly(sys, { repository, arch, fetch }, overlay, report))
  const [indexes] = await Promise.all([Promise.all(early), overlay])

  const { cache, media } = await findCache(sys, found, report)
  const known = new Set(named.flatMap(({ url, mirrors }) => [url, ...mirrors]))
  for (const repository of await repositoriesOfOverlay(sys, arch, media)) {
    if (known.has(repository.url)) continue
    known.add(repository.url)
    const optional = indexes.length > 0
    const index = await fetchOfOverlay(sys, { arch, repository, fetch, optional, online, cache }, report)
    if (index !== undefined) indexes.push(index)
  }
  if (indexes.length === 0) throw noRepository(plan, media)
  const packages = indexes.reduce((sum, index) => sum + index.packages, 0)
  const signers = new Set(indexes.map(({ signedBy }) => signedBy))
  report.detail(
    `${showCount(packages, 'package')} in ${showCount(indexes.length, 'repository', 'repositories')}, signed by ${[...signers].join(', ')}${cache === undefined ? '' : `; the cache ${cache.directory}`}`,
  )
  return { kind: 'indexes', indexes, cache, media, lines: lines.flatMap(mirrorsIn) }
}

interface Wanted {
  readonly repository: Repository
  readonly arch: string
  readonly fetch: Fetch
}

/** By the keys of the initrd at once; only if those do not do, by the overlay's as well. */
async function fetchEarly(
  sys: Sys,
  { repository, arch, fetch }: Wanted,
  overlay: Promise<Overlay | undefined>,
  report: Report,
): Promise<VerifiedIndex> {
  const request = { repository: mirrorsOf(repository), arch, fetch }
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

/** One on a medium is named by where fstab will have put it, and is not there yet. */
async function repositoriesOfOverlay(
  sys: Sys,
  arch: string,
  { media }: Media,
): Promise<readonly Repository[]> {
  const path = await sys.files.resolveIn(sysroot, '/etc/apk/repositories')
  if (path === undefined) return []
  const places = await placesOfMedia(sys, await readFstab(sys, sysroot), media)
  return parseRepositories(await sys.files.readText(path), arch).map((repository) => ({
    ...repository,
    url: presentPath(repository.url, places, media) ?? repository.url,
  }))
}

/** With alpine_repo= the overlay's repositories are a second choice: as apk does, the boot goes on without one. */
const secondChoice: Partial<FetchLimits> = { triesPerUrl: 2, patienceMs: 15_000 }

interface OfOverlay extends Wanted {
  readonly optional: boolean
  readonly online: boolean
  readonly cache: PackageCache | undefined
}

async function fetchOfOverlay(
  sys: Sys,
  { arch, repository, fetch, optional, online, cache }: OfOverlay,
  report: Report,
): Promise<VerifiedIndex | undefined> {
  const local = repository.url.startsWith('/')
  const kept = cache === undefined || local ? undefined : cachedIndex(cache, repository.url)
  const limits = optional || local || kept !== undefined ? secondChoice : {}
  const shown = redactUrl(repository.url)
  const request = {
    repository: mirrorsOf(repository),
    arch,
    keys: await findKeys(sys, sysroot),
    fetch: ((at, wanted, options) => fetch(at, { ...wanted, limits }, options)) satisfies Fetch,
  }
  const options = fetchOptions(report, `the index of ${shown}`)
  try {
    if (!local && !online) throw new BootError('there is no network: the kernel command line asks for none')
    return await fetchIndex(sys, request, options)
  } catch (error) {
    const distrusted = error instanceof BootError && hasCode(error.cause, 'SIGNATURE')
    if (distrusted || report.signal.aborted) throw error
    const why = chainOf(error).join(': ')
    if (kept !== undefined) {
      if (online) report.warn(`${shown} is out of reach: what the cache has of it is installed (${why})`)
      else report.note(`${shown}: its index is the cache’s, ${kept}`)
      return fetchIndex(sys, { ...request, keptAt: kept }, options)
    }
    if (!(optional || local)) throw error
    report.warn(`a repository of the overlay is left out: ${shown}: ${why}`)
    return undefined
  }
}

function mirrorsOf({ url, mirrors, tag }: Repository) {
  return { urls: [url, ...mirrors], tag }
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
