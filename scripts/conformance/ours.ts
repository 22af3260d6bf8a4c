/** Our own choice of packages, in apk's words. */

import { type DroppedEntry, selectPackages } from '../../src/apk/select.ts'
import type { PackageSource } from '../../src/apk/source.ts'
import { makeWorld } from '../../src/apk/world.ts'

export interface Choice {
  /** `name[@tag] (version)` in the order of installation. */
  readonly lines: readonly string[]
  readonly stanzas: readonly string[]
  readonly dropped: readonly DroppedEntry[]
}

export async function chooseOurselves(source: PackageSource, world: readonly string[]): Promise<Choice> {
  const { packages, dropped } = await selectPackages(source, makeWorld(world))
  return {
    lines: packages.map(
      ({ name, version, tag }) => `${name}${tag === undefined ? '' : `@${tag}`} (${version})`,
    ),
    stanzas: packages.map(({ stanza }) => stanza),
    dropped,
  }
}

/** What differs between two lists of packages, in a few words; undefined: nothing. */
export function difference(ours: readonly string[], theirs: readonly string[]): string | undefined {
  const [mine, yours] = [new Set(ours), new Set(theirs)]
  const parts = [
    listed(
      'only ours',
      ours.filter((each) => !yours.has(each)),
    ),
    listed(
      'only theirs',
      theirs.filter((each) => !mine.has(each)),
    ),
  ].filter((part) => part !== '')
  if (parts.length > 0) return parts.join('; ')
  const at = ours.findIndex((each, n) => each !== theirs[n])
  return at < 0 ? undefined : `in another order: ${ours[at]} is number ${at + 1}, theirs ${theirs[at]}`
}

const mostListed = 6

function listed(what: string, names: readonly string[]): string {
  if (names.length === 0) return ''
  const more = names.length > mostListed ? ` and ${names.length - mostListed} more` : ''
  return `${what}: ${names.slice(0, mostListed).join(', ')}${more}`
}
