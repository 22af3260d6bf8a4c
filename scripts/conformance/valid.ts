/**
 * Is a set of packages what a world asks for? Looks at the result only, and knows nothing of how it was chosen: a second
 * opinion on the solver, and on others'.
 */

import { type Dependency, formatDependency, matches, parseDependency } from '../../src/apk/dependency.ts'
import { field, numberField } from '../../src/apk/stanza.ts'
import { wordsOf } from '../../test/support/stanza-source.ts'

interface Offer {
  readonly name: string
  readonly version: string | undefined
}

export interface Member {
  /** `name-version`. */
  readonly label: string
  readonly checksum: string
  readonly offers: readonly Offer[]
  readonly depends: readonly Dependency[]
  readonly installIf: readonly Dependency[]
  readonly priority: number
}

export function memberOf(stanza: string): Member {
  const own = { name: field(stanza, 'P') ?? '', version: field(stanza, 'V') }
  const provided = dependenciesOf(field(stanza, 'p')).map(({ name, version }) => ({ name, version }))
  return {
    label: `${own.name}-${own.version}`,
    checksum: field(stanza, 'C') ?? '',
    offers: [own, ...provided],
    depends: dependenciesOf(field(stanza, 'D')),
    installIf: dependenciesOf(field(stanza, 'i')),
    priority: numberField(stanza, 'k'),
  }
}

function dependenciesOf(value: string | undefined): readonly Dependency[] {
  return wordsOf(value).flatMap((word) => parseDependency(word, 'as it is') ?? [])
}

/** What is wrong with it, a line each; empty: nothing. `all`: what install_if could bring in. */
export function faultsOf(
  members: readonly Member[],
  world: readonly Dependency[],
  all: readonly Member[],
): readonly string[] {
  const present = new Presence(members)
  const faults: string[] = []
  for (const entry of world) {
    if (!present.fulfils(entry)) faults.push(`the world asks for ${formatDependency(entry, 'tags')}`)
  }
  for (const member of members) {
    for (const dependency of member.depends) {
      if (!present.fulfils(dependency, member))
        faults.push(`${member.label} asks for ${formatDependency(dependency)}`)
    }
    const rival = present.rivalOf(member)
    if (rival !== undefined) faults.push(`${member.label} and ${rival}`)
  }
  for (const member of all) {
    if (member.installIf.length === 0 || present.has(member)) continue
    if (!member.installIf.every((condition) => present.fulfils(condition))) continue
    // It may be out for a reason: that it would break something. What it needs could come in with it.
    const together = new Presence([...members, member])
    const asked = [...world, ...members.flatMap(({ depends }) => depends)]
    const conflicts = member.depends.filter(({ conflict }) => conflict)
    if (together.rivalOf(member) !== undefined) continue
    if (
      !asked.every((each) => together.fulfils(each)) ||
      !conflicts.every((each) => together.fulfils(each, member))
    )
      continue
    faults.push(`${member.label} is left out, whose install_if is met`)
  }
  return faults
}

/** Those that nothing asks for: neither the world, nor a dependency, nor an install_if. */
export function needlessIn(members: readonly Member[], world: readonly Dependency[]): readonly Member[] {
  const present = new Presence(members)
  const reached = new Set<Member>()
  const reach = (wanted: readonly Dependency[]) => {
    for (const dependency of wanted) {
      if (dependency.conflict) continue
      for (const member of present.answersTo(dependency)) {
        if (reached.has(member)) continue
        reached.add(member)
        reach(member.depends)
      }
    }
  }
  reach(world)
  for (let size = -1; size !== reached.size; ) {
    size = reached.size
    for (const member of members) {
      if (reached.has(member) || member.installIf.length === 0) continue
      if (!member.installIf.every((condition) => present.fulfils(condition))) continue
      reached.add(member)
      reach(member.depends)
    }
  }
  return members.filter((member) => !reached.has(member))
}

class Presence {
  readonly #offers = new Map<string, { readonly member: Member; readonly version: string | undefined }[]>()

  constructor(members: readonly Member[]) {
    for (const member of members) {
      for (const { name, version } of member.offers) {
        const known = this.#offers.get(name)
        if (known === undefined) this.#offers.set(name, [{ member, version }])
        else known.push({ member, version })
      }
    }
  }

  has({ label, offers: [own] }: Member): boolean {
    return (
      own !== undefined && (this.#offers.get(own.name) ?? []).some((offer) => offer.member.label === label)
    )
  }

  answersTo(dependency: Dependency): readonly Member[] {
    return (this.#offers.get(dependency.name) ?? [])
      .filter(({ member, version }) => matches(dependency, version, member.checksum))
      .map(({ member }) => member)
  }

  /** `of`: who asks; nobody is in conflict with himself. */
  fulfils(dependency: Dependency, of?: Member): boolean {
    const answers = this.answersTo(dependency)
    return dependency.conflict ? answers.every((member) => member === of) : answers.length > 0
  }

  /** Of those that provide a name with a version, there can be one; and none beside it without one. */
  rivalOf(member: Member): string | undefined {
    for (const { name, version } of member.offers) {
      for (const other of this.#offers.get(name) ?? []) {
        if (other.member === member || (version === undefined && other.version === undefined)) continue
        return `${other.member.label} both provide ${name}`
      }
    }
    return undefined
  }
}
