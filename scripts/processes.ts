/** Programs that the scripts run: their output kept, or shown as it comes. */

import { spawn } from 'node:child_process'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'

export const projectRoot = dirname(dirname(fileURLToPath(import.meta.url)))

export interface Ended {
  readonly status: number
  /** Standard output, and standard error where it was not kept apart. */
  readonly output: string
  readonly errors: string
}

export interface RunOptions {
  readonly directory?: string
  /** Shows both streams as they come. */
  readonly show?: boolean
  readonly environment?: Readonly<Record<string, string>>
  /** For its standard input. */
  readonly input?: string
  /** Ends it when it takes longer: status 1. */
  readonly timeoutMs?: number
}

/** Resolves when the program has ended, however it did; rejects when it could not be started. */
export function run(program: string, options: readonly string[], how: RunOptions = {}): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, options, {
      cwd: how.directory ?? projectRoot,
      env: { ...process.env, ...how.environment },
      stdio: ['pipe', 'pipe', 'pipe'],
      ...(how.timeoutMs === undefined ? {} : { timeout: how.timeoutMs }),
    })
    // It may end without reading all of it.
    child.stdin.on('error', () => {}).end(how.input ?? '')
    let output = ''
    let errors = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text
      if (how.show) process.stdout.write(text)
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      errors += text
      if (how.show) process.stderr.write(text)
    })
    child.on('error', reject)
    child.on('close', (status) => resolve({ status: status ?? 1, output, errors }))
  })
}
