/**
 * The part of the repositories that a world can reach: its names, whatever provides them, what those depend on, and
 * the packages that install_if could bring in. Loaded before the solver starts, so that the solver never waits.
 */

import { BootError } from '../sys/index.ts'
import type { Dependency } from './dependency.ts'
import { nameIn, parseDependency } from './dependency.ts'
import type { Name, Package, Requirement, Universe } from './graph.ts'
import { newNameState, newPackageState } from './graph.ts'
import { inHashOrder } from './hash.ts'
import type { PackageSource } from './source.ts'
import { field, numberField } from './stanza.ts'

/** Shared, as every try of the solver brings its own. */
const noNotes = { name: newNameState(), package: newPackageState() } as const

class Loader {
  readonly #source: PackageSource
  readonly names = new Map<string, Name>()
  readonly packages = new Map<string, Package>()
  /** By stanza: the source tells most of them several times. */
  readonly #read = new Map<string, Package>()
  /** A dependency's text is shared by many packages. */
  readonly #requirements = new Map<string, Requirement>()
  /** Names that can trigger an install_if. */
  readonly #triggers = new Set<string>()
  #pending: Name[] = []
  #batch = 0

  constructor(source: PackageSource) {
    this.#source = source
  }

  async load(world: readonly Dependency[]): Promise<Universe> {
    for (const { name } of world) this.#ask(this.#name(name))
    for (let triggers = -1; this.#pending.length > 0; ) {
      while (this.#pending.length > 0) await this.#lookup()
      if (this.#triggers.size === triggers) break
      triggers = this.#triggers.size
      await this.#lookupInstallIf()
    }
    this.#completeProviders()
    this.#link()
    this.#forgetInert()
    return { names: this.names, packages: [...this.packages.values()] }
  }

  #name(text: string): Name {
    let name = this.names.get(text)
    if (name === undefined) {
      name = {
        text,
        providers: [],
        rdepends: [],
        rinstallIf: [],
        virtuality: 0,
        asked: 0,
        state: noNotes.name,
      }
      this.names.set(text, name)
    }
    return name
  }

  #ask(name: Name): void {
    if (name.asked > 0) return
    name.asked = this.#batch + 1
    this.#pending.push(name)
  }

