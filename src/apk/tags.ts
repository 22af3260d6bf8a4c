/** Tagged repositories (`@edge URL`): which tag may bring packages from which repositories. */

import type { Dependency } from './dependency.ts'
import type { Package } from './graph.ts'
import type { SourceRepository } from './source.ts'

/** Bit of what is asked for without a tag. */
export const UNTAGGED = 1

export interface Tags {
  /** The tag's bit; a tag of which there is no repository has one too. */
  bitOf(dependency: Dependency): number
  /** The repositories that these tags' bits stand for, as bits. */
  repositoriesOf(tags: number): number
  /** The tag that this package is had by; undefined for none. */
  tagOf(pkg: Package): string | undefined
  /** The tags by which it could be had. */
  tagsHaving(pkg: Package): readonly string[]
}

export function makeTags(repositories: readonly SourceRepository[], world: readonly Dependency[]): Tags {
  const names = [...repositories, ...world].map(({ tag }) => tag)
  const tags = [undefined, ...new Set(names.filter((tag) => tag !== undefined))]
  const allowed = tags.map((tag) =>
    repositories.reduce(
      (bits, { tag: of, copies }, n) => (of === tag && copies === undefined ? bits | (1 << n) : bits),
      0,
    ),
  )
  return {
    bitOf: ({ tag }) => 1 << tags.indexOf(tag),
    repositoriesOf: (bits) => allowed.reduce((sum, mask, n) => ((bits >> n) & 1 ? sum | mask : sum), 0),
    tagOf: ({ repositories: from, state }) =>
      tags[allowed.findIndex((mask, n) => (state.tagsAllowed >> n) & 1 && (mask & from) !== 0)],
    tagsHaving: ({ repositories: from }) =>
      tags.flatMap((tag, n) => (tag !== undefined && ((allowed[n] ?? 0) & from) !== 0 ? [tag] : [])),
  }
}

/** Entries that name a tag of which there is no repository: apk takes those from the others, as if they named none. */
export function withUnknownTag(
  repositories: readonly SourceRepository[],
  world: readonly Dependency[],
): readonly Dependency[] {
  const known = new Set(repositories.map(({ tag }) => tag))
  return world.filter(({ tag }) => !known.has(tag) && tag !== undefined)
}
