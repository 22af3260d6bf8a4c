/** What of a system does not bear a root that is read-only and comes by NFS. */

import { readdirSync } from 'node:fs'
import { rewrite } from './disk-tables.ts'
import type { Look, Step } from './step.ts'
import type { Tree } from './tree.ts'

/** mount(8) of old writes there. */
export const mtab: Look = (tree) => {
  const target = tree.linkAt('etc/mtab')
  if (target !== undefined && /proc\/(self\/)?mounts$/.test(target)) return undefined
  if (
    target === undefined &&
    tree.look('etc/mtab') === undefined &&
    !tree.has('sbin/mount') &&
    !tree.has('bin/mount')
  ) {
    return undefined
  }
  const why = 'it says what is mounted on one machine, and cannot be written on any'
  return { why, steps: [{ kind: 'link', path: tree.place('etc/mtab'), target: '/proc/mounts' }] }
}

/** The labels are in attributes, which NFS does not bring. */
export const selinux: Look = (tree) => {
  const former = tree.text('etc/selinux/config')
  if (former === undefined) return undefined
  const text = former.replace(/^SELINUX=enforcing\b/m, 'SELINUX=permissive')
  const why = 'NFS brings no labels: nothing would be allowed to start'
  return rewrite(tree, 'etc/selinux/config', former, text, { why })
}

/** With links /var is copied into the memory of each machine: the databases of packages are most of it. */
export const packageDatabases: Look = (tree, { links }) => {
  if (!links) return undefined
  const moved = ['var/lib/dpkg', 'var/lib/rpm', 'var/lib/pacman', 'var/lib/apt']
  const steps: Step[] = moved
    .filter((path) => tree.look(path)?.isDirectory() || isHalfMoved(tree, path))
    .map((path) => ({ kind: 'move', path: tree.place(path), to: `usr/${path}` }))
  const left = sizeOf(tree, 'var') - steps.reduce((total, { path }) => total + sizeOf(tree, path), 0)
  return {
    why: 'with links, all of /var is copied into the memory of each machine',
    steps,
    ...(left < 32e6
      ? {}
      : { note: `/var has ${(left / 1e6).toFixed(0)} MB, which each machine copies into its memory.` }),
  }
}

/** It was broken off before the symlink was made. */
function isHalfMoved(tree: Tree, path: string): boolean {
  return tree.look(path) === undefined && tree.look(`usr/${path}`)?.isDirectory() === true
}

function sizeOf(tree: Tree, path: string): number {
  if (!tree.look(path)?.isDirectory()) return 0
  let bytes = 0
  for (const name of readdirSync(tree.at(path))) {
    const found = tree.look(`${path}/${name}`)
    if (found?.isFile()) bytes += found.size
    else if (found?.isDirectory()) bytes += sizeOf(tree, `${path}/${name}`)
  }
  return bytes
}
