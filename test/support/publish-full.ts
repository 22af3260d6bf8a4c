/**
 * A program for tests: publishes into a directory of a small file system while somebody else fills that, before step after
 * step, one at a time; and into one that is full already. Tells, as JSON, what became of each.
 *
 *   node publish-full.ts DIRECTORY
 */

import { createHash } from 'node:crypto'
import {
  closeSync,
  existsSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { CommandError, errnoOf } from '../../build/error.ts'
import { publishInto } from '../../src/cli/publish/directory.ts'
import { first, problemsOf, second } from './published.ts'

/** What became of a publication during which the disk filled. */
export interface Filled {
  readonly step: string
  /** Message and advice; undefined: it came to its end. */
  readonly failure: string | undefined
  /** Every file there is as it was, and there is no other. */
  readonly untouched: boolean
  readonly problems: readonly string[]
}

function fill(file: string): void {
  const to = openSync(file, 'w')
  for (let size = 1 << 20; size >= 1; ) {
    try {
      if (writeSync(to, Buffer.alloc(size, 1)) < size) size >>= 1
    } catch (error) {
      if (errnoOf(error) !== 'ENOSPC') throw error
      size >>= 1
    }
  }
  closeSync(to)
}

/** Each path with its content's digest. */
function everything(directory: string): string {
  if (!existsSync(directory)) return 'nothing'
  const names = readdirSync(directory, { recursive: true }).map(String).sort()
  return names
    .map((name) => {
      const place = join(directory, name)
      const content = lstatSync(place).isFile() ? readFileSync(place) : ''
      return `${name} ${createHash('sha256').update(content).digest('hex')}`
    })
    .join('\n')
}

async function attempt(directory: string, filler: string, step: string, at: number): Promise<Filled> {
  const before = everything(directory)
  let count = 0
  const onStep = () => {
    if (count++ === at) fill(filler)
  }
  try {
    if (at < 0) fill(filler)
    await publishInto(directory, second, { onStep })
    return { step, failure: undefined, untouched: false, problems: problemsOf(directory) }
  } catch (error) {
    if (!(error instanceof CommandError)) throw error
    const untouched = everything(directory) === before
    const problems = existsSync(join(directory, 'manifest')) ? problemsOf(directory) : []
    return { step, failure: [error.message, ...error.advice].join('\n'), untouched, problems }
  } finally {
    rmSync(filler)
  }
}

const [top] = process.argv.slice(2)
if (top !== undefined) {
  const steps: string[] = []
  await publishInto(join(top, 'steps'), first)
  await publishInto(join(top, 'steps'), second, { onStep: (step) => steps.push(step) })
  rmSync(join(top, 'steps'), { recursive: true })
  const [directory, filler] = [join(top, 'www'), join(top, 'filler')]
  const results: Filled[] = [await attempt(directory, filler, 'a first publication', -1)]
  mkdirSync(join(top, 'empty'))
  results.push(await attempt(join(top, 'empty'), filler, 'a first publication, into what is there', -1))
  await publishInto(directory, first)
  results.push(await attempt(directory, filler, 'before it begins', -1))
  for (const [at, step] of steps.entries()) {
    results.push(await attempt(directory, filler, step, at))
    rmSync(directory, { recursive: true })
    await publishInto(directory, first)
  }
  process.stdout.write(JSON.stringify(results))
}
