/** Kernels that are not a file yet: this system's own, or a package that is fetched and verified first. */

import { existsSync, readdirSync } from 'node:fs'
import { release } from 'node:os'
import { CommandError } from '../../../build/error.ts'
import { readKeys } from '../../../build/inputs.ts'
import { UsageError } from '../command.ts'
import { fetchAlpineKernel } from './alpine-kernel.ts'
import { fetchDebianKernel, fetchFromMirror } from './debian-kernel.ts'
import { usualKeyring } from './debian-mirror.ts'

export interface KernelWish {
  /** As `--kernel` names it. */
  readonly source: string
  /** `--keys`. */
  readonly keys: readonly string[]
  /** `--keyring`: OpenPGP, for Debian's mirrors. */
  readonly keyring?: string | undefined
  /** The directory where fetched packages are kept. */
  readonly cache: string
  readonly tell: (line: string) => void
}

/** Resolves with a path that `build` takes. Rejects with a `CommandError` or a `UsageError`. */
export async function findKernelSource({
  source,
  keys,
  cache,
  keyring = usualKeyring,
  tell,
}: KernelWish): Promise<string> {
  const [, kind, name = '', place] = /^(alpine|debian):([^@]*)(?:@(.+))?$/.exec(source) ?? []
  if (source === 'running') return runningKernel()
  if (kind === 'alpine') {
    if (place === undefined) {
      throw new UsageError(`--kernel ${source} names no repository: write it as alpine:linux-lts@URL`)
    }
    return fetchAlpineKernel({ name: name || 'linux-lts', place, keys: readKeys(keys), cache, tell })
  }
  if (kind === 'debian') {
    const wanted = name || 'linux-image-amd64'
    if (place === undefined) return fetchDebianKernel({ name: wanted, cache, tell })
    return fetchFromMirror(wanted, { release: place.replace(/\/+$/, ''), keyring, tell }, cache)
  }
  return source
}

/** /lib/modules of this very kernel; `running` and `modules` are for tests. */
export function runningKernel(running = release(), modules = '/lib/modules'): string {
  const directory = `${modules}/${running}`
  if (existsSync(`${directory}/kernel`)) return directory
  const others = existsSync(modules) ? readdirSync(modules) : []
  throw new CommandError(`Linux ${running} is running here, and there is no ${directory}`, {
    advice:
      others.length === 0
        ? [
            'In a container the host’s kernel runs: name a package (alpine:linux-lts@URL, debian:linux-image-amd64).',
          ]
        : [
            `There is ${others.join(', ')}: after an upgrade, boot that first, or name it: --kernel ${modules}/${others[0]}`,
          ],
  })
}
