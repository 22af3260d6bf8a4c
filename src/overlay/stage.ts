/**
 * A copy of the overlay in memory, so that it is checked before anything of it is unpacked, and that what is checked is
 * what is unpacked, whatever the medium says when it is read a second time.
 */

import type { OverlayChecks } from '../boot/root-plan.ts'
import type { Fetch, FetchOptions } from '../network/fetch.ts'
import { BootError, type Filter, hasCode, type Sys } from '../sys/index.ts'
import { memoryForCopy, pipelineOptions } from './memory.ts'
import { signatureOf } from './name.ts'

const keyDirectory = '/etc/diskless/overlay-keys'
const directory = '/run/diskless/overlay'
const copyPath = `${directory}/apkovl`
const signaturePath = `${directory}/apkovl.sig`
/** A signature of RSA with 16,384 bits has 2 KiB. */
const longestSignature = 4096

export type StageSys = Pick<Sys, 'files' | 'pipelines' | 'clock'>

export interface Place {
  /** A URL or a path. */
  readonly place: string
  readonly shown: string
}

export interface Copy {
  readonly path: string
  readonly bytes: number
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
  { place }: Place,
  { sha256 }: Pick<OverlayChecks, 'sha256'>,
  options: FetchOptions,
): Promise<Copy> {
  await sys.files.makeDirectory(directory, 0o700)
  const digest: readonly Filter[] =
    sha256 === undefined ? [] : [{ kind: 'digest', algorithm: 'sha256', expected: sha256 }]
  const { bytes } = await fetch<'file'>(
    sys,
    {
      what: 'the overlay',
      urls: [place],
      filters: [{ kind: 'limit', bytes: await memoryForCopy(sys) }, ...digest],
      sink: { kind: 'file', path: copyPath, mode: 0o600 },
    },
    options,
  )
  return { path: copyPath, bytes }
}

interface Signed {
  readonly overlay: Place
  readonly copy: Copy
  readonly keys: Readonly<Record<string, string>>
}

/** Over the overlay as it is, encrypted or not. */
export async function checkSignature(
  sys: StageSys,
  fetch: Fetch,
  { overlay, copy, keys }: Signed,
  options: FetchOptions,
): Promise<void> {
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
        urls: [signatureOf(overlay.place)],
        filters: [{ kind: 'limit', bytes: longestSignature }],
        sink: { kind: 'file', path: signaturePath, mode: 0o600 },
      },
      options,
    )
  } catch (cause) {
    if (hasCode(cause, 'ABORTED')) throw cause
    throw new BootError(`the overlay ${overlay.shown} ${trusted}; its signature could not be had`, {
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
    throw new BootError(`the overlay ${overlay.shown} ${trusted}; its signature does not fit`, {
      cause,
      advice: [`${overlay.shown} was changed after it was signed, or somebody else signed it`, ...advice],
    })
  }
}

export async function removeCopy(sys: Pick<Sys, 'files'>): Promise<void> {
  await sys.files.remove(directory)
}
