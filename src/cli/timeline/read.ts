/**
 * A boot's timeline as a file has it: /run/diskless/timeline.json of a system that came up, or what `diskless watch --save`
 * wrote. Whoever made the file, it is checked here, and nothing behind here is surprised.
 */
import { CommandError } from '../../../build/error.ts'
import { plainText } from '../plain-text.ts'

export interface Span {
  readonly name: string
  readonly attempt: number
  /** Milliseconds since the kernel started; `asked <= start <= end`. */
  readonly asked: number
  readonly start: number
  /** When the timeline was written, for one that was still running. */
  readonly end: number
  readonly state: 'running' | 'done' | 'failed' | 'given up'
  readonly detail: string
  readonly bytes: number | undefined
  /** The phase whose end let this one begin. */
  readonly waitedFor: string | undefined
}

export interface Notice {
  readonly at: number
  readonly phase: string
  readonly text: string
}

export interface Boot {
  /** Milliseconds since the kernel started: init's first instruction; its TypeScript; the last thing that is known. */
  readonly started: number
  readonly script: number
  readonly end: number
  readonly attempts: number
  readonly spans: readonly Span[]
  readonly notices: readonly Notice[]
  readonly warnings: readonly string[]
  /** Who it was: a name or an address, the product, the kernel; what the file has of these. */
  readonly machine: readonly string[]
  /** What it failed of, from what was tried to the first cause. */
  readonly failure: readonly string[]
}

/** What is no timeline, and why. */
export function noTimeline(message: string, cause?: unknown): CommandError {
  return new CommandError(message, {
    cause,
    advice: [
      'A timeline is /run/diskless/timeline.json of a system that diskless booted, or a file of diskless watch --save.',
    ],
  })
}

const most = { spans: 500, notices: 200, warnings: 100, causes: 10 }
/** Ninety days: a lease keeper's idea of for ever, and more than any boot takes. */
const longestMs = 90 * 86_400_000

/** `from`: what the text is of, for messages. Throws a `CommandError`. */
export function readTimeline(text: string, from: string): Boot {
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch (cause) {
    throw noTimeline(`${from} is not JSON`, cause)
  }
  return timelineOf(parsed, from)
}

export function timelineOf(parsed: unknown, from: string): Boot {
  const { version, started, script, attempts, phases, notices, warnings, machine, failure } = fieldsOf(parsed)
  if (version !== 1 || !Array.isArray(phases)) {
    const why =
      typeof version === 'number' ? `of version ${version}, and this diskless reads 1` : 'not a timeline'
    throw noTimeline(`${from} is ${why}`)
  }
  if (phases.length === 0) throw noTimeline(`${from} has no phases: nothing can be drawn`)
  const raw = phases.slice(0, most.spans).map((phase, at) => spanOf(phase, `${from}: phase ${at + 1}`))
  const told = listOf(notices)
    .slice(0, most.notices)
    .map((notice) => noticeOf(notice, from))
  const ends = [...raw.map(({ start, end }) => end ?? start), ...told.map(({ at }) => at)]
  const end = Math.max(...ends)
  const first = Math.min(...raw.map(({ asked }) => asked))
  const begun = Math.min(time(started, `${from}: started`), first)
  const spans = raw.map((span) => ({ ...span, end: span.end ?? end }))
  return {
    started: begun,
    script: Math.min(Math.max(time(script, `${from}: script`), begun), first),
    end,
    attempts: Number.isInteger(attempts) ? Number(attempts) : 1,
    spans: spans.map((span) => ({ ...span, waitedFor: span.waitedFor ?? releaserOf(span, spans) })),
    notices: told,
    warnings: textsOf(warnings, most.warnings),
    machine: machineOf(fieldsOf(machine)),
    failure: textsOf(fieldsOf(failure).chain, most.causes),
  }
}

