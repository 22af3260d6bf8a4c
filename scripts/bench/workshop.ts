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
import { type Booted, type BootOptions, bootOnce, type Clock } from './guest.ts'
import { Labs } from './labs.ts'
import { makePeer, type Peer } from './peers.ts'
import type { Figure, Subject } from './row.ts'
import { makeTarget, type Target } from './target.ts'

/** The server's name for the new system's directory. */
export const share = '/depot'

const memoryMb = 1024

/** Who boots: an initrd, and the words of the kernel command line that it wants. */
export interface Entrant {
  readonly name: string
  readonly isFloor?: boolean
  /** An Error: why there is none. */
  readonly file: string | Error
  readonly append: string
}

/** A standalone /init, and the lease keeper that goes with it. */
export interface BuiltInit {
  readonly init: string
  readonly keeper: string
}

export class Workshop {
  readonly directory: string
  /** Where those of the peers are made. */
  readonly peers: string
  readonly kernel: Kernel
  readonly catalog: Catalog
  readonly target: Target
  readonly clock: Clock
  readonly #init: BuiltInit | undefined
  readonly #labs: Labs
  readonly #ours = new Map<string, Promise<string>>()

  private constructor(directory: string, kernel: Kernel, clock: Clock, init: BuiltInit | undefined) {
    this.#init = init
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

  /** `init`: one that is built already. */
  static async open(clock: Clock, init?: BuiltInit): Promise<Workshop> {
    const directory = join(projectRoot, 'out/bench')
    mkdirSync(join(directory, 'peers'), { recursive: true })
    const kernel = await findKernel(await kernelDirectory(), undefined, [], cacheDirectory)
    return new Workshop(directory, kernel, clock, init)
  }

  /** What tells rows by this clock from those by the usual one. */
  get byClock(): { readonly id: string; readonly title: string; readonly alone: boolean } {
    return this.clock === 'instructions'
      ? { id: '', title: '', alone: false }
      : { id: '-tcg', title: ', by TCG’s clock', alone: true }
  }

  /** Our initrd with these groups of modules, and the keys in a directory. */
  ours(modules: readonly string[], keys?: string): Promise<string> {
    const name = [...modules, keys ?? ''].join(' ')
    const made = this.#ours.get(name) ?? this.#build(modules, keys === undefined ? [] : [keys], name)
    this.#ours.set(name, made)
    return made
  }

  async #build(modules: readonly string[], keys: readonly string[], name: string): Promise<string> {
    const digest = createHash('sha256').update(name).digest('hex').slice(0, 12)
    const out = join(this.directory, `ours-${digest}`)
    const { image, modules: kernel } = this.kernel
    return (await build({ kernel, image, modules, keys, out, ...this.#init })).initrd
  }

  /** In seconds, from the start of /init to that of the new system. */
  timed(entrant: Entrant, how: Partial<BootOptions> = {}): Subject {
    const { clock = this.clock, processors = 1 } = how
    return {
      name: entrant.name,
      isFloor: entrant.isFloor ?? false,
      basis: `${fingerprint(entrant)} ${clock} ${processors}`,
      measure: async () => figureOf(await this.boot(entrant, { memoryMb, clock, processors })),
    }
  }

  /** Who cannot be made here is told in the table, and does not keep the others from being measured. */
  async peer(peer: Peer, append: string, modules?: readonly string[]): Promise<Entrant> {
    const made = makePeer(peer, this.kernel, this.peers, modules)
    const file = await made.catch(
      (cause: unknown) => new Error(`its initrd could not be made: ${wordsOf(cause)}`),
    )
    return { name: peer.name, file, append }
  }

  async boot({ append, file }: Entrant, how: BootOptions): Promise<Booted> {
    if (file instanceof Error) throw file
    return this.#labs.use((lab) => bootOnce(lab, { kernel: this.kernel.image, initrd: file, append }, how))
  }

  stop(): Promise<void> {
    return this.#labs.stop()
  }
}

/** Another one for another initrd, and for other words. */
export function fingerprint({ append, file }: Pick<Entrant, 'append' | 'file'>): string {
  if (file instanceof Error) return 'none'
  return createHash('sha256').update(readFileSync(file)).update(append).digest('hex').slice(0, 12)
}

/** The end of what a program that failed said. */
function wordsOf(error: unknown): string {
  const said = error instanceof Error && 'stderr' in error ? String(error.stderr).trim() : ''
  const words = said === '' && error instanceof Error ? error.message : said
  return words.split('\n').at(-1) ?? ''
}

function figureOf({ init, spans, system }: Booted): Figure {
  if (spans === undefined) return { value: system - init }
  const parts = spans.phases.map(({ name, start, end }): [string, number] => [name, end - start])
  const last = Math.max(...spans.phases.map(({ end }) => end))
  const before: [string, number] = ['start of TypeScript', spans.script - init]
  return { value: system - init, parts: Object.fromEntries([before, ...parts, ['hand-over', system - last]]) }
}
