/**
 * The demo's packages unpacked into a directory, with its overlay: an installed system for shares, images and disks. No
 * script has run, but for what a login needs. Needs root, for the owners.
 */

import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { makeOverlay } from '../../scripts/repository/overlay.ts'

/** A package’s own members begin with a dot; its checksums are apk’s keywords. */
const options = ['--warning=no-unknown-keyword', '--exclude=.*']

/** Made anew only when the packages have changed. Resolves with its path. */
export function installedTree(demo: string, directory: string): string {
  const packages = join(demo, 'apks/x86_64')
  const names = readdirSync(packages).filter((name) => name.endsWith('.apk'))
  const stamp = createHash('sha256')
  for (const name of names) stamp.update(`${name} ${statSync(join(packages, name)).mtimeMs}\n`)
  stamp.update(readFileSync(new URL(import.meta.url)))
  const wanted = stamp.digest('hex')
  const mark = `${directory}.stamp`
  if (existsSync(mark) && readFileSync(mark, 'utf8') === wanted) return directory
  const partial = `${directory}.partial`
  for (const path of [partial, directory]) rmSync(path, { recursive: true, force: true })
  mkdirSync(partial, { recursive: true })
  for (const name of names) {
    // Three gzip members, the first two without an end of the archive.
    execFileSync('tar', ['-xzif', join(packages, name), ...options, '-C', partial], {
      stdio: ['ignore', 'ignore', 'inherit'],
    })
  }
  const overlay = makeOverlay({
    hostname: 'installed',
    world: [],
    runlevels: { sysinit: ['devfs'], boot: ['hostname'], shutdown: ['killprocs', 'mount-ro'] },
  })
  execFileSync('tar', ['-xzf', '-', '-C', partial], { input: overlay })
  for (const name of ['dev', 'proc', 'sys', 'run', 'tmp', 'var/log', 'mnt', 'media', 'root'])
    mkdirSync(join(partial, name), { recursive: true })
  // What the packages’ scripts would have done.
  execFileSync('chroot', [partial, '/bin/busybox', '--install', '-s'])
  execFileSync('chroot', [partial, '/sbin/ldconfig', '-X'])
  writeFileSync(
    join(partial, 'etc/inittab'),
    `${readFileSync(join(partial, 'etc/inittab'), 'utf8')}\nttyS0::respawn:/sbin/getty -L 0 ttyS0 vt100\n`,
  )
  appendFileSync(join(partial, 'etc/securetty'), 'ttyS0\n')
  writeFileSync(join(partial, 'etc/installed'), 'from the tree\n')
  renameSync(partial, directory)
  writeFileSync(mark, wanted)
  return directory
}
