/** Repositories as lists of stanzas, found by name as the host finds them: for tests and scripts without a host. */

import type { PackageSource, SourceRepository } from '../../src/apk/source.ts'
import { field } from '../../src/apk/stanza.ts'

export interface StanzaRepository extends Partial<SourceRepository> {
  /** In the order of the index. */
  readonly stanzas: readonly string[]
}

/** `asked` gets every name that is looked up, once for each time. */
export function stanzaSource(repositories: readonly StanzaRepository[], asked: string[] = []): PackageSource {
  const indexes = repositories.map(({ stanzas }) => {
    const byName = new Map<string, Set<number>>()
    for (const [at, stanza] of stanzas.entries()) {
      for (const name of namesOf(stanza)) {
        const known = byName.get(name)
        if (known === undefined) byName.set(name, new Set([at]))
        else known.add(at)
      }
    }
    const conditional = stanzas.filter((stanza) => field(stanza, 'i') !== undefined)
    return { stanzas, byName, conditional }
  })
  return {
    repositories: repositories.map(({ tag, local = false }) => ({ tag, local })),
    lookup: async (names) => {
      asked.push(...names)
      return indexes.map(({ stanzas, byName }) => {
        const found = new Set(names.flatMap((name) => [...(byName.get(name) ?? [])]))
        return [...found].sort((a, b) => a - b).flatMap((at) => stanzas[at] ?? [])
      })
    },
    // All that it could be, which the contract allows.
    installIf: async () => indexes.map(({ conditional }) => conditional),
  }
}

/** A package's own name and those that it provides. */
export function namesOf(stanza: string): readonly string[] {
  return [field(stanza, 'P') ?? '', ...wordsOf(field(stanza, 'p')).map(nameIn)]
}

export function wordsOf(value: string | undefined): readonly string[] {
  return value?.split(' ').filter((word) => word !== '') ?? []
}

/** Of a dependency, the name. */
export function nameIn(word: string): string {
  return word.replace(/^!|[@<>=~].*/g, '')
}
