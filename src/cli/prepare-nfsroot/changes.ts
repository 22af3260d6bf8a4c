/** What a tree that many machines share must have otherwise than one on a disk: each change with its reason. */

import { sharedDevices } from './devices.ts'
import { diskTables, fileSystemTable } from './disk-tables.ts'
import { networkScripts, persistentNames, resolver } from './network.ts'
import { hostKeys, hostname, leases, machineId, passwords, randomSeeds } from './own.ts'
import { mtab, packageDatabases, selinux } from './system.ts'
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

/** By name, in the order in which they are made. */
export const looks: Readonly<Record<string, Look>> = {
  fstab: fileSystemTable,
  crypttab: diskTables,
  mtab,
  resolver,
  'machine-id': machineId,
  hostname,
  'host-keys': hostKeys,
  passwords,
  'random-seed': randomSeeds,
  leases,
  'persistent-names': persistentNames,
  'network-scripts': networkScripts,
  selinux,
  'package-database': packageDatabases,
  devices: sharedDevices,
}

export interface Plan {
  readonly changes: readonly Change[]
  readonly notes: readonly string[]
}

/** `kept`: names of changes that nobody wants. */
export function planChanges(tree: Tree, mode: Mode, kept: readonly string[]): Plan {
  const changes: Change[] = []
  const notes: string[] = []
  for (const [name, look] of Object.entries(looks)) {
    if (kept.includes(name)) continue
    const finding = look(tree, mode)
    if (finding === undefined) continue
    const { why, steps, note } = finding
    if (note !== undefined) notes.push(note)
    if (steps.length > 0) changes.push({ name, why, steps })
  }
  return { changes, notes }
}

export function tellStep(step: Step): string {
  switch (step.kind) {
    case 'write':
      return `writes /${step.path}`
    case 'link':
      return `makes /${step.path} a symlink to ${step.target}`
    case 'remove':
      return `removes /${step.path}`
    case 'move':
      return `moves /${step.path} to /${step.to}, with a symlink in its place`
  }
}
