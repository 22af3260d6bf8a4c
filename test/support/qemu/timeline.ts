/** A boot's timeline as its events told it: for boots whose /run/diskless/timeline.json nobody reads. */

import type { EventLog, GuestEvent } from '../../../src/cli/boot/events.ts'
import type { PhaseName, PhaseSpan, Timeline } from '../../../src/init/timeline.ts'

const names: Readonly<Record<PhaseName, true>> = {
  machine: true,
  drivers: true,
  hook: true,
  keymap: true,
  cache: true,
  network: true,
  clock: true,
  root: true,
  media: true,
  overlay: true,
  index: true,
  lock: true,
  packages: true,
  modloop: true,
  modules: true,
  commit: true,
  handoff: true,
}

/** `end`: milliseconds since the kernel started, of the last event. */
export function timelineOf(events: EventLog): { readonly timeline: Timeline; readonly end: number } {
  const phases: PhaseSpan[] = []
  const warnings: string[] = []
  let attempts = 1
  let started = 0
  let script = 0
  for (const one of events.all) {
    const { name, state, attempt, detail } = one.fields
    if (one.event === 'begin') {
      started = Number(one.fields.started)
      script = one.at
    }
    if (one.event === 'retry') attempts++
    if (one.event === 'warning') warnings.push(String(one.fields.text))
    if (one.event !== 'phase' || typeof name !== 'string' || !isPhase(name)) continue
    const number = typeof attempt === 'number' ? attempt : attempts
    if (state === 'start') phases.push(begin(one, name, number))
    const span = phases.findLast((phase) => phase.name === name)
    if (span === undefined || state === 'start') continue
    span.end = one.at
    span.state = state === 'done' || state === 'failed' || state === 'given up' ? state : 'running'
    span.detail = typeof detail === 'string' ? detail : ''
  }
  return {
    timeline: { version: 1, started, script, attempts, warnings, phases, notices: [] },
    end: events.all.at(-1)?.at ?? 0,
  }
}

function begin({ at }: GuestEvent, name: PhaseName, attempt: number): PhaseSpan {
  return { name, attempt, asked: at, start: at, end: undefined, state: 'running', detail: '' }
}

function isPhase(name: string): name is PhaseName {
  return Object.hasOwn(names, name)
}
