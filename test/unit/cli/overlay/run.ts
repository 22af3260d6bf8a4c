/** A subcommand as it is typed, in the test's own process: what it prints, and how it ends. */

import { vi } from 'vitest'
import type { Command } from '../../../../src/cli/command.ts'
import { chainOf } from '../../../../src/sys/index.ts'

export interface Said {
  /** Undefined: it failed, with `failure`. */
  readonly status: number | undefined
  readonly stdout: string
  readonly stderr: string
  /** The error, its causes and its advice, a line each. */
  readonly failure: string
}

export async function runCommand(command: Command, ...words: readonly string[]): Promise<Said> {
  const said = { stdout: '', stderr: '' }
  const into = (stream: 'stdout' | 'stderr') =>
    vi.spyOn(process[stream], 'write').mockImplementation((text) => {
      said[stream] += String(text)
      return true
    })
  const spies = [into('stdout'), into('stderr')]
  try {
    return { ...said, status: await command.run(words), failure: '', ...said }
  } catch (error) {
    const advice = error instanceof Error && 'advice' in error ? error.advice : []
    const failure = [...chainOf(error), ...(Array.isArray(advice) ? advice : [])].join('\n')
    return { ...said, status: undefined, failure }
  } finally {
    for (const spy of spies) spy.mockRestore()
  }
}
