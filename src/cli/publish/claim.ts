/** Whose a directory is: ours where our manifest is in it, anybody's who publishes while it is empty; and by one at a time. */

import {
  chmodSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { CommandError, errnoOf } from '../../../build/error.ts'
import { makeDirectory } from '../../../build/make-directory.ts'
import { formatManifest, isManifest, manifestName } from './manifest.ts'

/** Holds the number of the process that publishes. */
const lockName = '.publishing'

const nothingYet = formatManifest({ files: new Map(), former: new Map() }, undefined)

/** Returns what gives it back. Throws a `CommandError`, and has then changed nothing. */
export function claim(directory: string, dryRun: boolean): () => void {
  try {
    refuseForeign(directory)
    if (dryRun) return () => {}
    const fresh = !existsSync(directory)
    if (fresh) {
      makeDirectory(directory)
      chmodSync(directory, 0o755)
    }
    const path = join(directory, lockName)
    const manifest = join(directory, manifestName)
    const leaveNoTrace = () => {
      rmSync(path, { force: true })
      rmSync(manifest, { force: true })
      if (fresh) rmdirSync(directory)
    }
    try {
      lock(path, directory)
    } catch (error) {
      if (fresh && readdirSync(directory).length === 0) rmdirSync(directory)
      throw error
    }
    try {
      // From here on it is ours, whatever happens to the first publication.
      if (!existsSync(manifest)) writeFileSync(manifest, nothingYet)
    } catch (error) {
      leaveNoTrace()
      throw error
    }
    return () => {
      rmSync(path, { force: true })
      // A first publication that did not begin leaves no trace.
      if (readdirSync(directory).length === 1 && readFileSync(manifest, 'utf8') === nothingYet) leaveNoTrace()
    }
  } catch (cause) {
    if (errnoOf(cause) === undefined) throw cause
    throw new CommandError(`nothing can be published into ${directory} (${errnoOf(cause)})`, {
      cause,
      advice: errnoOf(cause) === 'ENOSPC' ? ['The disk is full: make room there.'] : [],
    })
  }
}

/** The publication that a path is in, or is; undefined: none. */
function publicationAround(path: string): string | undefined {
  for (let at = path; ; at = dirname(at)) {
    if (isPublication(at)) return at
    if (dirname(at) === at) return undefined
  }
}

/** Whether what is there is what was published. */
export function isPublication(directory: string): boolean {
  const manifest = join(directory, manifestName)
  const isFile = statSync(manifest, { throwIfNoEntry: false })?.isFile() === true
  return isFile && isManifest(readFileSync(manifest, 'utf8'))
}

function refuseForeign(directory: string): void {
  const around = publicationAround(dirname(directory))
  if (around !== undefined) {
    throw new CommandError(`${directory} is inside of ${around}, which is published already`, {
      advice: ['Publish beside it, or into it itself: each has its own manifest and its own servers.'],
    })
  }
  const status = statSync(directory, { throwIfNoEntry: false })
  if (status === undefined) return
  if (!status.isDirectory())
    throw new CommandError(`${directory} is no directory: nothing can be published into it`)
  const names = readdirSync(directory).filter((name) => name !== lockName && name !== 'lost+found')
  if (names.length === 0) return
  if (isPublication(directory)) return
  const some = names.slice(0, 3).join(', ')
  throw new CommandError(`${directory} holds something that diskless did not publish: ${some}`, {
    advice: ['Name an empty directory, or one that is not there yet; this one is left as it is.'],
  })
}

function lock(path: string, directory: string): void {
  for (let tries = 0; tries < 2; tries++) {
    try {
      writeFileSync(path, `${process.pid}\n`, { flag: 'wx' })
      return
    } catch (error) {
      if (errnoOf(error) !== 'EEXIST') {
        // On a full disk there is a file for the number, and no room for it.
        rmSync(path, { force: true })
        throw error
      }
      const owner = Number(readFileSync(path, 'utf8'))
      if (isAlive(owner)) {
        throw new CommandError(`another diskless (process ${owner}) is publishing into ${directory}`, {
          advice: [`Wait for it. If that process is another program, remove ${path}.`],
        })
      }
      rmSync(path, { force: true })
    }
  }
  throw new CommandError(`others publish into ${directory} at the same time`, { advice: ['Try again.'] })
}

function isAlive(pid: number): boolean {
  if (!Number.isInteger(pid) || pid <= 0) return false
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return errnoOf(error) !== 'ESRCH'
  }
}
