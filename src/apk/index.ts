/** A repository's index: fetched from the first mirror that has it, and not believed before its signature is checked. */

import type { Fetch, FetchOptions } from '../network/fetch.ts'
import { redactUrl } from '../network/url.ts'
import type { IndexHandle, Sys } from '../sys/index.ts'
import { BootError, hasCode } from '../sys/index.ts'
import { indexUrl } from './repositories.ts'
import type { SourceIndex } from './source.ts'

/** A repository at one or several mirrors, the preferred one first. */
export interface MirroredRepository {
  readonly urls: readonly string[]
  /** `@tag`, without the sign. */
  readonly tag: string | undefined
}

/** An index whose signature was right. Held by the host until `closeIndex`. */
export interface VerifiedIndex extends SourceIndex {
  readonly packages: number
  /** The key's name. */
  readonly signedBy: string
  readonly description: string
}

export interface IndexRequest {
  readonly repository: MirroredRepository
  readonly arch: string
  readonly keys: ReadonlyMap<string, string>
  readonly fetch: Fetch
  /** The path of an earlier copy, to be read instead: the repository is out of reach. */
  readonly keptAt?: string
}

/** Alpine's biggest index has 2 MB. */
const MOST_INDEX_BYTES = 64 * 1024 * 1024

/** Rejects with a `BootError`: it cannot be had, is not signed, is signed by a stranger, was tampered with. */
export async function fetchIndex(
  sys: Sys,
  { repository, arch, keys, fetch, keptAt }: IndexRequest,
  options: FetchOptions = {},
): Promise<VerifiedIndex> {
  const urls = keptAt === undefined ? repository.urls.map((url) => indexUrl(url, arch)) : [keptAt]
  const what = `the index of ${redactUrl(repository.urls[0] ?? 'a repository without a URL')}`
  const filters = [{ kind: 'limit', bytes: MOST_INDEX_BYTES }] as const
  const { index } = await fetch(sys, { what, urls, filters, sink: { kind: 'apk-index' } }, options)
  try {
    return {
      ...repository,
      ...(keptAt === undefined ? {} : { outOfReach: true as const }),
      local: repository.urls.every((url) => url.startsWith('/') || url.startsWith('file:')),
      index: index.id,
      packages: index.packages,
      description: index.description,
      signedBy: await sys.packages.verifyIndex(index.id, keys),
    }
  } catch (cause) {
    await sys.packages.closeIndex(index.id)
    throw hasCode(cause, 'SIGNATURE') ? distrust(what, index, keys, cause) : cause
  }
}

function distrust(
  what: string,
  index: IndexHandle,
  keys: ReadonlyMap<string, string>,
  cause: Error,
): BootError {
  const names = [...new Set(index.signatures.map(({ keyName }) => keyName))]
  if (names.length === 0) {
    return new BootError(`${what} is not signed, so nothing in it can be trusted`, {
      cause,
      advice: ['Sign it: abuild-sign -k KEY APKINDEX.tar.gz, and build the initrd with the public key.'],
    })
  }
  const known = names.filter((name) => keys.has(name))
  if (known.length === 0) {
    const held = keys.size === 0 ? 'no key at all' : `only ${[...keys.keys()].join(', ')}`
    return new BootError(`${what} is signed with ${names.join(', ')}, a key that is not trusted here`, {
      cause,
      advice: [
        `This system has ${held} in /etc/apk/keys.`,
        'Build the initrd with the public key of that name, or put it into etc/apk/keys of the overlay.',
      ],
    })
  }
  return new BootError(
    `${what} does not match its signature by ${known.join(', ')}: somebody or something changed it`,
    {
      cause,
      advice: [
        'Compare it with the repository that it was copied from, and make and sign it again.',
        'If the key was replaced under the same name, build the initrd with the new one.',
      ],
    },
  )
}
