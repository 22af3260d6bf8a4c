/** What a boot spent its time on: the JSON file in the new root's /run/diskless/, and the table of it. */
import { showDuration } from '../boot/format.ts'

export type PhaseName =
  | 'machine'
  | 'drivers'
  | 'hook'
  | 'keymap'
  | 'cache'
  | 'network'
  | 'clock'
  | 'root'
  | 'media'
  | 'overlay'
  | 'index'
  | 'lock'
  | 'packages'
  | 'modloop'
  | 'modules'
  | 'commit'
  | 'handoff'

export interface PhaseSpan {
  readonly name: PhaseName
  /** From 1; each retry of the boot is one more. */
  readonly attempt: number
  /** Milliseconds since the kernel started: when it was asked for, and when all that it needs was there. */
  readonly asked: number
  readonly start: number
  end: number | undefined
  state: 'running' | 'done' | 'failed' | 'given up'
  detail: string
  /** The last phase that had to end before this one could start. */
  readonly waitedFor?: PhaseName
  /** That its downloads brought. */
  bytes?: number
}

/** A retry, a wait: something that a person was told while a phase ran. */
export interface TimelineNotice {
  readonly at: number
  readonly phase: PhaseName
  readonly text: string
}

export interface Timeline {
  readonly version: 1
  /** Milliseconds since the kernel started: init's first instruction, and TypeScript's first line. */
  readonly started: number
  readonly script: number
  readonly attempts: number
  readonly warnings: readonly string[]
  readonly phases: readonly Readonly<PhaseSpan>[]
  /** The first of them; there may have been more. */
  readonly notices: readonly TimelineNotice[]
}

export const timelinePath = '/run/diskless/timeline.json'

/** One row a phase: when it began, how long it took, a bar of where in the boot that was. */
export function timelineTable({ started, script, phases, warnings }: Timeline, now: number): string {
  const first = Math.min(...phases.map(({ start }) => start))
  const last = Math.max(...phases.map(({ end }) => end ?? now))
  const width = 30
  const at = (time: number) => Math.round(((time - first) / Math.max(last - first, 1)) * width)
  const rows = phases.map(({ name, attempt, start, end = now, state, detail }) => {
    const bar = `${' '.repeat(at(start))}${'='.repeat(Math.max(at(end) - at(start), 1))}`
      .slice(0, width)
      .padEnd(width)
    const what = [state === 'done' ? '' : state, attempt > 1 ? `try ${attempt}` : '', detail].filter(
      (text) => text !== '',
    )
    return `${name.padEnd(9)} ${showDuration(start).padStart(9)} ${showDuration(end - start).padStart(9)} |${bar}| ${what.join(', ')}`.trimEnd()
  })
  return [
    `${'phase'.padEnd(9)} ${'began at'.padStart(9)} ${'took'.padStart(9)} |${' '.repeat(width)}|`,
    ...rows,
    `init began at ${showDuration(started)}, its TypeScript ${(script - started).toFixed(1)} ms later`,
    ...warnings.map((text) => `warning: ${text}`),
  ].join('\n')
}
