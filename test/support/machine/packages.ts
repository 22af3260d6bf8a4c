/** `sys.packages` of the fake machine: indexes, staged packages and the installed database, on its files. */

import { createHash, createVerify } from 'node:crypto'
import { directoryIn } from '../../../src/root/in-root.ts'
import type {
  CommitRequest,
  CommitResult,
  DatabaseHandle,
  IndexHandle,
  Packages,
  StagedPackage,
} from '../../../src/sys/index.ts'
import type { ApkIndex, ApkPackage } from './apk.ts'
import { InstalledDatabase } from './database.ts'
import { extract, placeIn, safeName } from './extract.ts'
import { type Faults, refusal } from './faults.ts'
import type { FakeFiles } from './files.ts'
import type { TarEntry } from './tar.ts'
import { parentOf } from './tree.ts'

interface Stage {
  readonly root: string
  readonly directory: string
  readonly content: ApkPackage
}

export class FakePackages implements Packages {
  readonly #files: FakeFiles
  readonly #faults: Faults
  readonly #indexes = new Map<number, ApkIndex>()
  readonly #stages = new Map<number, Stage>()
  readonly #databases = new Map<number, InstalledDatabase>()
  #id = 0

  /** Ends when the last commit that was asked for does. */
  #turn: Promise<unknown> = Promise.resolve()

  constructor(files: FakeFiles, faults: Faults) {
    this.#files = files
    this.#faults = faults
  }

