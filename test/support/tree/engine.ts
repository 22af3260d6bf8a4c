/** Our installer in the native host itself, without a guest: bundled, joined with the host, run on a prepared root. */

import { execFile } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { bundleInit } from '../../../build/bundle.ts'
import { joinBundle } from '../../../build/host.ts'
import { type InstallAnswer, type InstallWanted, mark } from './wire.ts'

/** Longer than any of the worlds takes, and no reason to wait for ever. */
const deadlineMs = 120_000

/** Makes the program in `directory`; resolves with its path. `host` as buildHost gives it. */
export async function makeInstaller(directory: string, host: string): Promise<string> {
  mkdirSync(directory, { recursive: true })
  return joinBundle(host, await bundleInit(directory, 'test/support/tree/in-engine.ts'), directory)
}

/** `directory` takes the request. Rejects only when the host says nothing; a failed installation is an answer. */
export function install(program: string, directory: string, wanted: InstallWanted): Promise<InstallAnswer> {
  mkdirSync(directory, { recursive: true })
  writeFileSync(`${directory}/request.json`, JSON.stringify(wanted))
  return new Promise((resolve, reject) => {
    execFile(program, ['--engine'], { cwd: directory, timeout: deadlineMs }, (_, output, errors) => {
      const line = errors.split('\n').find((each) => each.startsWith(mark))
      if (line === undefined) reject(new Error(`the host said: ${output}${errors}`))
      else resolve(JSON.parse(line.slice(mark.length)))
    })
  })
}
