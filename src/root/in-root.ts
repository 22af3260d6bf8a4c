/** Paths of the new root: symlinks in it may lead anywhere, and are followed inside of it only. */

import { type Sys, SysError } from '../sys/index.ts'

/**
 * The outer path of a directory of the root, made with this mode when it is not there. `path` has no leading slash. A
 * symlink there that leads nowhere inside of the root is ENOTDIR: outside of it, it may lead somewhere.
 */
export async function directoryIn(
  sys: Pick<Sys, 'files'>,
  root: string,
  path: string,
  mode = 0o755,
): Promise<string> {
  const found = await sys.files.resolveIn(root, `/${path}`)
  if (found !== undefined) return found
  const slash = path.lastIndexOf('/')
  const parent = slash < 0 ? root : await directoryIn(sys, root, path.slice(0, slash))
  const made = `${parent}/${path.slice(slash + 1)}`
  if ((await sys.files.status(made)) !== undefined) {
    const message = `leads nowhere in ${root}`
    throw new SysError({ code: 'ENOTDIR', operation: 'files.makeDirectory', subject: made, message })
  }
  await sys.files.makeDirectory(made, mode)
  return made
}

/** Writes a file of the root as apk does: a new one in the place of the old, a symlink there is not followed. */
export async function writeIn(
  sys: Pick<Sys, 'files'>,
  root: string,
  path: string,
  text: string,
): Promise<void> {
  const slash = path.lastIndexOf('/')
  const place = `${await directoryIn(sys, root, path.slice(0, slash))}/${path.slice(slash + 1)}`
  await sys.files.remove(`${place}.new`)
  await sys.files.writeText(`${place}.new`, text, { mode: 0o644 })
  await sys.files.rename(`${place}.new`, place)
}
