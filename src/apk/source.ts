/** Where the solver finds packages: several repositories' indexes, asked by name, a batch at a time. */

import type { Sys } from '../sys/index.ts'
import { packageUrl } from './repositories.ts'
import { field } from './stanza.ts'

export interface PackageSource {
  /** In the order of preference. At most 31. */
  readonly repositories: readonly SourceRepository[]
  /** For each repository: stanzas of packages of one of these names and of those that provide one, in index order. */
  lookup(names: readonly string[]): Promise<readonly (readonly string[])[]>
  /** For each repository: what `Packages.installIf` says of these names; or more than that. */
  installIf(names: readonly string[]): Promise<readonly (readonly string[])[]>
}

export interface SourceRepository {
  /** `@tag`, without the sign. */
  readonly tag: string | undefined
  /** Its files need no network: apk prefers it for a package that several have. */
  readonly local: boolean
  /** It has copies of what others have: whether a package may be had, is theirs to say. */
  readonly copies?: true
}

/** An index that the host holds. */
export interface SourceIndex extends SourceRepository {
  readonly index: number
  /** Of its repository, the preferred one first. */
  readonly urls: readonly string[]
  /** The repository is out of reach: of what it has, there is what the cache has. */
  readonly outOfReach?: true
}

/** What was chosen, as far as its place depends on it. */
export interface Chosen {
  readonly name: string
  readonly version: string
  readonly stanza: string
  /** Numbers of the source's repositories that have it. */
  readonly repositories: readonly number[]
}

export interface PlacedSource extends PackageSource {
  /** URLs and paths of a package's file, the one that apk takes first. */
  placesOf(pkg: Chosen): readonly string[]
}

/** `arch`: of packages that do not say theirs. */
export function indexSource(
  sys: Pick<Sys, 'packages'>,
  indexes: readonly SourceIndex[],
  arch: string,
): PlacedSource {
  return {
    repositories: indexes,
    lookup: (names) => Promise.all(indexes.map(({ index }) => sys.packages.lookup(index, names))),
    installIf: (names) => Promise.all(indexes.map(({ index }) => sys.packages.installIf(index, names))),
    placesOf: ({ name, version, stanza, repositories }) =>
      repositories.flatMap((n) =>
        (indexes[n]?.urls ?? []).map((url) => packageUrl(url, field(stanza, 'A') ?? arch, name, version)),
      ),
  }
}
