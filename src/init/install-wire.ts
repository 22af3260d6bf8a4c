/** What a boot server asks install.ts for, and what that answers. */

export interface InstallWanted {
  /** Where proc, sys and dev are mounted. */
  readonly root: string
  readonly arch: string
  /** Directories or URLs, with a tag (`@edge`) or none. */
  readonly repositories: readonly { readonly url: string; readonly tag?: string }[]
  /** Paths of the public keys by name. */
  readonly keys: Readonly<Record<string, string>>
  readonly world: readonly string[]
  /** Nothing is installed where something of the world cannot be had; else that is left out. */
  readonly whole?: boolean
  /** The listing of an overlay that is unpacked already. */
  readonly keep: readonly string[]
  /** Unpacked before, in place of `keep`. */
  readonly overlay?: { readonly path: string; readonly format: 'gunzip' | 'unzstd' }
}

export interface InstallAnswer {
  /** `NAME-VERSION`, in the order of installation. */
  readonly order: readonly string[]
  /** What a person would read, a line each. */
  readonly messages: readonly string[]
  /** Why nothing, or not everything, was installed: the chain of causes. */
  readonly failure?: readonly string[]
}

/** Before the answer, on standard error. */
export const mark = 'ANSWER '
