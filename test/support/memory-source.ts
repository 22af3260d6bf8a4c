/** Repositories in memory, from a few words a package, for tests and comparisons of the choice of packages. */

import { createHash } from 'node:crypto'
import type { PackageSource } from '../../src/apk/source.ts'
import { stanzaSource } from './stanza-source.ts'

export interface Spec {
  readonly depends?: string
  readonly provides?: string
  readonly installIf?: string
  readonly priority?: number
  readonly installed?: number
}

/** `name-version` and what it says. */
export type Specs = Readonly<Record<string, Spec>>

function split(label: string): { readonly name: string; readonly version: string } {
  const [, name = '', version = ''] = /^(.+?)-(\d[^-]*(?:-r\d+)?)$/.exec(label) ?? []
  return { name, version }
}

export function stanzaOf(label: string, spec: Spec): string {
  const { name, version } = split(label)
  const checksum = createHash('sha1').update(label).update(JSON.stringify(spec)).digest('base64')
  const lines: [string, string | undefined][] = [
    ['C', `Q1${checksum}`],
    ['P', name],
    ['V', version],
    ['A', 'x86_64'],
    ['S', '100'],
    ['I', String(spec.installed ?? 4096)],
    ['k', spec.priority?.toString()],
    ['D', spec.depends],
    ['p', spec.provides],
    ['i', spec.installIf],
  ]
  return lines.flatMap(([letter, value]) => (value === undefined ? [] : [`${letter}:${value}`])).join('\n')
}

export interface MemorySource extends PackageSource {
  /** Every name that was looked up, once for each time. */
  readonly asked: string[]
}

export interface RepositorySpec {
  readonly specs: Specs
  readonly tag?: string
  readonly local?: boolean
}

/** Repositories in order. */
export function memorySource(...repositories: RepositorySpec[]): MemorySource {
  const asked: string[] = []
  const lists = repositories.map(({ specs, ...repository }) => ({
    ...repository,
    stanzas: Object.entries(specs).map(([label, spec]) => stanzaOf(label, spec)),
  }))
  return { ...stanzaSource(lists, asked), asked }
}
