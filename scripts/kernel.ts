/**
 * The kernel of the demo and of the tests: Debian's, the one that is installed or else its package unpacked into the
 * cache. It is never installed, as that would change how this machine boots.
 */

import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { basename, join } from 'node:path'
import { fetchDebs } from './repository/debian.ts'
import { cacheDirectory } from './repository/index.ts'

/** The metapackage that depends on the current one. */
const newest = 'linux-image-amd64'

/** A directory that `build` takes as its kernel: with lib/modules/VERSION and the image. */
export async function kernelDirectory(cache = cacheDirectory()): Promise<string> {
  const installed = existsSync('/lib/modules') ? readdirSync('/lib/modules').sort().reverse() : []
  const version = installed.find((each) => /-amd64$/.test(each) && existsSync(`/boot/vmlinuz-${each}`))
  if (version !== undefined) return `/lib/modules/${version}`

  const debs = join(cache, 'debs')
  const meta = await fetchDebs([newest], debs)
  const depends = execFileSync('dpkg-deb', ['--field', meta.get(newest) ?? '', 'Depends'], {
    encoding: 'utf8',
  })
  const name = /\blinux-image-\d[^\s,]*/.exec(depends)?.[0]
  if (name === undefined) throw new Error(`${newest} depends on no kernel: ${depends.trim()}`)
  const deb = (await fetchDebs([name], debs)).get(name) ?? ''
  const directory = join(cache, 'kernel', basename(deb, '.deb'))
  if (existsSync(directory)) return directory
  const partial = `${directory}.${process.pid}`
  rmSync(partial, { recursive: true, force: true })
  mkdirSync(partial, { recursive: true })
  execFileSync('dpkg-deb', ['--extract', deb, partial], { stdio: ['ignore', 'inherit', 'inherit'] })
  renameSync(partial, directory)
  return directory
}
