/** Reads JSON that diskless itself wrote: a file of another shape would have another name. */

import { readFileSync } from 'node:fs'

/** Undefined when it was cut short (a full disk, a power cut): what is in it can be made again. */
export function readOwnJson<T>(path: string): T | undefined {
  try {
    const parsed: T = JSON.parse(readFileSync(path, 'utf8'))
    return parsed
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}
