/**
 * Packages on their way: several are fetched, checked and unpacked beside the root at once, and handed over in the
 * order of installation. What comes next is always on its way; beyond that the biggest ones start first, as far ahead
 * as the limits allow.
 */

import type { FetchOptions } from '../network/fetch.ts'
import type { Packages, StagedPackage } from '../sys/index.ts'
import type { SelectedPackage } from './select.ts'

export interface StagingLimits {
  /** Fetches at the same time. */
  readonly parallel: number
  /** How many packages after the next one may be begun. */
  readonly lookAhead: number
  /** Bytes, unpacked, that may wait for their turn. */
  readonly bytesAhead: number
}

export const DEFAULT_STAGING: StagingLimits = { parallel: 6, lookAhead: 48, bytesAhead: 64 * 1024 * 1024 }

/** Of the machine, what throws a stage away. */
export interface StageHolder {
  readonly packages: Pick<Packages, 'discard'>
}

/** Fetches one package into a stage. */
export type StageOne = (pkg: SelectedPackage, options: FetchOptions) => Promise<StagedPackage>

export class Staging {
  readonly #sys: StageHolder
  readonly #packages: readonly SelectedPackage[]
  readonly #stage: StageOne
  readonly #limits: StagingLimits
  readonly #over = new AbortController()
  readonly #signal: AbortSignal
  readonly #onBytes: (bytes: number) => void
  readonly #begun = new Map<number, Promise<StagedPackage>>()
  readonly #running = new Set<number>()
  readonly #received = new Map<number, number>()
  #bytes = 0
  #failure: { readonly cause: unknown } | undefined
  /** The one that is installed next. */
  #position = 0
  #aheadBytes = 0

  constructor(
    sys: StageHolder,
    packages: readonly SelectedPackage[],
    stage: StageOne,
    options: {
      readonly limits?: StagingLimits
      readonly signal: AbortSignal
      readonly onBytes: (bytes: number) => void
    },
  ) {
    this.#sys = sys
    this.#packages = packages
    this.#stage = stage
    this.#limits = options.limits ?? DEFAULT_STAGING
    this.#signal = AbortSignal.any([options.signal, this.#over.signal])
    this.#onBytes = options.onBytes
  }

  /** The stage of package `n`; to be called with 0, 1, 2, … Rejects with the first failure of any of them. */
  async take(n: number): Promise<StagedPackage> {
    this.#position = n
    this.#fill()
    const stage = await this.#arrival(n)
    this.#begun.delete(n)
    this.#aheadBytes -= this.#installedSize(n)
    this.#position = n + 1
    this.#fill()
    return stage
  }

  async #arrival(n: number): Promise<StagedPackage> {
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
    const waiting: number[] = []
    const end = Math.min(this.#packages.length, this.#position + this.#limits.lookAhead)
    for (let n = this.#position; n < end; n++) if (!this.#begun.has(n)) waiting.push(n)
    const first = waiting[0]
    if (first === undefined || first === this.#position) return first
    const fits = waiting.filter((n) => this.#aheadBytes + this.#installedSize(n) <= this.#limits.bytesAhead)
    // One of those on their way is always the next in order; the others are the biggest.
    const soonest = Math.min(...this.#running)
    if (first < soonest && fits.includes(first)) return first
    return fits.reduce<number | undefined>(
      (best, n) => (best === undefined || this.#size(n) > this.#size(best) ? n : best),
      undefined,
    )
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
