/** A phase's report that keeps what it was told. */

import type { Report } from '../../src/init/story.ts'

export interface KeptReport extends Report {
  readonly notices: string[]
  readonly notes: string[]
  readonly warnings: string[]
  readonly details: string[]
}

export function keptReport(): KeptReport {
  const notices: string[] = []
  const notes: string[] = []
  const warnings: string[] = []
  const details: string[] = []
  return {
    ...{ notices, notes, warnings, details },
    signal: new AbortController().signal,
    hosts: new Map(),
    detail: (text) => details.push(text),
    notice: (text) => notices.push(text),
    note: (text) => notes.push(text),
    warn: (text) => warnings.push(text),
    progress: () => {},
    meanwhile: (what) => {
      throw new Error(`${what}: nothing goes on beside a phase that is tested alone`)
    },
  }
}
