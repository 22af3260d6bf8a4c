/** The packages phase: the world is chosen from the indexes and installed, and the root gets its last files. */

import { cachedSource } from '../apk/cached-source.ts'
import {
  type InstallProgress,
  type InstallReport,
  type InstallRequest,
  installWorld,
} from '../apk/installer.ts'
import { selectPackages } from '../apk/select.ts'
import { indexSource } from '../apk/source.ts'
import { withUnknownTag } from '../apk/tags.ts'
import { makeWorld, type World, worldWords } from '../apk/world.ts'
import { showBytes, showCount } from '../boot/format.ts'
import type { RamBootPlan } from '../boot/plan.ts'
import { honourFstab, type Moved } from '../media/fstab.ts'
import type { Fetch } from '../network/fetch.ts'
import type { NetworkUp } from '../network/network-up.ts'
import type { Overlay } from '../overlay/apkovl.ts'
import { addConsoleLogins } from '../root/consoles.ts'
import { directoryIn } from '../root/in-root.ts'
import { prepareRamRoot, sysroot } from '../root/ram.ts'
import { copyKeys, settleRoot } from '../root/settle.ts'
import type { Sys } from '../sys/index.ts'
import type { Repositories } from './indexes.ts'
import { checkWorld, type Locked } from './lock.ts'
import { leaveWord, tellMissing } from './missing.ts'
import { fetchOptions, type Report } from './story.ts'

/** What earlier phases found. */
interface Ingredients {
  readonly overlay: Overlay | undefined
  readonly offer: Repositories | Locked
  /** The network as it came up: for etc/network/interfaces, and for an NFS share of fstab that names no server. */
  readonly online: NetworkUp | undefined
  readonly fetch: Fetch
}

export async function installPackages(
  sys: Sys,
  plan: RamBootPlan,
  { overlay, offer, online, fetch }: Ingredients,
  report: Report,
): Promise<void> {
  const { packages: wanted } = await prepareRamRoot(sys, plan.root, overlay !== undefined)
  await copyKeys(sys)
  const saved = await savedWorld(sys)
  // Alpine's order: the command line's, the overlay's, and what no system is without.
  const asked = makeWorld([...worldWords(saved ?? ''), ...plan.root.packages, ...wanted, 'alpine-base'])
  const choice =
    offer.kind === 'lock'
      ? takeLocked(offer, asked, saved !== undefined)
      : await choose(sys, plan, offer, asked, report)

  const { onRetry, onBreak, memory } = fetchOptions(report, 'the packages')
  const installed = await withKernelFilesystems(sys, () =>
    installWorld(
      sys,
      {
        root: sysroot,
        arch: plan.machine.architecture,
        ...choice,
        keep: overlay?.paths ?? [],
        fetch,
      },
      {
        signal: report.signal,
        onProgress: (progress) => report.progress(barOf(progress)),
        onMessage: report.note,
        ...(onRetry === undefined ? {} : { onRetry }),
        ...(onBreak === undefined ? {} : { onBreak }),
        ...(memory === undefined ? {} : { memory }),
      },
    ),
  )
  if (offer.kind === 'indexes') await keepIndexes(sys, offer)
  tellTroubles(installed, report)
  const { notice: onNotice, warn: onWarning, signal } = report
  const moved = await honourFstab(sys, sysroot, offer.media, online, { onNotice, onWarning, signal })
  await settleRoot(
    sys,
    offer.lines.map((line) => placeOf(line, moved)),
    online,
    plan.network.kind === 'join' ? plan.network.lease : undefined,
  )
  await addConsoleLogins(sys, plan, overlay !== undefined)
  await leaveWord(sys, choice.selection.dropped)
  report.detail(`${showCount(installed.packages, 'package')}, ${showBytes(installed.bytes)}`)
}

type Choice = Pick<InstallRequest, 'world' | 'selection' | 'placesOf'>

function takeLocked(locked: Locked, asked: World, saved: boolean): Choice {
  checkWorld(locked, asked, saved)
  const { lock, placesOf } = locked
  return { world: lock.world, selection: { packages: lock.packages, dropped: [] }, placesOf }
}

async function choose(
  sys: Sys,
  plan: RamBootPlan,
  { indexes, cache }: Repositories,
  world: World,
  report: Report,
): Promise<Choice> {
  const indexed = indexSource(sys, indexes, plan.machine.architecture)
  const source = cache === undefined ? indexed : cachedSource(indexed, indexes, cache)
  const selection = await selectPackages(source, world)
  tellMissing(plan, selection.dropped, report)
  for (const { name, tag } of withUnknownTag(source.repositories, world.entries))
    report.warn(`the world asks for ${name}@${tag}, and no repository has the tag @${tag}`)
  return { world, selection, placesOf: source.placesOf }
}

/** Where apk keeps them, so that the new system's apk has them without the network, as after apk's own installation. */
async function keepIndexes(sys: Sys, { indexes, cache }: Repositories): Promise<void> {
  // A cache on storage is not filled by a boot.
  const cached = cache !== undefined || (await sys.files.resolveIn(sysroot, '/etc/apk/cache')) !== undefined
  const directory = await directoryIn(sys, sysroot, 'var/cache/apk')
  for (const { index, local, urls } of indexes) {
    if (!local && !cached) for (const url of urls) await sys.packages.saveIndex(index, directory, url)
    await sys.packages.closeIndex(index)
  }
}

/** A repository on a medium that fstab has moved. */
function placeOf(line: string, moved: readonly Moved[]): string {
  const by = moved.find(({ from }) => line === from || line.startsWith(`${from}/`))
  return by === undefined ? line : `${by.to}${line.slice(by.from.length)}`
}

/** Undefined: the overlay has none. */
async function savedWorld(sys: Sys): Promise<string | undefined> {
  const path = await sys.files.resolveIn(sysroot, '/etc/apk/world')
  return path === undefined ? undefined : sys.files.readText(path)
}

/** For scripts: as Alpine's init binds them for apk. */
async function withKernelFilesystems<T>(sys: Sys, run: () => Promise<T>): Promise<T> {
  const bound: string[] = []
  try {
    for (const name of ['sys', 'proc', 'dev']) {
      await sys.files.makeDirectory(`${sysroot}/${name}`)
      await sys.mounts.bind(`/${name}`, `${sysroot}/${name}`)
      bound.push(`${sysroot}/${name}`)
    }
    return await run()
  } finally {
    // Lazily: a script may have left something running that has a terminal open.
    for (const target of bound.reverse()) await sys.mounts.unmount(target, { lazy: true })
  }
}

function barOf({ bytes, totalBytes, packages, totalPackages, name }: InstallProgress) {
  return { done: bytes, total: totalBytes, text: `${packages}/${totalPackages} ${name}` }
}

function tellTroubles({ scriptFailures, conflicts, broken }: InstallReport, report: Report): void {
  for (const failure of scriptFailures) report.warn(describeScript(failure))
  for (const { path, package: name, owner } of conflicts)
    report.warn(`${path} is in ${name} and in ${owner}: the former’s is there`)
  for (const { package: name, what } of broken) report.warn(`${name}: ${what}`)
}

function describeScript(failure: InstallReport['scriptFailures'][number]): string {
  return `${failure.script} of ${failure.package} failed: ${failure.output}`
}