  /** How many indexes, stages and databases are still held: a test can see that none was forgotten. */
  get held(): { readonly indexes: number; readonly stages: number } {
    return { indexes: this.#indexes.size, stages: this.#stages.size }
  }

  async verifyIndex(index: number, keys: ReadonlyMap<string, string>): Promise<string> {
    const operation = 'packages.verifyIndex'
    this.#faults.check(operation, String(index))
    const { signatures, signed } = this.#get(this.#indexes, index, operation)
    if (signatures.length === 0) throw refusal('SIGNATURE', operation, 'the index', 'it is not signed')
    for (const { keyName, algorithm, bytes } of signatures) {
      const path = keys.get(keyName)
      if (path === undefined) continue
      const verify = createVerify(algorithm === 'RSA' ? 'sha1' : 'sha256').update(signed)
      if (verify.verify(this.#files.read(path, operation), bytes)) return keyName
      throw refusal('SIGNATURE', operation, keyName, 'the signature is wrong')
    }
    const names = signatures.map((signature) => signature.keyName).join(', ')
    throw refusal('SIGNATURE', operation, names, 'signed by a key that is not trusted')
  }

  async lookup(index: number, names: readonly string[]): Promise<readonly string[]> {
    const wanted = new Set(names)
    return this.#get(this.#indexes, index, 'packages.lookup').stanzas.filter((stanza) => {
      if (wanted.has(field(stanza, 'P') ?? '')) return true
      const provides = field(stanza, 'p')?.split(' ') ?? []
      return provides.some((each) => wanted.has(nameOf(each)))
    })
  }

  async installIf(index: number, names: readonly string[]): Promise<readonly string[]> {
    const reached = new Set(names)
    return this.#get(this.#indexes, index, 'packages.installIf').stanzas.filter((stanza) => {
      const conditions = field(stanza, 'i')
        ?.split(' ')
        .filter((each) => !each.startsWith('!'))
      if (conditions === undefined) return false
      const own = new Set([field(stanza, 'P') ?? '', ...(field(stanza, 'p')?.split(' ') ?? []).map(nameOf)])
      return (
        [...own].some((each) => reached.has(each)) || conditions.every((each) => reached.has(nameOf(each)))
      )
    })
  }

  async saveIndex(index: number, directory: string, url: string): Promise<void> {
    const operation = 'packages.saveIndex'
    this.#faults.check(operation, url)
    const { signed } = this.#get(this.#indexes, index, operation)
    const name = createHash('sha1').update(url).digest('hex').slice(0, 8)
    this.#files.seed(`${directory}/APKINDEX.${name}.tar.gz`, signed)
  }

  async closeIndex(index: number): Promise<void> {
    this.#get(this.#indexes, index, 'packages.closeIndex')
    this.#indexes.delete(index)
  }

  async openDatabase(root: string, keep: readonly string[]): Promise<DatabaseHandle> {
    this.#faults.check('packages.openDatabase', root)
    for (const path of ['dev', 'etc/apk', 'lib/apk/db', 'var/cache/apk', 'var/cache/misc']) {
      await directoryIn({ files: this.#files }, root, path)
    }
    await directoryIn({ files: this.#files }, root, 'tmp', 0o1777)
    const database = new InstalledDatabase(
      this.#files,
      root,
      new Set(keep.map((path) => path.replace(/\/$/, ''))),
    )
    const id = this.#next()
    this.#databases.set(id, database)
    return { id, installed: database.stanzas() }
  }

  commit(database: number, request: CommitRequest): Promise<CommitResult> {
    return this.#inOrder(() => this.#commit(database, request))
  }

  #inOrder<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(work)
    this.#turn = done.then(
      () => {},
      () => {},
    )
    return done
  }

  async #commit(database: number, request: CommitRequest): Promise<CommitResult> {
    const operation = 'packages.commit'
    this.#faults.check(operation, request.name)
    const installed = this.#get(this.#databases, database, operation)
    const { content, directory, root } = this.#get(this.#stages, request.stage, operation)
    const unpacking = { files: this.#files, root, operation, subject: request.name }
    const conflicts: { path: string; owner: string }[] = []
    const directories = new Set<string>()
    const entries: TarEntry[] = []
    for (const [index, entry] of content.entries.entries()) {
      const name = safeName(entry.name, unpacking)
      if (name === undefined) continue
      const owned = this.#withOwner(root, entry)
      if (entry.type === 'directory') {
        directories.add(name)
        if (placeIn(unpacking, name).stats === undefined) {
          extract(unpacking, owned)
        }
        entries.push(owned)
        continue
      }
      const owner = installed.ownerOf(name)
      if (owner !== undefined && owner !== request.name) {
        if (request.yields.includes(owner)) continue
        if (!request.takes.includes(owner)) conflicts.push({ path: name, owner })
        installed.disown(name)
      }
      directories.add(parentOf(`/${name}`).slice(1))
      entries.push(owned)
      const there = placeIn(unpacking, name).stats !== undefined
      if (there && installed.keeps(name)) continue
      const staged = `${directory}/${index}`
      extract(unpacking, owned)
      await this.#files.remove(staged)
    }
    installed.enter({ ...request, checksum: content.checksum, scripts: content.scripts, entries })
    await this.discard(request.stage)
    return { conflicts, directories: [...directories].filter((each) => each !== ''), broken: [] }
  }

  enter(database: number, request: Pick<CommitRequest, 'name' | 'stanza'>): Promise<void> {
    return this.#inOrder(async () => {
      this.#faults.check('packages.enter', request.name)
      const installed = this.#get(this.#databases, database, 'packages.enter')
      installed.enter({ ...request, checksum: '', scripts: new Map(), entries: [] })
    })
  }

  async extractScript(stage: number, script: string, path: string): Promise<void> {
    const operation = 'packages.extractScript'
    await this.#writeScript(
      this.#get(this.#stages, stage, operation).content.scripts,
      script,
      path,
      operation,
    )
  }

  async extractInstalledScript(database: number, name: string, script: string, path: string): Promise<void> {
    const operation = 'packages.extractInstalledScript'
    const scripts = this.#get(this.#databases, database, operation).scriptsOf(name)
    await this.#writeScript(scripts, script, path, operation)
  }

  async #writeScript(
    scripts: ReadonlyMap<string, Buffer>,
    script: string,
    path: string,
    operation: string,
  ): Promise<void> {
    const content = scripts.get(script)
    if (content === undefined) throw refusal('ENOENT', operation, script)
    this.#files.write(path, content, { operation, mode: 0o755 })
    await this.#files.setMode(path, 0o755)
  }

  /** Directories have their modes and owners already. */
  async settleDirectories(database: number): Promise<void> {
    this.#get(this.#databases, database, 'packages.settleDirectories')
  }

  async discard(stage: number): Promise<void> {
    const { root, directory } = this.#get(this.#stages, stage, 'packages.discard')
    this.#stages.delete(stage)
    const last = ![...this.#stages.values()].some((other) => other.root === root)
    await this.#files.remove(last ? `${root}/.stage` : directory)
  }

  async writeDatabase(
    database: number,
    broken: readonly string[],
    untagged: readonly string[],
  ): Promise<void> {
    this.#faults.check('packages.writeDatabase', String(database))
    this.#get(this.#databases, database, 'packages.writeDatabase').write(new Set(broken), new Set(untagged))
  }

  keepIndex(index: ApkIndex): IndexHandle {
    const id = this.#next()
    this.#indexes.set(id, index)
    const signatures = index.signatures.map(({ keyName, algorithm }) => ({ keyName, algorithm }))
    return { id, packages: index.stanzas.length, description: index.description, signatures }
  }

  /** The files are written beside the root's own at once, so that a root that is too small says so here. */
  keepStage(root: string, content: ApkPackage, subject: string): StagedPackage {
    const id = this.#next()
    const directory = `${root}/.stage/${id}`
    const regular = content.entries.filter((entry) => entry.type === 'file')
    this.#files.makeDirectories(directory, 0o700)
    for (const [index, entry] of content.entries.entries()) {
      safeName(entry.name, { operation: 'pipeline.apk-stage', subject })
      if (entry.type === 'file')
        this.#files.write(`${directory}/${index}`, entry.content, { operation: 'pipeline.apk-stage' })
    }
    this.#stages.set(id, { root, directory, content })
    return {
      id,
      pkginfo: content.pkginfo,
      scripts: [...content.scripts.keys()],
      files: regular.length,
      installedBytes: regular.reduce((sum, entry) => sum + entry.content.length, 0),
    }
  }

  #withOwner(root: string, entry: TarEntry): TarEntry {
    const number = (file: string, name: string, otherwise: number) => {
      const line = this.#files
        .text(`${root}/etc/${file}`)
        ?.split('\n')
        .find((each) => each.startsWith(`${name}:`))
      return line === undefined ? otherwise : Number(line.split(':')[2])
    }
    return {
      ...entry,
      uid: number('passwd', entry.uname, entry.uid),
      gid: number('group', entry.gname, entry.gid),
    }
  }

  #get<T>(from: ReadonlyMap<number, T>, id: number, operation: string): T {
    const found = from.get(id)
    if (found === undefined) throw refusal('EBADF', operation, String(id), 'no such handle')
    return found
  }

  #next(): number {
    this.#id += 1
    return this.#id
  }
}

/** The name in a dependency or in what is provided: `so:libc.musl-x86_64.so.1=1`. */
function nameOf(atom: string): string {
  return atom.split(/[<>=~@]/)[0] ?? ''
}

function field(stanza: string, key: string): string | undefined {
  return stanza
    .split('\n')
    .find((line) => line.startsWith(`${key}:`))
    ?.slice(2)
}