/** What `readTimeline` reads again, with who it was and what it failed of. */
export function timelineFile(boot: Boot, machine: object, failure?: object): object {
  const { started, script, attempts, warnings, notices, spans } = boot
  const known = { version: 1, started, script, attempts, warnings, phases: spans, notices, machine }
  return failure === undefined ? known : { ...known, failure }
}

type Fields = Readonly<Record<string, unknown>>

function fieldsOf(value: unknown): Fields {
  return typeof value === 'object' && value !== null ? { ...value } : {}
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

function textsOf(value: unknown, longest: number): readonly string[] {
  return listOf(value)
    .filter((each) => typeof each === 'string')
    .slice(0, longest)
    .map((each) => plainText(each))
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? plainText(value) : undefined
}

function time(value: unknown, what: string): number {
  if (typeof value === 'number' && value >= 0 && value <= longestMs) return value
  throw noTimeline(
    `${what} is not a time in milliseconds: ${plainText(JSON.stringify(value) ?? 'missing', 40)}`,
  )
}

function spanOf(value: unknown, from: string): Omit<Span, 'end'> & { readonly end: number | undefined } {
  const { name, attempt, asked, start, end, state, detail, bytes, waitedFor } = fieldsOf(value)
  const called = textOf(name)
  if (called === undefined) throw noTimeline(`${from} has no name`)
  const begins = time(start, `${from}: start`)
  return {
    name: called.slice(0, 24),
    attempt: typeof attempt === 'number' && Number.isInteger(attempt) && attempt > 0 ? attempt : 1,
    asked: Math.min(asked === undefined ? begins : time(asked, `${from}: asked`), begins),
    start: begins,
    end: end === undefined ? undefined : Math.max(time(end, `${from}: end`), begins),
    state: state === 'done' || state === 'failed' || state === 'given up' ? state : 'running',
    detail: textOf(detail) ?? '',
    bytes: typeof bytes === 'number' && bytes > 0 && Number.isFinite(bytes) ? bytes : undefined,
    waitedFor: textOf(waitedFor)?.slice(0, 24),
  }
}

/** Timelines of earlier versions do not say: what ended last before it began, and after it was asked for. */
function releaserOf(
  of: Pick<Span, 'asked' | 'start' | 'attempt'>,
  spans: readonly Omit<Span, 'waitedFor'>[],
) {
  const before = spans.filter(({ end, state }) => state === 'done' && end > of.asked && end <= of.start)
  return before.sort((a, b) => b.end - a.end)[0]?.name
}

function noticeOf(value: unknown, from: string): Notice {
  const { at, phase, text } = fieldsOf(value)
  return { at: time(at, `${from}: a notice`), phase: textOf(phase) ?? '', text: textOf(text) ?? '' }
}

function machineOf({ hostname, mac, product, kernel, diskless }: Fields): readonly string[] {
  const known = [
    textOf(hostname),
    textOf(mac),
    textOf(product),
    kernel === undefined ? undefined : `Linux ${textOf(kernel)}`,
    diskless === undefined ? undefined : `diskless ${textOf(diskless)}`,
  ]
  return known.filter((each) => each !== undefined)
}

/**
 * What the boot as a whole waited for: the last phase, the one whose end let that begin, and so on back to the first.
 */
export function criticalPath({ spans }: Boot): ReadonlySet<Span> {
  const path = new Set<Span>()
  const failed = spans.findLast(({ state }) => state === 'failed')
  const end = Math.max(...spans.map((span) => span.end))
  const last = spans.findLast((span) => span.end === end)
  for (let at = failed !== undefined && last?.name !== 'handoff' ? failed : last; at !== undefined; ) {
    const { waitedFor, start } = at
    if (path.has(at)) break
    path.add(at)
    const before = spans.filter(({ end }) => end <= start + 1)
    // What was asked for late has waited for nobody, and yet came after what ended last.
    at = before.findLast(({ name }) => name === waitedFor) ?? before.sort((a, b) => a.end - b.end).at(-1)
  }
  return path
}
