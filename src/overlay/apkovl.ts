/**
 * The overlay (apkovl): a tar.gz of what this machine has beside its packages, fetched straight into the root.
 * Nothing of it is kept in memory but the list of its paths.
 */

import { fillIn } from '../boot/identity.ts'
import type { OverlayPlan } from '../boot/root-plan.ts'
import { type FetchOptions, fetchPipeline, redactUrl } from '../network/fetch.ts'
import { BootError, chainOf, type Filter, hasCode, type Sys } from '../sys/index.ts'

export interface Overlay {
  /** Where it came from, without a password. */
  readonly from: string
  /** Bytes fetched. */
  readonly bytes: number
  /** What it holds, relative to the root, without a leading slash; directories end in `/`. */
  readonly paths: readonly string[]
}

export interface OverlayTarget {
  readonly root: string
  /** Of the card that the network came up on. */
  readonly mac: string | undefined
  readonly uuid: string | undefined
  /** An overlay marked diskless.apkovl=optional could not be had. */
  readonly onMissing: (why: string) => void
}

/** Undefined where there is none: none was asked for, or an optional one could not be had. */
export async function unpackOverlay(
  sys: Sys,
  plan: OverlayPlan,
  target: OverlayTarget,
  options: FetchOptions,
): Promise<Overlay | undefined> {
  if (plan.kind !== 'url') return undefined
  const url = fillIn(plan.url, target)
  try {
    const { bytes, paths } = await fetchPipeline<'tree'>(
      sys,
      {
        what: 'the overlay',
        urls: [url],
        filters: filtersOf(url, plan.sha256),
        sink: { kind: 'tree', root: target.root },
      },
      options,
    )
    return { from: redactUrl(url), bytes, paths }
  } catch (error) {
    if (!plan.optional || hasCode(error, 'ABORTED')) throw explainFailure(error, url)
    target.onMissing(`the overlay, marked optional, is missing: ${chainOf(error).join(': ')}`)
    return undefined
  }
}

/** Alpine tells the format by the name; what follows a ? is the server's business. */
function filtersOf(url: string, sha256: string | undefined): readonly Filter[] {
  const name = url.replace(/[?#].*$/, '')
  const suffix = /\.([a-z0-9-]+)$/i.exec(name)?.[1]?.toLowerCase()
  const digest: Filter[] =
    sha256 === undefined ? [] : [{ kind: 'digest', algorithm: 'sha256', expected: sha256 }]
  if (suffix !== undefined && /^(aes|des|camellia|aria|sm4|chacha)/.test(suffix)) {
    throw new BootError(`${redactUrl(url)} is encrypted with ${suffix}, which this version cannot decrypt`, {
      advice: ['commit it without encryption (lbu.conf: ENCRYPTION), and serve it over https'],
    })
  }
  return [...digest, suffix === 'zst' ? { kind: 'unzstd' } : { kind: 'gunzip' }]
}

function explainFailure(error: unknown, url: string): unknown {
  if (!(error instanceof BootError)) return error
  const cause = error.cause
  if (hasCode(cause, 'ENOSPC', 'TOO_BIG')) {
    return new BootError(`the overlay ${redactUrl(url)} does not fit into the memory of this machine`, {
      cause,
      advice: [
        'give the machine more memory, allow the root more of it (rootflags=size=…), or take large files out of the overlay',
      ],
    })
  }
  if (hasCode(cause, 'ESCAPE')) {
    return new BootError(
      `the overlay ${redactUrl(url)} names files outside the root; nothing of it is used`,
      {
        cause,
        advice: ['lbu never writes such names: look at it with tar tzf, and make it again'],
      },
    )
  }
  if (hasCode(cause, 'FORMAT', 'TRUNCATED')) {
    return new BootError(`the overlay ${redactUrl(url)} is damaged, or is no tar.gz`, {
      cause,
      advice: [
        'try it on the server: tar tzf FILE; an error page served with status 200 looks like this too',
      ],
    })
  }
  return error
}
