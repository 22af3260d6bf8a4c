/** What packages.ts asks the engine for, and what that answers. */

export interface EngineRequest {
  readonly root: string
  readonly arch: string
  /** A directory, or a URL. */
  readonly repository: string
  /** The directory of the public keys. */
  readonly keys: string
  readonly world: readonly string[]
}

/** Told on standard error, after `mark`. */
export interface EngineAnswer {
  readonly packages: number
  /** Bytes of the package files. */
  readonly bytes: number
  /** The process's peak of memory, kB of 1024: VmHWM of proc(5). */
  readonly peakKb: number
  /** By clock.now, milliseconds: from the first line until the index was there, the world chosen, everything installed. */
  readonly indexMs: number
  readonly chosenMs: number
  readonly installedMs: number
}

export const mark = 'BENCH '
