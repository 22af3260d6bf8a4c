/** What contests are made of: the kernel, the new system, the initrds, and boots of them by the bench's clock. */

import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Catalog, readCatalog } from '../../build/catalog.ts'
import { build } from '../../build/index.ts'
import { findKernel, type Kernel } from '../../build/kernel.ts'
import { cacheDirectory } from '../../build/paths.ts'
import { kernelDirectory } from '../kernel.ts'
import { projectRoot } from '../processes.ts'
import { type Boot, type Booted, bootOnce, type Clock } from './guest.ts'
import { Labs } from './labs.ts'
import type { Figure, Subject } from './row.ts'
import { makeTarget, type Target } from './target.ts'

/** The server's name for the new system's directory. */
export const share = '/depot'

const memoryMb = 1024

export interface Initrd {
  readonly file: string
  /** Of the kernel command line. */
  readonly append: string
}

export class Workshop {
  readonly directory: string
  /** Where those of the peers are made. */
  readonly peers: string
  readonly kernel: Kernel
  readonly catalog: Catalog
  readonly target: Target
  readonly clock: Clock
  readonly #labs: Labs
  readonly #ours = new Map<string, Promise<string>>()

  private constructor(directory: string, kernel: Kernel, clock: Clock) {
    this.directory = directory
    this.peers = join(directory, 'peers')
    this.kernel = kernel
    this.catalog = readCatalog(kernel.modules, cacheDirectory)
    this.target = makeTarget(directory)
    this.clock = clock
    this.#labs = new Labs({
      http: this.target.served,
      exports: [{ path: this.target.tree, pseudo: share, access: 'ro' }],
      dhcp: { rootPath: share },
    })
  }

  static async open(clock: Clock): Promise<Workshop> {
    const directory = join(projectRoot, 'out/bench')
    mkdirSync(join(directory, 'peers'), { recursive: true })
    return new Workshop(
      directory,
      await findKernel(await kernelDirectory(), undefined, [], cacheDirectory),
      clock,
    )
  }

  /** Our initrd with these groups of modules; what else takes up room as anybody's has it. */
  ours(modules: readonly string[]): Promise<string> {
    const name = modules.join('-')
    const made = this.#ours.get(name) ?? this.#build(modules, name)
    this.#ours.set(name, made)
    return made
  }

  async #build(modules: readonly string[], name: string): Promise<string> {
    const digest = createHash('sha256').update(name).digest('hex').slice(0, 12)
    const out = join(this.directory, `ours-${digest}`)
    return (await build({ kernel: this.kernel.modules, image: this.kernel.image, modules, out })).initrd
  }

  /** In seconds, from the start of /init to that of the new system. */
  timed(name: string, { append, file }: Initrd, isFloor = false): Subject {
    const measure = async () =>
      figureOf(await this.boot({ initrd: file, append, memoryMb, clock: this.clock }))
    return { name, isFloor, basis: `${digestOf(file)} ${this.clock} ${append}`, measure }
  }

  boot(boot: Omit<Boot, 'kernel'>): Promise<Booted> {
    return this.#labs.use((lab) => bootOnce(lab, { ...boot, kernel: this.kernel.image }))
  }

  stop(): Promise<void> {
    return this.#labs.stop()
  }
}

export function digestOf(file: string): string {
  return createHash('sha256').update(readFileSync(file)).digest('hex').slice(0, 12)
}

function figureOf({ init, spans, system }: Booted): Figure {
  if (spans === undefined) return { value: system - init }
  const parts = spans.phases.map(({ name, start, end }): [string, number] => [name, end - start])
  const last = Math.max(...spans.phases.map(({ end }) => end))
  const before: [string, number] = ['start of TypeScript', spans.script - init]
  return { value: system - init, parts: Object.fromEntries([before, ...parts, ['hand-over', system - last]]) }
}
