/** A real Alpine for tests: the tree that ALPINE_MEDIA names, its keys, and a modloop, which the tree may lack. */

import { execFileSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { kernelDirectory } from '../../scripts/kernel.ts'
import { cached } from './disks/cache.ts'

/** A directory with apks/x86_64 and .boot_repository, such as Alpine's netboot ISO has. */
export const alpineMedia = process.env.ALPINE_MEDIA

/** For a test's name, which says why it is skipped. */
export const alpineName = (name: string) =>
  alpineMedia === undefined ? `${name} (needs ALPINE_MEDIA=DIR)` : name

export interface Alpine {
  /** Removed by the test. */
  readonly scratch: string
  /** The tree itself. */
  readonly media: string
  /** The directory with its signers' keys. */
  readonly keys: string
}

export function openAlpine(): Alpine {
  const media = alpineMedia ?? ''
  const repository = join(media, 'apks/x86_64')
  if (!existsSync(join(repository, 'APKINDEX.tar.gz')))
    throw new Error(`ALPINE_MEDIA: no index in ${repository}`)
  const scratch = mkdtempSync(join(tmpdir(), 'diskless-alpine-'))
  const keys = readdirSync(repository).find((name) => /^alpine-keys-\d/.test(name)) ?? ''
  // Three gzip members are one stream to tar; what it warns of are apk's own pax records.
  const words = ['-xzf', join(repository, keys), '-C', scratch, '--warning=no-unknown-keyword', 'etc']
  execFileSync('tar', words)
  return { scratch, media, keys: join(scratch, 'etc/apk/keys') }
}

/** The tree with what Alpine's own media have besides: `.boot_repository`, and boot/modloop-virt where one is given. */
export function copyMedia({ media }: Alpine, to: string, modloop?: string): void {
  mkdirSync(to, { recursive: true })
  cpSync(join(media, 'apks'), join(to, 'apks'), { recursive: true })
  execFileSync('touch', [join(to, 'apks/.boot_repository')])
  if (modloop === undefined) return
  mkdirSync(join(to, 'boot'))
  cpSync(modloop, join(to, 'boot/modloop-virt'))
}

/** What a modloop needs for tests: filesystems and what they need, and a driver that nothing loads by itself. */
const parts = ['arch', 'crypto', 'fs', 'lib', 'drivers/net/dummy.ko', 'drivers/block/loop.ko']

/** A modloop as Alpine makes it, of Debian's modules: modules/VERSION in a squashfs. */
export async function makeModloop(): Promise<string> {
  const kernel = await kernelDirectory()
  const [version = ''] = existsSync(join(kernel, 'lib/modules'))
    ? readdirSync(join(kernel, 'lib/modules'))
    : []
  const modules = version === '' ? kernel : join(kernel, 'lib/modules', version)
  return cached('modloop', [modules, ...parts], async (image, scratch) => {
    const tree = join(scratch, 'tree/modules', basename(modules))
    mkdirSync(join(tree, 'kernel/drivers/net'), { recursive: true })
    mkdirSync(join(tree, 'kernel/drivers/block'), { recursive: true })
    for (const part of parts)
      cpSync(join(modules, 'kernel', part), join(tree, 'kernel', part), { recursive: true })
    for (const name of readdirSync(modules).filter((name) => name.startsWith('modules.')))
      cpSync(join(modules, name), join(tree, name))
    const words = [join(scratch, 'tree'), image, '-noappend', '-quiet', '-no-progress', '-all-root']
    execFileSync('mksquashfs', [...words, '-Xcompression-level', '1'])
  })
}
