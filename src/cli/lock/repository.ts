/** A repository as the server sees it, a directory or a URL, and as the clients will. */

import { readFileSync, statSync } from 'node:fs'
import { join, relative } from 'node:path'
import { CommandError } from '../../../build/error.ts'
import { readInput } from '../../../build/inputs.ts'
import { indexUrl, packageUrl, parseRepository } from '../../apk/repositories.ts'
import type { SelectedPackage } from '../../apk/select.ts'
import type { PackageSource } from '../../apk/source.ts'
import { field } from '../../apk/stanza.ts'
import { mirrorsIn } from '../../boot/mirrors.ts'
import { redactUrl } from '../../network/url.ts'
import { readSignedIndex } from './apk-file.ts'
import { download } from './download.ts'

export interface RepositoryPlace {
  readonly tag: string | undefined
  /** Where this program reads it. */
  readonly from:
    | { readonly kind: 'directory'; readonly path: string }
    | { readonly kind: 'urls'; readonly urls: readonly string[] }
  /** What the lock says: URLs, or relative to the lock's own. */
  readonly urls: readonly string[]
}

export type WantedPackage = Pick<SelectedPackage, 'name' | 'version' | 'stanza'>

export interface OpenRepository {
  readonly place: RepositoryPlace
  readonly stanzas: readonly string[]
  /** The whole file of a package. */
  read(pkg: WantedPackage): Promise<Buffer>
}

/**
 * `[@TAG ]DIR|URL[|MIRROR…][=WHAT CLIENTS USE]`. A directory is for clients what it is relative to that of the lock, as one server
 * has both.
 */
export function parsePlace(text: string, arch: string, lockDirectory: string): RepositoryPlace {
  const [, tag, place = '', clients] =
    /^(?:@(\S+)\s+)?(.+?)(?:=((?:[a-z][a-z\d+.-]*:\/\/|\.{0,2}\/).*))?$/i.exec(text.trim()) ?? []
  const read = urlsOf(place, arch)
  if (clients !== undefined) return { tag, from: fromOf(place, read), urls: urlsOf(clients, arch) }
  if (isUrl(place)) return { tag, from: fromOf(place, read), urls: read }
  return { tag, from: fromOf(place, read), urls: [relative(lockDirectory, read[0] ?? place) || '.'] }
}

/** A repository of an earlier lock, which lies in this directory. */
export function placeInLock(
  urls: readonly string[],
  tag: string | undefined,
  directory: string,
): RepositoryPlace {
  const beside = urls.find((url) => !isUrl(url))
  const from =
    beside === undefined
      ? ({ kind: 'urls', urls } as const)
      : ({ kind: 'directory', path: join(directory, beside) } as const)
  return { tag, from, urls }
}

function fromOf(place: string, urls: readonly string[]): RepositoryPlace['from'] {
  return isUrl(place) ? { kind: 'urls', urls } : { kind: 'directory', path: urls[0] ?? place }
}

function isUrl(text: string): boolean {
  return /^[a-z][a-z\d+.-]*:\/\//i.test(text)
}

/** Without the architecture, as etc/apk/repositories has them. */
function urlsOf(text: string, arch: string): readonly string[] {
  const repository = parseRepository(text, arch)
  return repository === undefined ? mirrorsIn(text) : [repository.url, ...repository.mirrors]
}

/** Rejects with a CommandError: it cannot be had, or nobody of `keys` signed it. */
export async function openRepository(
  place: RepositoryPlace,
  arch: string,
  keys: ReadonlyMap<string, Buffer>,
  tell: (line: string) => void,
): Promise<OpenRepository> {
  const { from } = place
  const shown = from.kind === 'directory' ? from.path : redactUrl(from.urls[0] ?? '')
  const what = `the index of ${shown}`
  const bytes =
    from.kind === 'directory'
      ? readIndex(from.path, arch)
      : await download(
          from.urls.map((url) => indexUrl(url, arch)),
          what,
          tell,
        )
  const stanzas = readSignedIndex(bytes, keys, what)
    .split(/\n{2,}/)
    .filter((stanza) => stanza.trim() !== '')
  const placeOf = (base: string, { name, version, stanza }: WantedPackage) =>
    packageUrl(base, field(stanza, 'A') ?? arch, name, version)
  return {
    place,
    stanzas,
    read: async (pkg) =>
      from.kind === 'directory'
        ? readInput(placeOf(from.path, pkg))
        : download(
            from.urls.map((url) => placeOf(url, pkg)),
            `the package ${pkg.name}-${pkg.version}`,
            tell,
          ),
  }
}

function readIndex(directory: string, arch: string): Buffer {
  const path = indexUrl(directory, arch)
  try {
    return readFileSync(path)
  } catch (cause) {
    const there = statSync(directory, { throwIfNoEntry: false }) !== undefined
    throw new CommandError(`the index ${path} could not be read`, {
      cause,
      advice: [
        there
          ? `A repository has one for each architecture: make it with apk index, sign it with abuild-sign. Or is it of another architecture?`
          : `Name a directory that has ${arch}/APKINDEX.tar.gz, or a URL.`,
      ],
    })
  }
}

/** What the solver goes by. */
export interface Offer {
  readonly place: Pick<RepositoryPlace, 'tag'>
  readonly stanzas: readonly string[]
}

/** For the solver; in the order of preference. To clients none of them is local. */
export function sourceOf(repositories: readonly Offer[]): PackageSource {
  const tables = repositories.map(({ stanzas }) => tabulate(stanzas))
  return {
    repositories: repositories.map(({ place }) => ({ tag: place.tag, local: false })),
    lookup: async (names) =>
      repositories.map(({ stanzas }, n) => {
        const found = new Set(names.flatMap((name) => tables[n]?.get(name) ?? []))
        return [...found].sort((a, b) => a - b).map((at) => stanzas[at] ?? '')
      }),
    installIf: async () =>
      repositories.map(({ stanzas }) => stanzas.filter((stanza) => field(stanza, 'i') !== undefined)),
  }
}

/** Numbers of the stanzas with a name, its own or one that it provides. */
function tabulate(stanzas: readonly string[]): ReadonlyMap<string, readonly number[]> {
  const table = new Map<string, number[]>()
  const add = (name: string, at: number) => {
    const known = table.get(name)
    if (known === undefined) table.set(name, [at])
    else known.push(at)
  }
  for (const [at, stanza] of stanzas.entries()) {
    add(field(stanza, 'P') ?? '', at)
    for (const word of (field(stanza, 'p') ?? '').split(' ')) {
      const name = word.replace(/[<=>~@].*/, '')
      if (name !== '') add(name, at)
    }
  }
  return table
}