  async #lookup(): Promise<void> {
    const asked = this.#pending
    this.#pending = []
    this.#batch++
    const batch = this.#batch
    const answers = await this.#source.lookup(asked.map(({ text }) => text))
    const found: Package[] = []
    for (const [repository, stanzas] of this.#inOrder(answers)) {
      for (const stanza of stanzas) {
        const pkg = this.#register(stanza, repository)
        if (pkg.batch === batch) continue
        pkg.batch = batch
        found.push(pkg)
        if (pkg.name.asked === batch) pkg.name.providers.push({ package: pkg, version: pkg.version })
        for (const { name, version } of pkg.provides) {
          if (name.asked === batch) name.providers.push({ package: pkg, version })
        }
      }
    }
    for (const pkg of found) this.#discover(pkg)
  }

  /** apk knows packages by the order of their repositories, and only then which of them have copies. */
  #inOrder<T>(answers: readonly T[]): (readonly [number, T])[] {
    const copies = this.#source.repositories.map((each) => each.copies === true)
    return [...answers.entries()].sort(([a], [b]) => Number(copies[a]) - Number(copies[b]))
  }

  #discover(pkg: Package): void {
    if (pkg.discovered) return
    pkg.discovered = true
    this.#triggers.add(pkg.name.text)
    for (const { name } of pkg.provides) this.#triggers.add(name.text)
    for (const { name } of pkg.depends) this.#ask(name)
  }

  async #lookupInstallIf(): Promise<void> {
    const answers = await this.#source.installIf([...this.#triggers])
    for (const [repository, stanzas] of this.#inOrder(answers)) {
      for (const stanza of stanzas) {
        if (!this.#mayTrigger(stanza)) continue
        const pkg = this.#register(stanza, repository)
        this.#ask(pkg.name)
        for (const { name } of pkg.provides) this.#ask(name)
      }
    }
  }

  /**
   * It can come in; or a name that it provides can get an install_if by it, which has a say in the order although
   * another package is chosen for that name.
   */
  #mayTrigger(stanza: string): boolean {
    const wanted = namesIn(field(stanza, 'i')).filter((name) => !name.startsWith('!'))
    if (wanted.every((name) => this.#triggers.has(name))) return true
    return (
      wanted.some((name) => this.#triggers.has(name)) &&
      namesIn(field(stanza, 'p')).some((name) => this.#triggers.has(name))
    )
  }

  #register(stanza: string, repository: number): Package {
    let pkg = this.#read.get(stanza)
    if (pkg === undefined) {
      pkg = this.#parse(stanza)
      this.#read.set(stanza, pkg)
    }
    pkg.repositories |= 1 << repository
    return pkg
  }

  /** The same package, whatever else the stanza of another repository says of it. */
  #parse(stanza: string): Package {
    const checksum = field(stanza, 'C') ?? ''
    let pkg = this.packages.get(checksum)
    if (pkg === undefined) {
      const name = field(stanza, 'P')
      const version = field(stanza, 'V')
      if (checksum === '' || name === undefined || version === undefined)
        throw new BootError('A package in the repository index has no name, no version or no checksum', {
          advice: ['Make the index again with apk index.'],
        })
      pkg = {
        stanza,
        checksum,
        name: this.#name(name),
        version,
        depends: this.#requireAll(field(stanza, 'D')),
        installIf: this.#requireAll(field(stanza, 'i')),
        provides: this.#provideAll(field(stanza, 'p')),
        providerPriority: numberField(stanza, 'k'),
        empty: numberField(stanza, 'I') === 0,
        repositories: 0,
        batch: 0,
        discovered: false,
        state: noNotes.package,
      }
      this.packages.set(checksum, pkg)
    }
    return pkg
  }

  /** Nearly all are `name` and `name=version`, and one package has hundreds: these take the short way. */
  #provideAll(value: string | undefined): Package['provides'] {
    if (value === undefined) return []
    const isPlain = !/[<>~!@]/.test(value)
    const provides: { name: Name; version: string | undefined }[] = []
    for (const word of value.split(' ')) {
      if (word === '') continue
      const [name, version, more] = word.split('=')
      if (isPlain && name && version !== '' && more === undefined)
        provides.push({ name: this.#name(name), version })
      else {
        const requirement = this.#require(word)
        provides.push({ name: requirement.name, version: requirement.dependency.version })
      }
    }
    return provides
  }

  #requireAll(value: string | undefined): Requirement[] {
    if (value === undefined) return []
    const requirements: Requirement[] = []
    for (const word of value.split(' ')) if (word !== '') requirements.push(this.#require(word))
    return requirements
  }

  #require(word: string): Requirement {
    let requirement = this.#requirements.get(word)
    if (requirement === undefined) {
      const dependency = parseDependency(word, 'as it is')
      if (dependency === undefined)
        throw new BootError(
          `A package in the repository index names ${JSON.stringify(word)}, which is no dependency`,
          {
            advice: ['Make the index again with apk index.'],
          },
        )
      requirement = { name: this.#name(dependency.name), dependency }
      this.#requirements.set(word, requirement)
    }
    return requirement
  }

  /** Names that nobody asked for have providers too: two of them cannot both be there. */
  #completeProviders(): void {
    for (const pkg of this.packages.values()) {
      if (pkg.name.asked === 0) pkg.name.providers.push({ package: pkg, version: pkg.version })
      for (const { name, version } of pkg.provides) {
        if (name.asked === 0) name.providers.push({ package: pkg, version })
      }
    }
  }

  #link(): void {
    const asked = [...this.names.values()].filter((name) => name.asked > 0)
    for (const name of inHashOrder(asked, ({ text }) => text)) {
      let virtual = 0
      for (const { package: pkg } of name.providers) {
        if (pkg.name !== name) virtual++
        for (const { name: other } of pkg.depends) {
          if (other.rdepends.at(-1) !== name) other.rdepends.push(name)
        }
        for (const { name: other } of pkg.installIf) {
          if (other.rinstallIf.at(-1) !== name) other.rinstallIf.push(name)
        }
      }
      name.virtuality = virtual === 0 ? 0 : virtual === name.providers.length ? 2 : 1
    }
  }

  /**
   * A name that only one package provides, and that nothing asks for or waits for, decides nothing. Most are (busybox
   * has three hundred `cmd:` names), and the solver goes through a package's names again and again.
   */
  #forgetInert(): void {
    for (const pkg of this.packages.values()) {
      if (pkg.provides.length === 0) continue
      pkg.provides = pkg.provides.filter(
        ({ name }) => name.asked > 0 || name.providers.length > 1 || name.rinstallIf.length > 0,
      )
    }
  }
}

function namesIn(value: string | undefined): string[] {
  return value === undefined ? [] : value.split(' ').map(nameIn)
}

/** Everything that the world may need. Asks the source in as many batches as dependencies are deep. */
export function loadUniverse(source: PackageSource, world: readonly Dependency[]): Promise<Universe> {
  return new Loader(source).load(world)
}
