/**
 * The lock phase, where diskless.lock= is given: what was resolved on the server is fetched and checked, and takes the place of
 * indexes and solver.
 */

import { type PackageCache, placeInCache } from '../apk/cache.ts'
import { fetchLock, placesIn } from '../apk/fetch-lock.ts'
import { findKeys } from '../apk/keys.ts'
import { compareWorlds, type Lock } from '../apk/lock.ts'
import { packageUrl } from '../apk/repositories.ts'
import type { SelectedPackage } from '../apk/select.ts'
import { field } from '../apk/stanza.ts'
import type { World } from '../apk/world.ts'
import { showCount } from '../boot/format.ts'
import { fillIn } from '../boot/identity.ts'
import { mirrorsIn } from '../boot/mirrors.ts'
import type { RamBootPlan } from '../boot/plan.ts'
import type { LockPlan } from '../boot/root-plan.ts'
import type { Media } from '../media/media.ts'
import type { Fetch } from '../network/fetch.ts'
import { redactUrl, withoutUser } from '../network/url.ts'
import type { Overlay } from '../overlay/apkovl.ts'
import { overlayKeys } from '../overlay/stage.ts'
import { BootError, type Sys } from '../sys/index.ts'
import { findCache } from './package-cache.ts'
import { fetchOptions, type Report } from './story.ts'

export interface Locked {
  readonly kind: 'lock'
  /** Without a password. */
  readonly shown: string
  readonly lock: Lock
  readonly placesOf: (pkg: SelectedPackage) => readonly string[]
  readonly media: Media
  /** For etc/apk/repositories, where the overlay has none. */
  readonly lines: readonly string[]
}

interface Given {
  readonly wanted: LockPlan
  readonly mac: string | undefined
  readonly media: Media
  readonly overlay: Promise<Overlay | undefined>
  readonly fetch: Fetch
}

export async function readLock(
  sys: Sys,
  plan: RamBootPlan,
  { wanted, mac, media: found, overlay, fetch }: Given,
  report: Report,
): Promise<Locked> {
  const target = { mac, uuid: plan.machine.uuid }
  const places =
    wanted.kind === 'url'
      ? wanted.urls.map((url) => fillIn(url, target))
      : [await findPath(sys, fillIn(wanted.path, target), found)]
  const shown = redactUrl(places[0] ?? '')
  const arch = plan.machine.architecture
  const request = { places, arch, keys: await trustedKeys(sys), fetch }
  const [lock] = await Promise.all([
    fetchLock(sys, request, fetchOptions(report, `the lock ${shown}`)),
    overlay,
  ])
  const repositories = lock.repositories.map(({ urls }) => placesIn(places, urls))
  const { cache, media } = await findCache(sys, found, report)
  report.detail(`${showCount(lock.packages.length, 'package')}, ${lock.made}`)
  return {
    kind: 'lock',
    shown,
    lock,
    placesOf: (pkg) => placesOf(pkg, repositories, arch, cache),
    media,
    lines:
      plan.root.repositories.length > 0 ? plan.root.repositories.flatMap(mirrorsIn) : linesOf(lock, places),
  }
}

/** Whoever may say what an index has, or what an overlay, may say what is installed. */
async function trustedKeys(sys: Sys): Promise<Readonly<Record<string, string>>> {
  return { ...(await overlayKeys(sys)), ...Object.fromEntries(await findKeys(sys, undefined)) }
}

async function findPath(sys: Sys, path: string, { media }: Media): Promise<string> {
  const roots = ['/', ...media.map(({ target }) => target)]
  for (const root of roots) {
    const file = await sys.files.resolveIn(root, path)
    if (file !== undefined && (await sys.files.status(file))?.kind === 'file') return file
  }
  throw new BootError(`the lock ${path} is not there`, {
    advice: [
      `looked for: ${roots.map((root) => `${root.replace(/\/$/, '')}${path}`).join(', ')}`,
      'check the path; it begins at the root of the medium',
    ],
  })
}

/** A local one first, then the medium’s package cache, as with indexes. */
function placesOf(
  { name, version, stanza, repositories: from }: SelectedPackage,
  repositories: readonly (readonly string[])[],
  arch: string,
  cache: PackageCache | undefined,
): readonly string[] {
  const places = from
    .flatMap((n) => repositories[n] ?? [])
    .map((url) => packageUrl(url, field(stanza, 'A') ?? arch, name, version))
  const cached = cache === undefined ? undefined : placeInCache(cache, stanza)
  const isLocal = (place: string) => place.startsWith('/')
  return [
    ...places.filter(isLocal),
    ...(cached === undefined ? [] : [cached]),
    ...places.filter((place) => !isLocal(place)),
  ]
}

function linesOf({ repositories }: Lock, places: readonly string[]): readonly string[] {
  return repositories.flatMap(({ urls, tag }) =>
    placesIn(places, urls).map((url) => `${tag === undefined ? '' : `@${tag} `}${withoutUser(url)}`),
  )
}

/**
 * What is asked for must be what was locked. `saved`: the overlay has a world, and what is not in it was taken out by
 * somebody.
 */
export function checkWorld({ shown, lock }: Locked, asked: World, saved: boolean): void {
  const { lacking, further } = compareWorlds(asked, lock.world)
  if (lacking.length === 0 && (further.length === 0 || !saved)) return
  const differences = [
    ...(lacking.length === 0 ? [] : [`it lacks ${lacking.join(', ')}`]),
    ...(saved && further.length > 0 ? [`it has ${further.join(', ')} besides`] : []),
  ]
  throw new BootError(
    `the lock ${shown} is of another world than this machine’s: ${differences.join('; ')}`,
    {
      advice: [
        'lock again, with the overlay’s etc/apk/world and what pkgs= and ssh_key= ask for: diskless lock --apkovl OVERLAY --world … --update',
        'or boot without diskless.lock=, from the repositories as they are',
      ],
    },
  )
}
