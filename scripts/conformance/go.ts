/** The Go programs that ask apko (test/conformance). */

import { mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { projectRoot, run } from '../processes.ts'

const source = join(projectRoot, 'test/conformance')

/** Rejects where there is no Go. */
export function go(...words: readonly string[]) {
  return run('go', words, { directory: source })
}

/** What was wrong; undefined: it is built. `path`: of its package in the module. Rejects where there is no Go. */
export async function buildGo(path: string, program: string): Promise<string | undefined> {
  mkdirSync(dirname(program), { recursive: true })
  // Git may refuse to speak of a tree that is somebody else's.
  const { status, output, errors } = await go(
    'build',
    '-mod=readonly',
    '-buildvcs=false',
    '-o',
    program,
    path,
  )
  return status === 0 ? undefined : `apko was not built: ${errors}${output}`
}
