/** A lock file: fetched from the first mirror that has it, and not believed before its signature is checked. */

import type { Fetch, FetchOptions } from '../network/fetch.ts'
import { redactUrl, resolveUrl } from '../network/url.ts'
import { BootError, hasCode, type Sys } from '../sys/index.ts'
import { type Lock, parseLock, type SignedText, splitLock } from './lock.ts'

export interface LockRequest {
  /** URLs of the same file, or one path. */
  readonly places: readonly string[]
  readonly arch: string
  /** Paths of the keys that may have signed it, by name. */
  readonly keys: Readonly<Record<string, string>>
  readonly fetch: Fetch
}

/** A package has less than 2 kB in it: some thousands of them. */
const mostBytes = 16 * 1024 * 1024
const directory = '/run/diskless/lock'

/** Rejects with a `BootError`: it cannot be had, is unsigned, by a stranger, cut short, changed, or another machine's. */
export async function fetchLock(
  sys: Pick<Sys, 'files' | 'pipelines' | 'clock'>,
  { places, arch, keys, fetch }: LockRequest,
  options: FetchOptions = {},
): Promise<Lock> {
  const shown = `the lock ${redactUrl(places[0] ?? '')}`
  const filters = [{ kind: 'limit', bytes: mostBytes }] as const
  const { text } = await fetch<'text'>(
    sys,
    { what: shown, urls: places, filters, sink: { kind: 'text', bytes: mostBytes } },
    options,
  )
  const signed = splitLock(text, shown)
  await checkSignature(sys, signed, shown, keys, options)
  const lock = parseLock(signed.text, shown)
  if (lock.arch === arch) return lock
  throw new BootError(`${shown} is for ${lock.arch}, and this machine is ${arch}`, {
    advice: [`make one for it: diskless lock --arch ${arch}`],
  })
}

async function checkSignature(
  sys: Pick<Sys, 'files' | 'pipelines'>,
  { text, keyName, signature }: SignedText,
  shown: string,
  keys: LockRequest['keys'],
  { signal }: FetchOptions,
): Promise<void> {
  const [path, beside] = [`${directory}/text`, `${directory}/signature`]
  await sys.files.makeDirectory(directory, 0o700)
  try {
    await sys.files.writeText(path, text)
    await sys.files.writeText(beside, signature)
    const filter = { kind: 'signature', signature: beside, keys } as const
    await sys.pipelines.run<'discard'>(
      { source: { kind: 'file', path }, filters: [filter], sink: { kind: 'discard' } },
      signal === undefined ? {} : { signal },
    )
  } catch (cause) {
    if (!hasCode(cause, 'SIGNATURE')) throw cause
    throw distrust(shown, keyName, Object.keys(keys), cause)
  } finally {
    await sys.files.remove(directory)
  }
}

function distrust(shown: string, keyName: string, trusted: readonly string[], cause: Error): BootError {
  if (trusted.includes(keyName)) {
    return new BootError(
      `${shown} does not match its signature by ${keyName}: somebody or something changed it`,
      {
        cause,
        advice: [
          'make it again: diskless lock; it cannot be edited by hand',
          'or, if the key was replaced under the same name, build the initrd with the new one',
        ],
      },
    )
  }
  return new BootError(`${shown} is signed with ${keyName}, a key that is not trusted here`, {
    cause,
    advice: [
      `this initrd trusts ${trusted.length === 0 ? 'no key at all' : trusted.join(', ')}`,
      'build it with the public key: diskless build --keys (or --overlay-key), or sign the lock with one of these',
    ],
  })
}

/** Where a repository of the lock is, for each place that the lock may have come from. */
export function placesIn(places: readonly string[], urls: readonly string[]): readonly string[] {
  return [...new Set(urls.flatMap((url) => places.map((place) => resolveUrl(place, url))))]
}
