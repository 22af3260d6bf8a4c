/**
 * The overlay (apkovl): a tar.gz of what this machine has beside its packages, unpacked into the root.
 *
 * One that needs no check goes from its server straight into the root. One that is encrypted, signed, optional or has a
 * digest is copied into memory first: nothing of it is in the root before all of it is known to be right.
 */

import type { OverlayPlan } from '../boot/root-plan.ts'
import type { FetchOptions } from '../network/fetch.ts'
import { chainOf, type Filter, type Sys } from '../sys/index.ts'
import { chooseBackup } from './backup.ts'
import { explainFailure, isMissing } from './failure.ts'
import { findOverlay } from './find.ts'
import { pipelineOptions } from './memory.ts'
import { type Format, formatOf } from './name.ts'
import type { MediaOfOverlay, Overlay, OverlayTarget } from './overlay.ts'
import { type Copy, checkSignature, copyOverlay, overlayKeys, type Place, removeCopy } from './stage.ts'
import { unlock } from './unlock.ts'

export type { MediaOfOverlay, Overlay, OverlayTarget } from './overlay.ts'

type OverlaySys = Pick<Sys, 'files' | 'pipelines' | 'clock' | 'consoles'>

/** Undefined where there is none: none was asked for, or an optional one could not be had. */
export async function unpackOverlay(
  sys: OverlaySys,
  plan: OverlayPlan,
  target: OverlayTarget,
  media: MediaOfOverlay,
  options: FetchOptions,
): Promise<Overlay | undefined> {
  const current = await findOverlay(sys, plan, target, media)
  const found = plan.backup === undefined ? current : await chooseBackup(sys, current, plan.backup, media)
  if (found.kind === 'none') return undefined
  if (found.kind === 'missing') return goWithout(plan, target, found.error)
  const format = formatOf(found.place, found.shown)
  const keys = await overlayKeys(sys)
  const checked = plan.sha256 !== undefined || format.cipher !== undefined || Object.keys(keys).length > 0
  if (!checked && !plan.optional) return unpackDirectly(sys, found, format, target, options)
  try {
    const copy = await copyOverlay(sys, target.fetch, found, plan, options).catch((error: unknown) => {
      if (isMissing(error)) return goWithout(plan, target, error)
      throw explainFailure(error, found.shown)
    })
    if (copy === undefined) return undefined
    if (Object.keys(keys).length > 0)
      await checkSignature(sys, target.fetch, { overlay: found, copy, keys }, options)
    return await unpackCopy(sys, found, copy, { plan, format, target, options })
  } finally {
    await removeCopy(sys)
  }
}

/** An optional one is excused when it is missing; a person reads why. */
function goWithout(plan: OverlayPlan, target: OverlayTarget, error: unknown): undefined {
  if (!plan.optional) throw error
  target.onMissing(`the overlay, marked optional, is missing: ${chainOf(error).join(': ')}`)
  return undefined
}

async function unpackDirectly(
  sys: OverlaySys,
  { place, shown }: Place,
  { unpack }: Format,
  { root, fetch }: OverlayTarget,
  options: FetchOptions,
): Promise<Overlay> {
  const request = {
    what: 'the overlay',
    urls: [place],
    filters: [unpack],
    sink: { kind: 'tree', root },
  } as const
  try {
    const { bytes, paths } = await fetch<'tree'>(sys, request, options)
    return { from: shown, bytes, paths }
  } catch (error) {
    throw explainFailure(error, shown)
  }
}

interface Unpacking {
  readonly plan: OverlayPlan
  readonly format: Format
  readonly target: OverlayTarget
  readonly options: FetchOptions
}

async function unpackCopy(
  sys: OverlaySys,
  { shown }: Place,
  copy: Copy,
  { plan, format, target, options }: Unpacking,
): Promise<Overlay> {
  const { cipher, unpack } = format
  const filters: readonly Filter[] =
    cipher === undefined
      ? [unpack]
      : [await unlock(sys, { copy, shown, cipher, unpack }, plan.passwordUrl, target, options), unpack]
  try {
    const { paths } = await sys.pipelines.run<'tree'>(
      { source: { kind: 'file', path: copy.path }, filters, sink: { kind: 'tree', root: target.root } },
      pipelineOptions(options),
    )
    return { from: shown, bytes: copy.bytes, paths }
  } catch (error) {
    throw explainFailure(error, shown)
  }
}
