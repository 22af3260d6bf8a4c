/**
 * The modloop phase, while packages are installed: the modloop is fetched, or the one on a medium checked. A kernel and a
 * modloop of different builds would be a system without drivers, so they stop the boot here.
 */

import { showBytes } from '../boot/format.ts'
import type { RamBootPlan } from '../boot/plan.ts'
import { type Fetch, fetchPipeline, redactUrl, redactUrls } from '../network/fetch.ts'
import { schemeOf } from '../network/url.ts'
import {
  inspectModloop,
  type KnownModloop,
  modloopName,
  readKnownModloop,
  takeTree,
  waitingModloop,
} from '../root/modloop.ts'
import { sysroot } from '../root/ram.ts'
import { BootError, chainOf, hasCode, type Sys } from '../sys/index.ts'
import type { SystemModules } from './modules.ts'
import { fetchOptions, type Report } from './story.ts'

/** A mounted medium. */
interface Place {
  readonly name: string
  readonly target: string
}

/** Needs the network where the plan has a URL, the media where it has none, and a mounted root. */
export async function findModules(
  sys: Sys,
  plan: RamBootPlan,
  media: readonly Place[],
  fetch: Fetch,
  report: Report,
): Promise<SystemModules> {
  const { modules } = plan.root
  switch (modules.kind) {
    case 'none':
      report.detail('none, as modloop=none asks')
      return { kind: 'service' }
    case 'keep':
      report.detail('the initrd’s')
      return { kind: 'kept', directory: await keptModules(sys, plan.machine.kernel) }
    case 'fetched-modloop':
      return fetchModloop(
        sys,
        plan,
        { urls: modules.urls, known: await readKnownModloop(sys), fetch },
        report,
      )
    case 'modloop': {
      const known = await readKnownModloop(sys)
      return modules.path === undefined
        ? checkMedia(sys, plan, media, known, report)
        : checkNamed(sys, plan, media, modules.path, known, report)
    }
  }
}

async function keptModules(sys: Sys, kernel: string): Promise<string> {
  const directory = `/lib/modules/${kernel}`
  if ((await sys.files.status(`${directory}/modules.dep`)) !== undefined) return directory
  throw new BootError(`diskless.modules=keep: this initrd has no modules of Linux ${kernel}`, {
    advice: [
      'serve the vmlinuz and the initrd of one diskless build together, or name a modloop: modloop=http://…',
    ],
  })
}

interface Wanted {
  readonly urls: readonly string[]
  readonly known: KnownModloop | undefined
  readonly fetch: Fetch
}

async function fetchModloop(
  sys: Sys,
  plan: RamBootPlan,
  { urls, known, fetch }: Wanted,
  report: Report,
): Promise<SystemModules> {
  const all = redactUrls(urls)
  const name = modloopName(urls)
  if (name === undefined) throw new BootError(`modloop=${all} names no file`)
  const schemes = urls.map(schemeOf)
  if (urls.length === 1 && schemes.includes('ftp')) {
    report.notice(`${all} is left to the new system’s modloop service: init does not speak ftp`)
    return { kind: 'service' }
  }
  if (!schemes.every((scheme) => scheme === 'http' || scheme === 'https')) {
    throw new BootError(
      `modloop=${all}: the new system’s modloop service knows http, https and ftp, and would not find it`,
      { advice: ['serve the modloop over http'] },
    )
  }
  const shown = await fetchChecked(sys, plan, { urls, known, fetch }, report)
  if (known === undefined) await refuseStrange(sys, plan, waitingModloop, shown, report)
  report.detail(`${shown}${known === undefined ? '' : ', its digest is right'}`)
  return { kind: 'fetched', name }
}

/** Where it came from, as it may be shown. */
async function fetchChecked(
  sys: Sys,
  plan: RamBootPlan,
  { urls, known, fetch }: Wanted,
  report: Report,
): Promise<string> {
  const shown = redactUrls(urls)
  const { free } = await sys.files.space(sysroot)
  if (known !== undefined && known.size > free) throw noRoom(shown, free, known.size)
  const digest =
    known === undefined
      ? []
      : [{ kind: 'digest' as const, algorithm: 'sha256' as const, expected: known.sha256 }]
  const request = {
    what: 'the modloop',
    urls,
    filters: [{ kind: 'limit' as const, bytes: known?.size ?? free }, ...digest],
    sink: { kind: 'file' as const, path: waitingModloop, mode: 0o644 },
  }
  try {
    let from = shown
    await fetch<'file'>(sys, request, {
      ...fetchOptions(report, 'the modloop'),
      onDelivered: (url) => {
        from = redactUrl(url)
      },
    })
    return from
  } catch (error) {
    if (!(error instanceof BootError)) throw error
    if (known !== undefined && hasCode(error.cause, 'DIGEST', 'TOO_BIG')) {
      throw skewed(shown, plan.machine.kernel, urls.length > 1 ? error : error.cause)
    }
    if (hasCode(error.cause, 'TOO_BIG', 'ENOSPC')) throw noRoom(shown, free, undefined, error)
    throw error
  }
}

function noRoom(shown: string, free: number, needed: number | undefined, cause?: Error): BootError {
  const has = needed === undefined ? 'more than that' : showBytes(needed)
  return new BootError(
    `the modloop ${shown} does not fit: the root has ${showBytes(free)} left, and it has ${has}`,
    {
      cause,
      advice: [
        'give the machine more memory, or carry the initrd’s modules over instead: diskless.modules=keep',
      ],
    },
  )
}

function skewed(what: string, kernel: string, cause?: Error): BootError {
  return new BootError(`the modloop ${what} and the kernel (Linux ${kernel}) are not of the same build`, {
    cause,
    advice: [
      'serve the modloop that was given to diskless build --modloop, or build the initrd again with the new kernel and modloop',
    ],
  })
}

