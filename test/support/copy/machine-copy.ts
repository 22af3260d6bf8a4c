/**
 * A copy of this machine in which commands are run as a reader runs them: an overlay above its root, in a mount namespace of its
 * own; what they write is in memory and gone with it. The checkout is of the copy, too, but for its cache.
 */

import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { cacheDirectory, packageRoot } from '../../../build/paths.ts'
import { Service } from '../lab/service.ts'

export interface CopyOptions {
  readonly name: string
  /** A directory of the tests' own, which the copy has at the same path: nothing of it is copied. */
  readonly scratch: string
  /** For bash, with what it is to have for its life: what it starts ends with it, or with the copy. */
  readonly script: string
  /** Of the lab; without one a network of its own, in which nobody is. */
  readonly namespace?: string
}

/** What a copy says first. */
const begins = 'the copy begins'

/** Not started yet. */
export function machineCopy({ name, scratch, script, namespace }: CopyOptions): Service {
  const place = mkdtempSync(join(scratch, 'place-'))
  const root = join(place, 'root')
  const cache = join(scratch, 'cache')
  for (const path of ['memory', 'root'].map((each) => join(place, each))) mkdirSync(path)
  mkdirSync(cache, { recursive: true })
  writeFileSync(join(place, 'commands'), `echo '${begins}'\n${script}\n`)
  const binds = [
    ...['/proc', '/sys', '/dev', scratch].map((path) => [path, path] as const),
    // Fetched kernels and what was read of modules: the copies of one test share it, and with nobody else.
    [cache, cacheDirectory] as const,
  ]
  const lines = [
    'set -e',
    `mount -t tmpfs tmpfs ${place}/memory`,
    ...layer(place, 'system', '/', root),
    // It may be on another file system.
    ...layer(place, 'checkout', packageRoot, join(root, packageRoot)),
    ...binds.map(([from, to]) => `mkdir -p ${root}${to}; mount --rbind ${from} ${root}${to}`),
    `exec chroot ${root} /bin/bash ${place}/commands`,
  ]
  return new Service({ name, namespace, script: lines.join('\n'), ready: new RegExp(`^${begins}$`, 'm') })
}

function layer(place: string, name: string, lower: string, at: string): readonly string[] {
  const memory = join(place, 'memory', name)
  return [
    `mkdir -p ${memory}/upper ${memory}/work ${at}`,
    `mount -t overlay overlay -o lowerdir=${lower},upperdir=${memory}/upper,workdir=${memory}/work ${at}`,
  ]
}
