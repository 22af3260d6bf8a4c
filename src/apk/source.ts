/** Where the solver finds packages: several repositories' indexes, asked by name, a batch at a time. */

import type { Sys } from '../sys/index.ts'

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
}

/** The indexes that the host holds. */
export function indexSource(
  sys: Pick<Sys, 'packages'>,
  indexes: readonly (SourceRepository & { readonly index: number })[],
): PackageSource {
  return {
    repositories: indexes,
    lookup: (names) => Promise.all(indexes.map(({ index }) => sys.packages.lookup(index, names))),
    installIf: (names) => Promise.all(indexes.map(({ index }) => sys.packages.installIf(index, names))),
  }
}
