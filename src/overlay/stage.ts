/**
 * A copy of the overlay in memory, so that it is checked before anything of it is unpacked, and that what is checked is
 * what is unpacked, whatever the medium says when it is read a second time.
 */

import type { OverlayChecks } from '../boot/root-plan.ts'
import type { Fetch, FetchOptions } from '../network/fetch.ts'
import { redactUrls } from '../network/url.ts'
import { BootError, chainOf, type Filter, hasCode, type Sys } from '../sys/index.ts'
import type { FoundOverlay } from './find.ts'
import { memoryForCopy, pipelineOptions } from './memory.ts'
import { signatureOf } from './name.ts'

const keyDirectory = '/etc/diskless/overlay-keys'
const directory = '/run/diskless/overlay'
const copyPath = `${directory}/apkovl`
const signaturePath = `${directory}/apkovl.sig`
/** A signature of RSA with 16,384 bits has 2 KiB. */
const longestSignature = 4096

export type StageSys = Pick<Sys, 'files' | 'pipelines' | 'clock'>

export interface Copy {
  readonly path: string
  readonly bytes: number
  /** The URL or the path that it came from; undefined: the cache had it. */
  readonly from: string | undefined
}

/**
 * The keys put in at build time, by name: their paths. With one there, every overlay must be signed. Whatever lies there
 * counts, by any name: a key that is passed over would let in what is not signed.
 */
export async function overlayKeys(sys: Pick<Sys, 'files'>): Promise<Readonly<Record<string, string>>> {
  if ((await sys.files.status(keyDirectory)) === undefined) return {}
  const names = await sys.files.list(keyDirectory)
  return Object.fromEntries(names.map((name) => [name, `${keyDirectory}/${name}`]))
}

/** Rejects as `fetch` does. */
export async function copyOverlay(
  sys: StageSys,
  fetch: Fetch,
  places: readonly string[],
  { sha256 }: Pick<OverlayChecks, 'sha256'>,
  options: FetchOptions,
): Promise<Copy> {
  let from: string | undefined
  await sys.files.makeDirectory(directory, 0o700)
  const digest: readonly Filter[] =
    sha256 === undefined ? [] : [{ kind: 'digest', algorithm: 'sha256', expected: sha256 }]
  const { bytes } = await fetch<'file'>(
    sys,
    {
      what: 'the overlay',
      urls: places,
      filters: [{ kind: 'limit', bytes: await memoryForCopy(sys) }, ...digest],
      sink: { kind: 'file', path: copyPath, mode: 0o600 },
    },
    {
      ...options,
      onDelivered: (place) => {
        from = place
      },
    },
  )
  return { path: copyPath, bytes, from }
}

interface Signed {
  readonly overlay: FoundOverlay
  readonly copy: Copy
  readonly keys: Readonly<Record<string, string>>
}

/**
 * The copy, or that of another mirror, whose signature is right. One mirror may have an old signature, or none: overlay and
 * signature are always those of one server.
 */
export async function signedCopy(
  sys: StageSys,
  fetch: Fetch,
  { overlay, copy, keys }: Signed,
  { sha256, onWarning }: Pick<OverlayChecks, 'sha256'> & { readonly onWarning: (text: string) => void },
  options: FetchOptions,
): Promise<Copy> {
  const { from } = copy
  try {
    await checkSignature(sys, fetch, { overlay, copy, keys }, options)
    return copy
  } catch (error) {
    const others = [overlay.place, ...overlay.mirrors].filter((place) => place !== from)
    const [place, ...mirrors] = others
    if (!(error instanceof BootError) || from === undefined || place === undefined) throw error
    onWarning(`${chainOf(error).join(': ')}; another mirror is asked`)
    const rest: FoundOverlay = { ...overlay, place, mirrors }
    try {
      const next = await copyOverlay(sys, fetch, others, { sha256 }, options)
      return await signedCopy(sys, fetch, { overlay: rest, copy: next, keys }, { sha256, onWarning }, options)
    } catch (cause) {
      if (hasCode(cause, 'ABORTED')) throw cause
      throw new BootError(error.message, { cause, advice: error.advice })
    }
  }
}

/** Over the overlay as it is, encrypted or not. */
async function checkSignature(
  sys: StageSys,
  fetch: Fetch,
  { overlay, copy, keys }: Signed,
  options: FetchOptions,
): Promise<void> {
  const places = copy.from === undefined ? [overlay.place, ...overlay.mirrors] : [copy.from]
  const shown = redactUrls(places)
  const trusted = `must be signed by one of the keys of this initrd: ${Object.keys(keys).join(', ')}`
  const advice = [
    'sign it and put the signature beside it: openssl dgst -sha256 -sign KEY -out FILE.sig FILE',
    'or make the initrd without keys for overlays',
  ]
  try {
    await fetch<'file'>(
      sys,
      {
        what: 'the signature of the overlay',
        urls: places.map(signatureOf),
        filters: [{ kind: 'limit', bytes: longestSignature }],
        sink: { kind: 'file', path: signaturePath, mode: 0o600 },
      },
      options,
    )
  } catch (cause) {
    if (hasCode(cause, 'ABORTED')) throw cause
    throw new BootError(`the overlay ${shown} ${trusted}; its signature could not be had`, {
      cause,
      advice,
    })
  }
  try {
    await sys.pipelines.run<'discard'>(
      {
        source: { kind: 'file', path: copy.path },
        filters: [{ kind: 'signature', signature: signaturePath, keys }],
        sink: { kind: 'discard' },
      },
      pipelineOptions(options),
    )
  } catch (cause) {
    if (hasCode(cause, 'ABORTED')) throw cause
    throw new BootError(`the overlay ${shown} ${trusted}; its signature does not fit`, {
      cause,
      advice: [`${shown} was changed after it was signed, or somebody else signed it`, ...advice],
    })
  }
}

export async function removeCopy(sys: Pick<Sys, 'files'>): Promise<void> {
  await sys.files.remove(directory)
}
