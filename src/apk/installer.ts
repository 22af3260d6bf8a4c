/**
 * Installs a selection into a root. Fetching, checking and unpacking overlap; what decides the result, the moving of
 * files into the root and the scripts, goes in the order of the packages, one after the other, as apk does it.
 */

import { showBytes } from '../boot/format.ts'
import type { Fetch, FetchOptions } from '../network/fetch.ts'
import { writeIn } from '../root/in-root.ts'
import type { CommitRequest, CommitResult, DatabaseHandle, Filter, StagedPackage, Sys } from '../sys/index.ts'
import { BootError, hasCode, SysError } from '../sys/index.ts'
import { Commits } from './commits.ts'
import { InstalledOwners, ownerOfStanza } from './pkginfo.ts'
import { type Prepared, prepare } from './prepare.ts'
import type { ScriptFailure, ScriptKind } from './scripts.ts'
import { placeOf, runScript } from './scripts.ts'
import type { SelectedPackage, Selection } from './select.ts'
import { checkSpace, roomAdvice } from './space.ts'
import type { StagingLimits } from './staging.ts'
import { LOCAL_STAGING, NETWORK_STAGING, Staging } from './staging.ts'
import { field, installedStanza } from './stanza.ts'
import { Directories } from './triggers.ts'
import type { World } from './world.ts'
import { formatWorld } from './world.ts'

export interface InstallRequest {
  /** Where proc, dev and sys are mounted already, for the scripts. */
  readonly root: string
  readonly arch: string
  readonly world: World
  readonly selection: Selection
  /** Where the file of a package is, the preferred place first. */
  readonly placesOf: (pkg: SelectedPackage) => readonly string[]
  /** The overlay's listing, as a tree sink gives it: these paths keep the overlay's file. */
  readonly keep: readonly string[]
  readonly fetch: Fetch
  readonly limits?: StagingLimits
}

/** For a progress bar. */
export interface InstallProgress {
  /** Of the package files. */
  readonly bytes: number
  readonly totalBytes: number
  readonly packages: number
  readonly totalPackages: number
  /** What is being installed. */
  readonly name: string
}

export interface InstallOptions {
  readonly signal?: AbortSignal
  readonly onProgress?: (progress: InstallProgress) => void
  readonly onRetry?: FetchOptions['onRetry']
  readonly onBreak?: FetchOptions['onBreak']
  readonly memory?: FetchOptions['memory']
  /** `Executing busybox-1.36.1-r15.post-install`, conflicts, failures: a line each, as they happen. */
  readonly onMessage?: (text: string) => void
}

export interface InstallReport {
  readonly packages: number
  /** Bytes of the package files. */
  readonly bytes: number
  readonly scriptFailures: readonly ScriptFailure[]
  /** Files that two packages have, and neither replaces the other: the later one's is there. */
  readonly conflicts: readonly { readonly path: string; readonly package: string; readonly owner: string }[]
  /** What is not as a package has it, a sentence each. */
  readonly broken: readonly { readonly package: string; readonly what: string }[]
}

const SIZE_SLACK = 64 * 1024

/** Rejects with a `BootError`; failed scripts, conflicts and files that find no place it reports and goes on, as apk does. */
export async function installWorld(
  sys: Sys,
  request: InstallRequest,
  options: InstallOptions = {},
): Promise<InstallReport> {
  const database = await sys.packages.openDatabase(request.root, request.keep)
  const packages = missingFrom(database, request.selection.packages)
  await checkSpace(sys, request.root, packages)
  return new Installation(sys, request, options, database, packages).run()
}

/** What is installed already stays; of another version of it, we would have to know what to remove. */
function missingFrom(database: DatabaseHandle, packages: readonly SelectedPackage[]): SelectedPackage[] {
  const installed = new Map(database.installed.map((stanza) => [field(stanza, 'P'), field(stanza, 'C')]))
  for (const { name, checksum } of packages) {
    const other = installed.get(name)
    if (other === undefined || other === checksum) continue
    throw new BootError(
      `lib/apk/db/installed in the new root lists another ${name} than the repositories have`,
      {
        advice: ['Leave lib/apk out of the overlay: what is installed is written anew at every boot.'],
      },
    )
  }
  return packages.filter(({ name }) => !installed.has(name))
}

