/** `sys.modules` of the fake machine: drivers, and the file systems that the kernel knows with them. */

import type { ErrorCode, Modules } from '../../../src/sys/index.ts'
import type { VirtualClock } from './clock.ts'
import { type Faults, refusal } from './faults.ts'

export interface ModuleScript {
  /** As in modules.alias: `virtio:d00000001v*`. */
  readonly aliases?: readonly string[]
  readonly dependencies?: readonly string[]
  readonly loadMs?: number
  readonly fails?: { readonly code: ErrorCode; readonly message?: string }
}

export class FakeModules implements Modules {
  /** In the order in which they were loaded, with their parameters. */
  readonly loaded = new Map<string, string>()
  /** Whether files go away once they are loaded. */
  discards = false
  readonly #clock: VirtualClock
  readonly #faults: Faults
  readonly #scripts: Readonly<Record<string, ModuleScript>>
  readonly #arrived: (name: string) => void
  readonly #loading = new Map<string, Promise<void>>()

  constructor(options: {
    readonly clock: VirtualClock
    readonly faults: Faults
    readonly scripts: Readonly<Record<string, ModuleScript>>
    readonly arrived: (name: string) => void
  }) {
    this.#clock = options.clock
    this.#faults = options.faults
    this.#scripts = options.scripts
    this.#arrived = options.arrived
  }

  async discardLoaded(): Promise<void> {
    this.discards = true
  }

  async match(modaliases: readonly string[]): Promise<readonly string[]> {
    return [...new Set(modaliases.flatMap((modalias) => this.#byAlias(modalias)))]
  }

  async load(name: string, parameters = ''): Promise<void> {
    this.#faults.check('modules.load', name)
    const wanted = this.named(name)
    if (wanted.length === 0) throw refusal('ENOENT', 'modules.load', name, 'no such module in the initrd')
    for (const each of wanted) await this.#insert(each, parameters)
  }

  /** The initrd's modules of that name or alias. */
  named(name: string): readonly string[] {
    const plain = name.replaceAll('-', '_')
    return this.#scripts[plain] === undefined ? this.#byAlias(name) : [plain]
  }

  #byAlias(alias: string): string[] {
    return Object.keys(this.#scripts).filter((name) =>
      this.#scripts[name]?.aliases?.some((pattern) => globToRegExp(pattern).test(alias)),
    )
  }

  #insert(name: string, parameters: string): Promise<void> {
    const known = this.#loading.get(name)
    if (known !== undefined) return known
    const loading = this.#insertOnce(name, parameters)
    this.#loading.set(name, loading)
    loading.catch(() => this.#loading.delete(name))
    return loading
  }

  async #insertOnce(name: string, parameters: string): Promise<void> {
    const script = this.#scripts[name]
    if (script === undefined) throw refusal('ENOENT', 'modules.load', name, 'no such module in the initrd')
    for (const dependency of script.dependencies ?? []) await this.#insert(dependency, '')
    if (script.loadMs !== undefined) await this.#clock.sleep(script.loadMs)
    if (script.fails) throw refusal(script.fails.code, 'modules.load', name, script.fails.message)
    this.loaded.set(name, parameters)
    this.#arrived(name)
  }
}

/** fnmatch(3), as depmod's tables need it. */
function globToRegExp(pattern: string): RegExp {
  const source = pattern
    .replace(/[.+^${}()|\\]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.')
  return new RegExp(`^${source}$`)
}
