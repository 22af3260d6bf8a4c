/**
 * Alpine's kernel package from a repository: the index's signature is verified with the site's keys, the package by the
 * index's checksum, which covers all that is in it. What was fetched is kept, and verified again each time.
 */

import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { CommandError } from '../../../build/error.ts'
import { writeWhole } from '../../../build/write-whole.ts'
import { field, numberField } from '../../apk/stanza.ts'
import { compareVersions } from '../../apk/version.ts'
import { closest } from '../../boot/closest.ts'
import { digestOfPackage } from '../lock/apk-file.ts'
import { type OpenRepository, openRepository, parsePlace } from '../lock/repository.ts'

export interface AlpineWish {
  /** `linux-lts` */
  readonly name: string
  /** A directory, or URLs with `|` between mirrors, of a repository, without the architecture. */
  readonly place: string
  readonly keys: ReadonlyMap<string, Buffer>
  readonly cache: string
  readonly tell: (line: string) => void
}

/** What diskless' host is built for. */
const arch = 'x86_64'

/** Resolves with the package's path in the cache. Rejects with a `CommandError`. */
export async function fetchAlpineKernel({ name, place, keys, cache, tell }: AlpineWish): Promise<string> {
  if (keys.size === 0) {
    throw new CommandError(
      `${name} of ${place} is verified before it is believed, and there is no key for that`,
      {
        advice: [
          "Name the keys of those who sign it: --keys PLACE. Alpine's are in its package alpine-keys, and in /etc/apk/keys of any Alpine.",
        ],
      },
    )
  }
  const repository = await openRepository(parsePlace(place, arch, '.'), arch, keys, tell)
  const stanza = newest(repository, name, place)
  const version = field(stanza, 'V') ?? ''
  const checksum = field(stanza, 'C') ?? ''
  const shown = `${name}-${version}`
  const directory = join(cache, 'kernels')
  const digest = Buffer.from(checksum.replace(/^Q1/, ''), 'base64').toString('hex')
  const path = join(directory, `${shown}.${digest}.apk`)
  if (existsSync(path)) {
    digestOfPackage(readFileSync(path), checksum, path)
    return path
  }
  tell(`Fetching ${shown} (${(numberField(stanza, 'S') / 1e6).toFixed(1)} MB)`)
  const bytes = await repository.read({ name, version, stanza })
  digestOfPackage(bytes, checksum, `${shown} of ${place}`)
  mkdirSync(directory, { recursive: true })
  writeWhole(path, bytes)
  return path
}

function newest({ stanzas }: OpenRepository, name: string, place: string): string {
  const found = stanzas.filter((stanza) => field(stanza, 'P') === name)
  const [best] = found.sort((a, b) => compareVersions(field(b, 'V') ?? '', field(a, 'V') ?? ''))
  if (best !== undefined) return best
  const kernels = stanzas
    .map((stanza) => field(stanza, 'P') ?? '')
    .filter((other) => /^linux-[a-z\d]+$/.test(other) && other !== 'linux-headers')
  const near = closest(name, kernels)
  throw new CommandError(`${place} has no package ${name}`, {
    advice: [
      ...(near === undefined ? [] : [`Did you mean '${near}'?`]),
      kernels.length === 0
        ? 'It has no kernel at all: they are in main of a release, https://MIRROR/alpine/v3.21/main.'
        : `Its kernels: ${[...new Set(kernels)].sort().join(', ')}.`,
    ],
  })
}
