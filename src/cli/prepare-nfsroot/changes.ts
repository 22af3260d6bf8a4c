/** What a tree that many machines share must have otherwise than one on a disk: each change with its reason. */

import { sharedDevices } from './devices.ts'
import { diskTables, fileSystemTable } from './disk-tables.ts'
import { networkScripts, persistentNames, resolver } from './network.ts'
import { hostKeys, hostname, leases, machineId, passwords, randomSeeds } from './own.ts'
import type { Change, Look, Mode, Step } from './step.ts'
import { mtab, packageDatabases, selinux } from './system.ts'
import type { Tree } from './tree.ts'

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
