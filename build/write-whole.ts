/** A file is written whole or not at all: aside, and then renamed into its place. */

import { renameSync, rmSync, writeFileSync } from 'node:fs'
import { CommandError, errnoOf } from './error.ts'

/** Throws a `CommandError`; what was at `path` is then as it was. */
export function writeWhole(path: string, content: Buffer | string): void {
  const partial = `${path}.${process.pid}`
  try {
    writeFileSync(partial, content)
    renameSync(partial, path)
  } catch (cause) {
    rmSync(partial, { force: true })
    throw new CommandError(`${path} could not be written (${errnoOf(cause) ?? 'unknown'})`, {
      cause,
      advice: errnoOf(cause) === 'ENOSPC' ? ['The disk is full. What was there is as it was.'] : [],
    })
  }
}
