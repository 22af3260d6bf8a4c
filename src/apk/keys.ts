/** The keys that repositories may be signed with: PEM files in etc/apk/keys, named as signatures name them. */

import type { Sys } from '../sys/index.ts'
import { hasCode } from '../sys/index.ts'

const DIRECTORY = '/etc/apk/keys'

/**
 * Keys by name: those of the initramfs, and of the overlay in `root` those of other names. A name of both is the
 * initramfs's, as Alpine's init copies its own over the overlay's.
 */
export async function findKeys(
  sys: Pick<Sys, 'files'>,
  root: string | undefined,
): Promise<ReadonlyMap<string, string>> {
  const keys = new Map<string, string>()
  if (root !== undefined) await collect(sys, await sys.files.resolveIn(root, DIRECTORY), root, keys)
  await collect(sys, DIRECTORY, undefined, keys)
  return keys
}

async function collect(
  sys: Pick<Sys, 'files'>,
  directory: string | undefined,
  root: string | undefined,
  keys: Map<string, string>,
): Promise<void> {
  if (directory === undefined) return
  for (const name of await listIfThere(sys, directory)) {
    if (!name.endsWith('.pub')) continue
    const path =
      root === undefined ? `${directory}/${name}` : await sys.files.resolveIn(root, `${DIRECTORY}/${name}`)
    if (path !== undefined) keys.set(name, path)
  }
}

async function listIfThere(sys: Pick<Sys, 'files'>, directory: string): Promise<readonly string[]> {
  try {
    return await sys.files.list(directory)
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR')) return []
    throw error
  }
}
