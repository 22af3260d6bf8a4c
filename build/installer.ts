/** Our installer in the native host itself, without a guest: bundled, joined with the host, run on a prepared root. */

import { execFile } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { type InstallAnswer, type InstallWanted, mark } from '../src/init/install-wire.ts'
import { bundleInit } from './bundle.ts'
import { errnoOf } from './error.ts'
import { joinBundle } from './host.ts'

/** Makes the program in `directory`; resolves with its path. `host` as buildHost gives it. */
export async function makeInstaller(directory: string, host: string): Promise<string> {
  mkdirSync(directory, { recursive: true })
  return joinBundle(host, await bundleInit(directory, 'src/init/install.ts'), directory)
}

/**
 * `directory` takes the request. Rejects only when the host says nothing; a failed installation is an answer. `words` are what
 * runs the program: it itself, or something that prepares the ground for it first.
 */
export function install(
  program: string,
  directory: string,
  wanted: InstallWanted,
  { words = [program], deadlineMs = 120_000 }: { words?: readonly string[]; deadlineMs?: number } = {},
): Promise<InstallAnswer> {
  mkdirSync(directory, { recursive: true })
  writeFileSync(`${directory}/request.json`, JSON.stringify(wanted))
  const [command = program, ...first] = words
  return new Promise((resolve, reject) => {
    const options = { cwd: directory, timeout: deadlineMs, maxBuffer: 1 << 26 }
    execFile(command, [...first, '--engine'], options, (error, output, errors) => {
      const line = errors.split('\n').find((each) => each.startsWith(mark))
      if (line !== undefined) resolve(JSON.parse(line.slice(mark.length)))
      else if (error !== null && errnoOf(error) === 'ENOENT') reject(error)
      else reject(new Error(`the host said: ${output}${errors}`, { cause: error }))
    })
  })
}
