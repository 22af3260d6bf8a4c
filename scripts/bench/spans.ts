/** What /run/diskless/timeline.json says of a boot, in seconds since the kernel's start. */

export interface Span {
  readonly name: string
  readonly start: number
  readonly end: number
}

/** init's own first instruction, TypeScript's first line, and the phases. */
export interface Spans {
  readonly started: number
  readonly script: number
  readonly phases: readonly Span[]
}

/** Undefined for a text that is no timeline: peers write none. */
export function parseSpans(text: string): Spans | undefined {
  if (!text.trimStart().startsWith('{')) return undefined
  const value: unknown = JSON.parse(text)
  const phases = field(value, 'phases')
  if (!Array.isArray(phases)) throw new Error(`no timeline: ${text.slice(0, 200)}`)
  return {
    started: seconds(value, 'started'),
    script: seconds(value, 'script'),
    phases: phases.map((phase: unknown) => ({
      name: String(field(phase, 'name')),
      start: seconds(phase, 'start'),
      // The last one writes the file.
      end: field(phase, 'end') === undefined ? seconds(phase, 'start') : seconds(phase, 'end'),
    })),
  }
}

function seconds(value: unknown, name: string): number {
  const number = field(value, name)
  if (typeof number !== 'number') throw new Error(`the timeline has no ${name}`)
  return number / 1000
}

function field(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? new Map(Object.entries(value)).get(name) : undefined
}
