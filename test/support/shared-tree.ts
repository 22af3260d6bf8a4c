/** The demo as `diskless prepare-nfsroot --install` makes it, for many machines to share. Needs root. */

import { execFile } from 'node:child_process'
import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { makeOverlay, world } from '../../scripts/repository/overlay.ts'

const diskless = fileURLToPath(new URL('../../bin/diskless', import.meta.url))

/** In `directory`, which is made. Resolves with the tree's path. */
export async function sharedTree(demo: string, directory: string): Promise<string> {
  mkdirSync(directory)
  const overlay = join(directory, 'shared.apkovl.tar.gz')
  const runlevels = { sysinit: ['devfs'], boot: ['hostname'], shutdown: ['killprocs', 'mount-ro'] }
  writeFileSync(overlay, makeOverlay({ hostname: 'shared', world, runlevels }))
  const tree = join(directory, 'tree')
  const words = ['--install', '--repo', join(demo, 'apks'), '--keys', join(demo, 'keys'), '--apkovl', overlay]
  await promisify(execFile)(process.execPath, [diskless, 'prepare-nfsroot', tree, '--links', ...words])
  appendFileSync(join(tree, 'etc/inittab'), '\nttyS0::respawn:/sbin/getty -L 0 ttyS0 vt100\n')
  appendFileSync(join(tree, 'etc/securetty'), 'ttyS0\n')
  writeFileSync(join(tree, 'etc/installed'), 'from the tree\n')
  return tree
}
