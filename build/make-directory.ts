/** A directory that is to be written into, made with all above it. */

import { mkdirSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { CommandError, errnoOf } from './error.ts'

/** Throws a `CommandError`. */
export function makeDirectory(path: string): void {
  try {
    make(path)
  } catch (cause) {
    throw new CommandError(
      `${path} is no directory, and cannot be made one (${errnoOf(cause) ?? 'unknown'})`,
      {
        cause,
        advice: ['Name another place, or move away what is there.'],
      },
    )
  }
}

/** One by one: below /proc, Node's own `recursive` never ends. */
function make(path: string): void {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory() === true) return
  const above = dirname(path)
  if (above !== path) make(above)
  try {
    mkdirSync(path)
  } catch (error) {
    // Another diskless made it meanwhile.
    if (errnoOf(error) !== 'EEXIST' || !statSync(path).isDirectory()) throw error
  }
}