class Installation {
  readonly #sys: Sys
  readonly #request: InstallRequest
  readonly #options: InstallOptions
  readonly #signal: AbortSignal
  readonly #database: number
  readonly #packages: readonly SelectedPackage[]
  readonly #totalBytes: number
  readonly #owners: InstalledOwners
  readonly #directories = new Directories()
  /** In the order of installation. */
  readonly #triggers: { readonly pkg: SelectedPackage; readonly watched: readonly string[] }[] = []
  readonly #scriptFailures: ScriptFailure[] = []
  /** Packages of which a script failed. */
  readonly #failed = new Set<string>()
  readonly #broken: { package: string; what: string }[] = []
  readonly #conflicts: { path: string; package: string; owner: string }[] = []
  readonly #commits = new Commits()
  /** Of the package that is being installed, until its commit is asked for, which ends it. */
  #stage: StagedPackage | undefined
  /** Since the last commit. */
  #scriptRan = false
  #bytes = 0
  /** Packages that are committed. */
  #done = 0

  constructor(
    sys: Sys,
    request: InstallRequest,
    options: InstallOptions,
    { id, installed }: DatabaseHandle,
    packages: readonly SelectedPackage[],
  ) {
    this.#sys = sys
    this.#request = request
    this.#options = options
    this.#signal = options.signal ?? new AbortController().signal
    this.#database = id
    this.#owners = new InstalledOwners(installed.map(ownerOfStanza))
    this.#packages = packages
    this.#totalBytes = packages.reduce((sum, { size }) => sum + size, 0)
    for (const path of request.keep) this.#directories.add(path.slice(0, path.lastIndexOf('/') + 1))
  }

  async run(): Promise<InstallReport> {
    const staged = this.#packages.filter((pkg) => !isEmpty(pkg))
    const staging = new Staging(this.#sys, staged, (pkg, options) => this.#fetch(pkg, options), {
      limits: this.#request.limits ?? this.#usualLimits(staged),
      signal: this.#signal,
      onBytes: (bytes) => {
        this.#bytes = bytes
        this.#tellProgress()
      },
    })
    try {
      let taken = 0
      for (const pkg of this.#packages) {
        if (isEmpty(pkg)) this.#enter(pkg)
        else {
          const prepared = await staging.take(taken++)
          this.#stage = prepared.stage
          await this.#install(pkg, prepared)
        }
      }
      await this.#commits.done()
    } catch (error) {
      await staging.abandon()
      await this.#commits.ended()
      if (this.#stage !== undefined) await this.#sys.packages.discard(this.#stage.id)
      throw await this.#explained(error)
    }
    await this.#sys.packages.settleDirectories(this.#database)
    // What failed so far failed while it was installed.
    const untagged = [...this.#failed]
    await this.#runTriggers()
    const { arch, root, world } = this.#request
    await Promise.all([
      writeIn(this.#sys, root, 'etc/apk/arch', `${arch}\n`),
      writeIn(this.#sys, root, 'etc/apk/world', formatWorld(world)),
      this.#sys.packages.writeDatabase(this.#database, [...this.#failed], untagged),
    ])
    return {
      packages: this.#done,
      bytes: this.#bytes,
      scriptFailures: this.#scriptFailures,
      conflicts: this.#conflicts,
      broken: this.#broken,
    }
  }

  #usualLimits(packages: readonly SelectedPackage[]): StagingLimits {
    const local = packages.every((pkg) => this.#request.placesOf(pkg)[0]?.startsWith('/') === true)
    return local ? LOCAL_STAGING : NETWORK_STAGING
  }

  #enter(pkg: SelectedPackage): void {
    const extras = { replaces: undefined, replacesPriority: 0, tag: pkg.tag }
    const stanza = installedStanza(pkg.stanza, extras)
    this.#commits.ask(
      () => this.#sys.packages.enter(this.#database, { name: pkg.name, stanza }),
      () => this.#count(),
    )
  }

  async #fetch(pkg: SelectedPackage, options: FetchOptions): Promise<Prepared> {
    const { fetch, root, placesOf } = this.#request
    const { onRetry, onBreak, memory } = this.#options
    const { stage } = await fetch(
      this.#sys,
      {
        what: `the package ${labelOf(pkg)}`,
        urls: placesOf(pkg),
        filters: checksOf(pkg),
        sink: {
          kind: 'apk-stage',
          root,
          checksum: pkg.checksum,
          ...(pkg.sha256 === undefined ? {} : { digested: true }),
        },
      },
      {
        ...options,
        ...(onRetry === undefined ? {} : { onRetry }),
        ...(onBreak === undefined ? {} : { onBreak }),
        ...(memory === undefined ? {} : { memory }),
      },
    )
    return prepare(pkg, stage)
  }