/** Nobody knows its digest; what it holds is seen all the same. */
async function refuseStrange(
  sys: Sys,
  plan: RamBootPlan,
  file: string,
  shown: string,
  report: Report,
): Promise<void> {
  report.note('the builder took in no digest of a modloop: it is not verified (diskless build --modloop)')
  const verdict = await inspectModloop(sys, file, plan.machine.kernel)
  switch (verdict.kind) {
    case 'has':
      return
    case 'unknown':
      report.note(`the modloop was not looked into: ${chainOf(verdict.error).join(': ')}`)
      return
    case 'unreadable':
      throw new BootError(`the modloop ${shown} is damaged, or no squashfs`, { cause: verdict.error })
    case 'lacks':
      throw skewed(shown, plan.machine.kernel, new Error(describeVersions(verdict.versions)))
  }
}

function describeVersions(versions: readonly string[]): string {
  return versions.length === 0 ? 'it has no modules at all' : `it has modules of ${versions.join(', ')}`
}

/** modloop=PATH: the service takes the file of that path from the first medium that has one, and looks for no other. */
async function checkNamed(
  sys: Sys,
  plan: RamBootPlan,
  media: readonly Place[],
  path: string,
  known: KnownModloop | undefined,
  report: Report,
): Promise<SystemModules> {
  const { kernel } = plan.machine
  const files: string[] = []
  for (const { target } of media) {
    const file = await sys.files.resolveIn(target, path)
    if (file !== undefined && (await sys.files.status(file))?.kind === 'file') files.push(file)
  }
  if (files.length === 0) {
    throw new BootError(`modloop=${path}: no medium has this file`, {
      advice: [
        media.length === 0
          ? 'no medium was found at all: a URL is fetched (modloop=http://…)'
          : `looked at: ${media.map(({ name }) => name).join(', ')}; without modloop= every boot/modloop-* is looked at`,
      ],
    })
  }
  // Whichever the service meets first.
  for (const file of files) {
    if (known !== undefined) await refuseUnknown(sys, [file], known, kernel, report)
    else await refuseStrange(sys, plan, file, file, report)
  }
  if (known === undefined) report.detail(files.join(', '))
  return { kind: 'service' }
}

/** The service looks for boot/modloop-* on everything that is mounted. */
async function checkMedia(
  sys: Sys,
  plan: RamBootPlan,
  media: readonly Place[],
  known: KnownModloop | undefined,
  report: Report,
): Promise<SystemModules> {
  const { kernel } = plan.machine
  const files = (await Promise.all(media.map((medium) => modloopsOn(sys, medium)))).flat()
  if (files.length > 0) {
    if (known === undefined) await warnOfStrange(sys, files, kernel, report)
    else await refuseUnknown(sys, files, known, kernel, report)
    return { kind: 'service' }
  }
  for (const { target } of media) {
    for (const directory of [`${target}/lib/modules/${kernel}`, `${target}/modules/${kernel}`]) {
      if ((await sys.files.status(`${directory}/modules.dep`)) === undefined) continue
      report.detail(directory)
      await takeTree(sys, directory)
      return { kind: 'tree', from: directory }
    }
  }
  report.detail('no modloop')
  report.note('no medium has boot/modloop-*, and no modloop= names one: the new system has no kernel modules')
  return { kind: 'service' }
}

export async function modloopsOn(sys: Sys, { target }: Place): Promise<readonly string[]> {
  const boot = `${target}/boot`
  if ((await sys.files.status(boot))?.kind !== 'directory') return []
  const names = (await sys.files.list(boot)).filter((name) => /^modloop-(?!.*\.SIGN\.)/.test(name))
  return names.map((name) => `${boot}/${name}`)
}

/** A medium may have one for each flavour of the kernel: it is enough that one is right. */
async function refuseUnknown(
  sys: Sys,
  files: readonly string[],
  known: KnownModloop,
  kernel: string,
  report: Report,
): Promise<void> {
  let last: Error | undefined
  for (const path of files) {
    const status = await sys.files.status(path)
    if (status?.kind === 'file' && status.size !== known.size) {
      last = new Error(`it has ${status.size} bytes, and the builder's ${known.size}`)
      continue
    }
    try {
      await fetchPipeline<'discard'>(
        sys,
        {
          what: 'the modloop',
          urls: [path],
          filters: [{ kind: 'digest', algorithm: 'sha256', expected: known.sha256 }],
          sink: { kind: 'discard' },
        },
        fetchOptions(report, 'the modloop'),
      )
      report.detail(`${path}, its digest is right`)
      return
    } catch (error) {
      const cause = error instanceof BootError ? error.cause : error
      if (!hasCode(cause, 'DIGEST')) throw error
      last = cause
    }
  }
  throw skewed(files.join(', '), kernel, last)
}

async function warnOfStrange(
  sys: Sys,
  files: readonly string[],
  kernel: string,
  report: Report,
): Promise<void> {
  const troubles: string[] = []
  for (const path of files) {
    const verdict = await inspectModloop(sys, path, kernel)
    if (verdict.kind === 'has' || verdict.kind === 'unknown') {
      report.detail(path)
      if (verdict.kind === 'unknown') report.note(`${path} was not looked into: ${verdict.error.message}`)
      return
    }
    const why =
      verdict.kind === 'lacks' ? describeVersions(verdict.versions) : chainOf(verdict.error).join(': ')
    troubles.push(`${path}: ${why}`)
  }
  report.warn(`no modloop is of this kernel, Linux ${kernel}: ${troubles.join('; ')}`)
}
