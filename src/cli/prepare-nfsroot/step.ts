/** What is done to a tree, in steps that can each be undone, and who looks whether it is needed. */

import type { Tree } from './tree.ts'

export type Step =
  | {
      readonly kind: 'write'
      readonly path: string
      readonly content: string | Buffer
      readonly mode?: number
    }
  | { readonly kind: 'link'; readonly path: string; readonly target: string }
  | { readonly kind: 'remove'; readonly path: string }
  /** A directory goes elsewhere in the tree, and a symlink is in its place. */
  | { readonly kind: 'move'; readonly path: string; readonly to: string }

export interface Change {
  /** By which it can be left out. */
  readonly name: string
  /** Why a shared tree needs it. */
  readonly why: string
  readonly steps: readonly Step[]
}

export interface Mode {
  /** diskless.nfsroot=links: /etc is read-only on the machines, and /var a copy in their memory. */
  readonly links: boolean
}

export interface Finding {
  readonly why: string
  readonly steps: readonly Step[]
  /** What a person should know, done or not. */
  readonly note?: string
}

/** Undefined: there is nothing to be changed. */
export type Look = (tree: Tree, mode: Mode) => Finding | undefined