  async #install(pkg: SelectedPackage, { stage, info, owner, stanza }: Prepared): Promise<void> {
    if (stage.scripts.includes('pre-install')) {
      await this.#commits.done()
      await this.#run(pkg, 'pre-install', [pkg.version], (path) =>
        this.#sys.packages.extractScript(stage.id, 'pre-install', path),
      )
    }
    const request: CommitRequest = {
      stage: stage.id,
      name: pkg.name,
      stanza,
      ...this.#owners.settle(owner),
      ...(info.triggers === undefined ? {} : { triggers: info.triggers }),
      scriptRan: this.#scriptRan,
    }
    this.#scriptRan = false
    this.#owners.add(owner)
    this.#commits.ask(
      () => this.#sys.packages.commit(this.#database, request),
      (result) => this.#committed(pkg, result),
    )
    this.#stage = undefined
    if (stage.scripts.includes('post-install')) {
      await this.#commits.done()
      await this.#runInstalled(pkg, 'post-install', [pkg.version])
    }
    if (info.triggers !== undefined && stage.scripts.includes('trigger')) {
      this.#triggers.push({ pkg, watched: info.triggers })
    }
  }

  #committed(pkg: SelectedPackage, { broken, conflicts, directories }: CommitResult): void {
    for (const directory of directories) this.#directories.add(directory)
    for (const { path, owner: other } of conflicts) {
      this.#conflicts.push({ path, package: labelOf(pkg), owner: other })
      this.#options.onMessage?.(`${labelOf(pkg)}: overwriting ${path} owned by ${other}`)
    }
    for (const what of broken) {
      this.#broken.push({ package: labelOf(pkg), what })
      this.#options.onMessage?.(`${labelOf(pkg)}: ${what}`)
    }
    this.#count()
  }

  #count(): void {
    this.#done++
    this.#tellProgress()
  }

  #runInstalled(pkg: SelectedPackage, kind: ScriptKind, values: readonly string[]): Promise<void> {
    return this.#run(pkg, kind, values, (path) =>
      this.#sys.packages.extractInstalledScript(this.#database, pkg.name, kind, path),
    )
  }

  async #run(
    pkg: SelectedPackage,
    kind: ScriptKind,
    values: readonly string[],
    extract: (path: string) => Promise<void>,
  ): Promise<void> {
    const script = await placeOf(this.#sys, this.#request.root, labelOf(pkg), kind)
    await extract(script.path)
    this.#options.onMessage?.(`Executing ${script.package}.${script.kind}`)
    const failure = await runScript(this.#sys, this.#request.root, script, values, this.#signal)
    if (failure === undefined) {
      this.#scriptRan = true
      return
    }
    this.#failed.add(pkg.name)
    this.#scriptFailures.push(failure)
    const how = failure.status === undefined ? 'could not run' : `exited with error ${failure.status}`
    const said = failure.output.trim()
    this.#options.onMessage?.(
      `${script.package}.${script.kind}: script ${how}${said === '' ? '' : `: ${said}`}`,
    )
  }

  /** Every package is new, so each trigger hears of all the directories that it watches, not only of changed ones. */
  async #runTriggers(): Promise<void> {
    for (const { pkg, watched } of this.#triggers) {
      const directories = this.#directories.matching(watched)
      if (directories.length > 0) await this.#runInstalled(pkg, 'trigger', directories)
    }
  }

  /** Errors of the host get the package's name, and the numbers when there is no room. */
  async #explained(cause: unknown): Promise<unknown> {
    const pkg = this.#packages[this.#done]
    if (pkg === undefined || this.#signal.aborted || !(cause instanceof SysError)) return cause
    if (!hasCode(cause, 'ENOSPC')) return new BootError(`${labelOf(pkg)} cannot be installed`, { cause })
    const { free, total } = await this.#sys.files.space(this.#request.root)
    return new BootError(
      `${labelOf(pkg)} takes ${showBytes(pkg.installedSize)}, and the new root has ${showBytes(free)} free of ${showBytes(total)}`,
      { cause, advice: roomAdvice },
    )
  }

  #tellProgress(): void {
    this.#options.onProgress?.({
      bytes: this.#bytes,
      totalBytes: this.#totalBytes,
      packages: this.#done,
      totalPackages: this.#packages.length,
      name: this.#packages[this.#done]?.name ?? '',
    })
  }
}

/**
 * No server may fill the memory with more than the signed index says. Another package of about that size gets past: that its
 * checksum is wrong says more than that it is too long.
 */
function checksOf({ size, sha256 }: SelectedPackage): readonly Filter[] {
  const limit: Filter = { kind: 'limit', bytes: 2 * size + SIZE_SLACK }
  return sha256 === undefined ? [limit] : [limit, { kind: 'digest', algorithm: 'sha256', expected: sha256 }]
}

/**
 * Without a file, says the index: then apk does not even look at the package's own file, if it has one. Those of
 * `apk add --virtual` have none: a name for what they depend on.
 */
function isEmpty({ installedSize }: SelectedPackage): boolean {
  return installedSize === 0
}

function labelOf({ name, version }: { readonly name: string; readonly version: string }): string {
  return `${name}-${version}`
}
