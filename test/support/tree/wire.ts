/** What engine.ts asks in-engine.ts for, and what that answers. */

export interface InstallWanted {
  /** Where proc, sys and dev are mounted. */
  readonly root: string
  readonly arch: string
  /** Directories or URLs, with a tag (`@edge`) or none. */
  readonly repositories: readonly { readonly url: string; readonly tag?: string }[]
  /** Paths of the public keys by name. */
  readonly keys: Readonly<Record<string, string>>
  readonly world: readonly string[]
  /** The overlay's listing. */
  readonly keep: readonly string[]
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
