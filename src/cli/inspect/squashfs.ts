/** The top of a squashfs, by the program unsquashfs where it is installed: which kernels a modloop is for. */

import { spawnSync } from 'node:child_process'
import { clean } from './bytes.ts'

export interface TopOfImage {
  /** Directories below modules/, as a modloop has them. */
  readonly kernels: readonly string[]
  /** What lies at the root. */
  readonly names: readonly string[]
}

const deadlineMs = 20_000

/** Undefined: the program is not there, or cannot read it. */
export function readTop(path: string): TopOfImage | undefined {
  const result = spawnSync('unsquashfs', ['-l', '-max-depth', '2', '-d', '', path], {
    encoding: 'utf8',
    timeout: deadlineMs,
    maxBuffer: 16 << 20,
  })
  if (result.status !== 0) return undefined
  const paths = result.stdout.split('\n').flatMap((line) => /^\/(.+)$/.exec(line)?.[1] ?? [])
  return {
    kernels: paths
      .flatMap((name) => /^modules\/(\d[^/]*)$/.exec(name)?.[1] ?? [])
      .map(clean)
      .sort(),
    names: paths
      .filter((name) => !name.includes('/'))
      .map(clean)
      .sort(),
  }
}
