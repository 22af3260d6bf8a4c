/** Random worlds, the same for the same seed. */

import { field } from '../../src/apk/stanza.ts'
import type { Random } from '../../test/support/random.ts'
import { nameIn, wordsOf } from '../../test/support/stanza-source.ts'
import type { Repository } from './repository.ts'

export interface Urn {
  readonly names: readonly string[]
  /** Of what only a tagged repository has. */
  readonly tagOf: ReadonlyMap<string, string>
  readonly provided: readonly string[]
  readonly versions: ReadonlyMap<string, readonly string[]>
  readonly tags: readonly string[]
}

export function fillUrn(repositories: readonly Repository[]): Urn {
  const versions = new Map<string, string[]>()
  const provided = new Set<string>()
  const tagOf = new Map<string, string>()
  const untagged = new Set(repositories.flatMap((each) => (each.tag === undefined ? namesOf(each) : [])))
  for (const { stanza, tag } of repositories.flatMap(({ stanzas, tag }) =>
    stanzas.map((stanza) => ({ stanza, tag })),
  )) {
    const name = field(stanza, 'P') ?? ''
    if (tag !== undefined && !untagged.has(name)) tagOf.set(name, tag)
    const known = versions.get(name) ?? []
    versions.set(name, [...known, field(stanza, 'V') ?? ''])
    for (const word of wordsOf(field(stanza, 'p'))) provided.add(nameIn(word))
  }
  const tags = repositories.flatMap(({ tag }) => tag ?? [])
  return { names: [...versions.keys()], tagOf, provided: [...provided], versions, tags }
}

function namesOf({ stanzas }: Repository): readonly string[] {
  return stanzas.map((stanza) => field(stanza, 'P') ?? '')
}

/** What apko's resolver cannot be asked for. */
export type Without = 'conflicts and tags' | 'nothing'

/** One to twelve entries, of as many names; half of the worlds have alpine-base besides. */
export function drawWorld(random: Random, urn: Urn, without: Without): readonly string[] {
  const pick = (from: readonly string[]) => from[Math.floor(random() * from.length)] ?? ''
  const entries = new Map<string, string>()
  const add = (entry: string) => entries.set(nameIn(entry), entry)
  const wanted = 1 + Math.floor(random() * 12)
  if (urn.versions.has('alpine-base') && random() < 0.5) add('alpine-base')
  for (let n = 0; n < wanted; n++) {
    const plain = pick(urn.names)
    // What only a tagged repository has, is mostly asked for by its tag.
    const tag = random() < 0.9 ? urn.tagOf.get(plain) : undefined
    const name = tag === undefined ? plain : `${plain}@${tag}`
    const kind = random()
    const version = pick(urn.versions.get(plain) ?? [])
    if (kind < 0.68) add(name)
    else if (kind < 0.75) add(`${name}${pick(['=', '=', '>=', '<=', '~'])}${version}`)
    else if (kind < 0.78) add(`${name}${pick(['>0', '<0', '<999', '>999'])}`)
    else if (kind < 0.81) add(`${name}~${version.split(/[.-]/)[0]}`)
    else if (kind < 0.86) add(without === 'nothing' ? `!${plain}` : name)
    else if (kind < 0.9)
      add(without === 'nothing' && urn.tags.length > 0 ? `${plain}@${pick(urn.tags)}` : name)
    else if (kind < 0.97) add(pick(urn.provided))
    else add(`no-such-package-${n}`)
  }
  // Names that many an install_if waits for.
  if (random() < 0.15 && urn.versions.has('docs')) add('docs')
  if (random() < 0.1 && urn.versions.has('bash-completion')) add('bash-completion')
  return [...entries.values()]
}
