/**
 * Writes aside all that a publication needs room for, files, directories and manifest, before anything that is published is
 * touched: a disk that is full then is noticed here, and what comes after only renames.
 */

import {
  chmodSync,
  closeSync,
  constants,
  copyFileSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  rmdirSync,
  rmSync,
  statfsSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { CommandError, errnoOf } from '../../../build/error.ts'
import { sha256Of } from '../../../build/root-image.ts'
import { showBytes } from '../../boot/format.ts'
import { manifestName } from './manifest.ts'
import type { Placed } from './placed.ts'

/** Where what is to be renamed lies, on the same file system. */
export const stagingName = '.staged'

export interface StageOptions {
  /** Bytes written so far, and in all. */
  readonly onProgress?: (done: number, total: number) => void
  /** Before each change of the directory: for tests, which stop there. */
  readonly onStep?: (what: string) => void
}

/** Rejects with a `CommandError`, and what is published is then untouched. */
export async function stage(
  directory: string,
  differing: readonly Placed[],
  manifest: string | undefined,
  { onProgress = () => {}, onStep = () => {} }: StageOptions,
): Promise<void> {
  const total = differing.reduce((sum, { size }) => sum + size, 0)
  refuseWithoutRoom(directory, differing)
  const staging = join(directory, stagingName)
  let done = 0
  const write = async (what: string, work: () => Promise<void> | void) => {
    onStep(`write ${what}`)
    try {
      await work()
    } catch (cause) {
      if (errnoOf(cause) === undefined) throw cause
      throw new CommandError(`${what} could not be written below ${directory} (${errnoOf(cause)})`, {
        cause,
        advice: [
          errnoOf(cause) === 'ENOSPC'
            ? `Make room for ${showBytes(total)} there. What was published is untouched.`
            : 'What was published is untouched.',
        ],
      })
    }
  }
  await write(stagingName, () => {
    rmSync(staging, { recursive: true, force: true })
    mkdirSync(staging)
  })
  for (const [at, placed] of differing.entries()) {
    await write(placed.path, () =>
      writeAside(join(staging, String(at)), placed, (read) => onProgress(done + read, total)),
    )
    done += placed.size
    onProgress(done, total)
  }
  if (manifest !== undefined)
    await write(manifestName, () => writeDurably(join(staging, manifestName), manifest))
  await write('directories', () => makeDirectories(directory, differing))
}

/** Said before the work, with numbers; what is short of them all the same fails while it is written. */
function refuseWithoutRoom(directory: string, differing: readonly Placed[]): void {
  const { bavail, bsize } = statfsSync(directory)
  const free = bavail * bsize
  const bytes = differing.reduce((sum, { size }) => sum + Math.ceil(size / bsize) * bsize, 0)
  if (bytes <= free) return
  throw new CommandError(
    `${directory} has room for ${showBytes(free)}, and ${showBytes(bytes)} are to be written`,
    { advice: [`Make room for ${showBytes(bytes - free)} more. What was published is untouched.`] },
  )
}

/** `onRead`: of what was written, as it is read again. */
async function writeAside(
  place: string,
  { content, path, sha256, size }: Placed,
  onRead: (bytes: number) => void,
): Promise<void> {
  if (content.kind === 'bytes') writeFileSync(place, content.bytes)
  // Blocks are shared where the file system can; never the file itself, which its owner may go on writing to.
  else copyFileSync(content.source, place, constants.COPYFILE_FICLONE)
  // Whoever serves it is another user.
  chmodSync(place, 0o644)
  const isWhole = async () =>
    statSync(place).size === size && (await sha256Of(place, size, onRead)) === sha256
  if (content.kind === 'file' && !(await isWhole())) {
    throw new CommandError(`${content.source} changed while it was published as ${path}`, {
      advice: ['Publish again when whoever writes it is done. What was published is untouched.'],
    })
  }
  syncFile(place)
}

function writeDurably(place: string, text: string): void {
  writeFileSync(place, text, { mode: 0o644 })
  syncFile(place)
}

function syncFile(place: string): void {
  const file = openSync(place, 'r')
  try {
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
}

/** All of them, or none. */
function makeDirectories(directory: string, differing: readonly Placed[]): void {
  const made: string[] = []
  try {
    for (const { path } of differing) {
      for (const each of missingDirectories(directory, dirname(path))) {
        mkdirSync(each)
        made.push(each)
        // Whoever serves it is another user.
        chmodSync(each, 0o755)
      }
    }
  } catch (error) {
    for (const each of made.reverse()) rmdirSync(each)
    throw error
  }
}

function missingDirectories(directory: string, below: string): readonly string[] {
  const parts = below.split('/').filter((part) => part !== '.')
  return parts.map((_, at) => join(directory, ...parts.slice(0, at + 1))).filter((each) => !existsSync(each))
}
