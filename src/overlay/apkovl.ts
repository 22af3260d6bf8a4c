/**
 * The overlay (apkovl): a tar.gz of what this machine has beside its packages, unpacked into the root.
 *
 * One that needs no check goes from its server straight into the root. One that is encrypted, signed, optional or has a
 * digest is copied into memory first: nothing of it is in the root before all of it is known to be right.
 */

import type { OverlayPlan } from '../boot/root-plan.ts'
import type { FetchOptions } from '../network/fetch.ts'
import { redactUrl } from '../network/url.ts'
import { BootError, chainOf, type Filter, type Sys } from '../sys/index.ts'
import { chooseBackup } from './backup.ts'
import { explainFailure, isMissing } from './failure.ts'
import { type FoundOverlay, findOverlay } from './find.ts'
import { pipelineOptions } from './memory.ts'
import { type Format, formatOf } from './name.ts'
import type { MediaOfOverlay, Overlay, OverlayTarget } from './overlay.ts'
import { type Copy, copyOverlay, overlayKeys, removeCopy, signedCopy } from './stage.ts'
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
  const format = formatOfAll(found)
  const keys = await overlayKeys(sys)
  const checked = plan.sha256 !== undefined || format.cipher !== undefined || Object.keys(keys).length > 0
  // What one mirror had sent before it broke off would stay in the root when another one goes on.
  const direct = !checked && !plan.optional && found.mirrors.length === 0
  if (direct) return unpackDirectly(sys, found, format, target, options)
  try {
    const places = [found.place, ...found.mirrors]
    const fetched = await copyOverlay(sys, target.fetch, places, plan, options).catch((error: unknown) => {
      if (isMissing(error)) return goWithout(plan, target, error)
      throw explainFailure(error, found)
    })
    if (fetched === undefined) return undefined
    const settings = { sha256: plan.sha256, onWarning: target.onWarning }
    const copy =
      Object.keys(keys).length === 0
        ? fetched
        : await signedCopy(sys, target.fetch, { overlay: found, copy: fetched, keys }, settings, options)
    return await unpackCopy(sys, found, copy, { plan, format, target, options })
  } finally {
    await removeCopy(sys)
  }
}

/** An optional one is excused when it is missing; a person reads why. */
function goWithout(plan: OverlayPlan, target: OverlayTarget, error: unknown): undefined {
  if (!plan.optional) throw error
  target.onWarning(`the overlay, marked optional, is missing: ${chainOf(error).join(': ')}`)
  return undefined
}

async function unpackDirectly(
  sys: OverlaySys,
  found: FoundOverlay,
  { unpack }: Format,
  { root, fetch }: OverlayTarget,
  options: FetchOptions,
): Promise<Overlay> {
  const request = {
    what: 'the overlay',
    urls: [found.place],
    filters: [unpack],
    sink: { kind: 'tree', root },
  } as const
  try {
    const { bytes, paths } = await fetch<'tree'>(sys, request, options)
    return { from: found.shown, bytes, paths }
  } catch (error) {
    throw explainFailure(error, found)
  }
}

/** Mirrors of one thing are packed alike. */
function formatOfAll({ place, mirrors, shown }: FoundOverlay): Format {
  const format = formatOf(place, redactUrl(place))
  const others = mirrors.map((url) => formatOf(url, redactUrl(url)))
  const isSame = ({ cipher, unpack }: Format) =>
    cipher === format.cipher && unpack.kind === format.unpack.kind
  if (others.every(isSame)) return format
  throw new BootError(`by their names, these are not mirrors of one overlay: ${shown}`, {
    advice: ['all of them end alike: .tar.gz, .tar.zst, and the cipher where it is encrypted'],
  })
}

interface Unpacking {
  readonly plan: OverlayPlan
  readonly format: Format
  readonly target: OverlayTarget
  readonly options: FetchOptions
}

async function unpackCopy(
  sys: OverlaySys,
  found: FoundOverlay,
  copy: Copy,
  { plan, format, target, options }: Unpacking,
): Promise<Overlay> {
  const { cipher, unpack } = format
  const shown = copy.from === undefined ? found.shown : redactUrl(copy.from)
  const filters: readonly Filter[] =
    cipher === undefined
      ? [unpack]
      : [await unlock(sys, { copy, shown, cipher, unpack }, plan.passwordUrls, target, options), unpack]
  try {
    const { paths } = await sys.pipelines.run<'tree'>(
      { source: { kind: 'file', path: copy.path }, filters, sink: { kind: 'tree', root: target.root } },
      pipelineOptions(options),
    )
    return { from: shown, bytes: copy.bytes, paths }
  } catch (error) {
    throw explainFailure(error, { shown, mirrors: [] })
  }
}
