/**
 * Packages on their way: several are fetched, checked and unpacked beside the root at once, and handed over in the
 * order of installation. Some of them are those that come next, what is installed at once; the others are the biggest,
 * which take longest over a network, as far ahead as the limits allow.
 */

import type { FetchOptions } from '../network/fetch.ts'
import type { Packages, StagedPackage } from '../sys/index.ts'
import type { SelectedPackage } from './select.ts'

export interface StagingLimits {
  /** Fetches at the same time. */
  readonly parallel: number
  /** Of these, those that come next; the others are the biggest. */
  readonly soonest: number
  /** How many packages after the next one may be begun. */
  readonly lookAhead: number
  /** Bytes, unpacked, that may wait for their turn. */
  readonly bytesAhead: number
}

const AHEAD = { lookAhead: 48, bytesAhead: 64 * 1024 * 1024 }

/**
 * A connection's first hundred kilobytes are a matter of round trips, however fast the network: that many at once make
 * few of them.
 */
export const NETWORK_STAGING: StagingLimits = { parallel: 16, soonest: 8, ...AHEAD }

/** From files it is the processor that is waited for: what comes next gets it. */
export const LOCAL_STAGING: StagingLimits = { parallel: 3, soonest: 3, ...AHEAD }

/** Of the machine, what throws a stage away. */
export interface StageHolder {
  readonly packages: Pick<Packages, 'discard'>
}

/** Fetches one package into a stage, and gives what the caller made of it. */
export type StageOne<S> = (pkg: SelectedPackage, options: FetchOptions) => Promise<S>

export class Staging<S extends Pick<StagedPackage, 'id'>> {
  readonly #sys: StageHolder
  readonly #packages: readonly SelectedPackage[]
  readonly #stage: StageOne<S>
  readonly #limits: StagingLimits
  readonly #over = new AbortController()
  readonly #signal: AbortSignal
  readonly #onBytes: (bytes: number) => void
  readonly #begun = new Map<number, Promise<S>>()
  readonly #running = new Set<number>()
  /** Of those that run: begun because they come next. */
  readonly #soon = new Set<number>()
  readonly #received = new Map<number, number>()
  /** Not begun yet. */
  #left: number
  #bytes = 0
  #failure: { readonly cause: unknown } | undefined
  /** The one that is installed next. */
  #position = 0
  #aheadBytes = 0

  constructor(
    sys: StageHolder,
    packages: readonly SelectedPackage[],
    stage: StageOne<S>,
    options: {
      readonly limits: StagingLimits
      readonly signal: AbortSignal
      readonly onBytes: (bytes: number) => void
    },
  ) {
    this.#sys = sys
    this.#packages = packages
    this.#stage = stage
    this.#limits = options.limits
    this.#left = packages.length
    this.#signal = AbortSignal.any([options.signal, this.#over.signal])
    this.#onBytes = options.onBytes
  }

  /** The stage of package `n`; to be called with 0, 1, 2, … Rejects with the first failure of any of them. */
  async take(n: number): Promise<S> {
    this.#position = n
    this.#fill()
    const stage = await this.#arrival(n)
    this.#begun.delete(n)
    this.#aheadBytes -= this.#installedSize(n)
    this.#position = n + 1
    this.#fill()
    return stage
  }

  async #arrival(n: number): Promise<S> {
    if (this.#failure !== undefined) throw this.#failure.cause
    const begun = this.#begun.get(n)
    if (begun === undefined) {
      this.#signal.throwIfAborted()
      throw new Error(`package ${n} of ${this.#packages.length} is not on its way`)
    }
    try {
      return await begun
    } catch (error) {
      throw this.#firstFailure()?.cause ?? error
    }
  }

  #firstFailure(): { readonly cause: unknown } | undefined {
    return this.#failure
  }

  /** Ends what is on its way and throws away what was not taken. */
  async abandon(): Promise<void> {
    this.#over.abort()
    const left = await Promise.allSettled(this.#begun.values())
    this.#begun.clear()
    for (const each of left) {
      if (each.status === 'fulfilled') await this.#sys.packages.discard(each.value.id)
    }
  }

  #fill(): void {
    while (this.#running.size < this.#limits.parallel && !this.#signal.aborted) {
      const next = this.#next()
      if (next === undefined) return
      this.#begin(next)
    }
  }

  #next(): number | undefined {
    if (this.#left === 0) return undefined
    const { soonest, bytesAhead, lookAhead } = this.#limits
    const end = Math.min(this.#packages.length, this.#position + lookAhead)
    let first: number | undefined
    let biggest: number | undefined
    for (let n = this.#position; n < end; n++) {
      if (this.#begun.has(n)) continue
      const fits = this.#aheadBytes + this.#installedSize(n) <= bytesAhead
      if (first === undefined) {
        first = n
        if (n === this.#position || (fits && this.#soon.size < soonest)) {
          this.#soon.add(n)
          return n
        }
      }
      if (fits && (biggest === undefined || this.#size(n) > this.#size(biggest))) biggest = n
    }
    return biggest
  }

  #size(n: number): number {
    return this.#packages[n]?.size ?? 0
  }

  #installedSize(n: number): number {
    return this.#packages[n]?.installedSize ?? 0
  }

  #begin(n: number): void {
    const pkg = this.#packages[n]
    if (pkg === undefined) return
    this.#left--
    this.#running.add(n)
    this.#aheadBytes += pkg.installedSize
    const staged = this.#stage(pkg, {
      signal: this.#signal,
      onProgress: ({ bytes }) => this.#count(n, bytes),
    }).then((stage) => {
      this.#count(n, pkg.size)
      return stage
    })
    this.#begun.set(n, staged)
    // Its turn may never come: this is where its failure is handled.
    staged.then(
      () => this.#end(n),
      (cause: unknown) => this.#fail(cause),
    )
  }

  #end(n: number): void {
    this.#running.delete(n)
    this.#soon.delete(n)
    this.#fill()
  }

  #fail(cause: unknown): void {
    this.#failure ??= { cause }
    this.#over.abort()
  }

  #count(n: number, bytes: number): void {
    this.#bytes += bytes - (this.#received.get(n) ?? 0)
    this.#received.set(n, bytes)
    this.#onBytes(this.#bytes)
  }
}
