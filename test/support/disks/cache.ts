/** Images by what they are made of: made once, kept under out/disks. */

import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { constants, copyFileSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const execute = promisify(execFile)
const directory = fileURLToPath(new URL('../../../out/disks/', import.meta.url))

/**
 * `ingredients`: everything that decides what comes out. `make` fills a file that it is given the path of, and may
 * leave what it needs for that in a scratch directory.
 */
export async function cached(
  name: string,
  ingredients: readonly (string | Buffer)[],
  make: (image: string, scratch: string) => Promise<void>,
): Promise<string> {
  const hash = createHash('sha256')
  for (const one of ingredients) hash.update(`${Buffer.byteLength(one)}:`).update(one)
  const path = join(directory, `${name}-${hash.digest('hex').slice(0, 20)}.img`)
  if (existsSync(path)) return path
  mkdirSync(directory, { recursive: true })
  const scratch = mkdtempSync(join(tmpdir(), 'diskless-disk-'))
  const partial = `${path}.${process.pid}`
  try {
    await make(partial, scratch)
    renameSync(partial, path)
    return path
  } finally {
    rmSync(partial, { force: true })
    rmSync(scratch, { recursive: true })
  }
}

/** A copy for a guest that writes; what `makeFileSystem` and `makeDisk` return is everybody's. */
export function copyTo(image: string, path: string): string {
  copyFileSync(image, path, constants.COPYFILE_FICLONE)
  return path
}

/** Runs a tool to its end; rejects with its complaint. `input` is its standard input. */
export async function tool(program: string, words: readonly string[], input = ''): Promise<string> {
  const env = { ...process.env, PATH: `${process.env.PATH ?? ''}:/usr/sbin:/sbin`, MTOOLS_SKIP_CHECK: '1' }
  const running = execute(program, words, { env })
  // Whoever ends without reading it says why by its status.
  running.child.stdin?.on('error', () => undefined).end(input)
  return (await running).stdout
}
