/** Two roots that begin alike, one for us and one for apk: in memory, with the kernel's file systems, keys and overlay. */

import { execFileSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { install } from '../../../build/installer.ts'
import type { InstallAnswer } from '../../../src/init/install-wire.ts'
import type { Apk } from './apk.ts'
import { runApk } from './apk.ts'
import { type Comparison, compareRoots } from './differences.ts'

export interface World {
  readonly name: string
  /** Directories with ARCH/APKINDEX.tar.gz. */
  readonly repositories: readonly { readonly url: string; readonly tag?: string }[]
  /** The directory of the public keys. */
  readonly keys: string
  readonly world: readonly string[]
  /** A tar archive, unpacked into both roots before. */
  readonly overlay?: string
}

export interface Outcome extends Comparison {
  readonly ours: InstallAnswer
  readonly theirs: { readonly status: number; readonly said: string }
}

const arch = 'x86_64'
const kernels = ['sys', 'proc', 'dev']

/** Needs root, and a mount namespace of its own: what is mounted here is nobody else's business. */
export async function compareWorld(
  { name, repositories, keys, world, overlay }: World,
  { directory, apk, program }: { readonly directory: string; readonly apk: Apk; readonly program: string },
): Promise<Outcome> {
  const place = join(directory, name)
  const [mine, yours] = [join(place, 'ours'), join(place, 'apk')]
  const listing = overlay === undefined ? undefined : listingOf(overlay)
  const named = Object.fromEntries(readdirSync(keys).map((key) => [key, join(keys, key)]))
  for (const root of [mine, yours]) prepare(root, keys, overlay)
  try {
    const ours = await inside(mine, () =>
      install(program, join(place, 'request'), {
        ...{ root: mine, arch, repositories, keys: named, world },
        keep: listing ?? [],
      }),
    )
    const theirs = await inside(yours, async () =>
      runApk(apk, { root: yours, arch, repositories, world, directory: place, listing: listing?.join('\n') }),
    )
    const comparison = compareRoots({ name: 'ours', root: mine }, { name: 'apk', root: yours })
    return { ...comparison, ours, theirs }
  } finally {
    if (process.env.DISKLESS_KEEP === undefined) for (const root of [mine, yours]) unmount(root)
  }
}

/** We alone; `look` sees the root before it goes. */
export async function installAlone<T>(
  { name, repositories, keys, world }: World,
  { directory, program }: { readonly directory: string; readonly program: string },
  look: (root: string, answer: InstallAnswer) => T,
): Promise<T> {
  const root = join(directory, name, 'ours')
  const named = Object.fromEntries(readdirSync(keys).map((key) => [key, join(keys, key)]))
  prepare(root, keys, undefined)
  try {
    const wanted = { root, arch, repositories, keys: named, world, keep: [] }
    const answer = await inside(root, () => install(program, join(directory, name, 'request'), wanted))
    return look(root, answer)
  } finally {
    unmount(root)
  }
}

function prepare(root: string, keys: string, overlay: string | undefined): void {
  if (existsSync(root)) rmSync(root, { recursive: true })
  mkdirSync(root, { recursive: true })
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'mode=755', 'root', root])
  if (overlay !== undefined) execFileSync('tar', ['-xzf', overlay, '-C', root])
  mkdirSync(join(root, 'etc/apk/keys'), { recursive: true })
  cpSync(keys, join(root, 'etc/apk/keys'), { recursive: true, preserveTimestamps: true })
}

/** The paths of the archive as Alpine's init has them: what tar tells while it unpacks. */
function listingOf(overlay: string): string[] {
  const text = execFileSync('tar', ['-tzf', overlay], { encoding: 'utf8' })
  return text.split('\n').filter((line) => line !== '')
}

/** With /sys, /proc and /dev, as a boot binds them for scripts. */
async function inside<T>(root: string, run: () => Promise<T>): Promise<T> {
  for (const name of kernels) {
    mkdirSync(join(root, name), { recursive: true })
    execFileSync('mount', ['--rbind', `/${name}`, join(root, name)])
  }
  try {
    return await run()
  } finally {
    for (const name of kernels) unmount(join(root, name))
  }
}

function unmount(path: string): void {
  execFileSync('umount', ['-l', path])
}
