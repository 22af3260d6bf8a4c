/**
 * The story of a boot: its phases with their times, told on the consoles and to whoever listens for events, kept for
 * the timeline and for the next try.
 *
 * A phase is a function, so that it can be run again. What a phase learned about the machine is remembered between
 * tries; what it built in the root is built again.
 */

import { showDuration } from '../boot/format.ts'
import type { FetchOptions, HostMemory } from '../network/fetch.ts'
import { BootError, chainOf, type Sys } from '../sys/index.ts'
import type { BootEvents } from './listeners.ts'
import type { Bar, Screen } from './screen.ts'
import type { PhaseName, PhaseSpan, Timeline, TimelineNotice } from './timeline.ts'

/** What a phase may say while it runs. */
export interface Report {
  /** Fires when another phase failed: there is no point in going on. */
  readonly signal: AbortSignal
  /** Which servers are down, known to all downloads of this try. */
  readonly hosts: HostMemory
  /** What the phase's line says beside its name; the last word counts. */
  detail(text: string): void
  /** Something a person should know now: a retry, a wait. */
  notice(text: string): void
  /** For the log only. */
  note(text: string): void
  /** Something that will be wrong in the system that comes up: also repeated at the end. */
  warn(text: string): void
  /** `of`: which of the phase's downloads this is. */
  progress(state: Bar, of?: string): void
  /** Goes on beside the phases until the hand-over. Should it end with an error, that is a warning. */
  meanwhile(what: string, run: (signal: AbortSignal) => Promise<void>): void
}

export interface Failure {
  readonly phase: PhaseName
  readonly error: unknown
}

export type Phase<N extends readonly unknown[], T> = (report: Report, needed: N) => Promise<T>

export type Promises<N extends readonly unknown[]> = { readonly [K in keyof N]: Promise<N[K]> }

export interface Story {
  /**
   * Runs once what it needs is there, and is timed from then on. Rejects with the error of what it needs, which is
   * told where it arose.
   */
  phase<N extends readonly unknown[], T>(name: PhaseName, needs: Promises<N>, run: Phase<N, T>): Promise<T>
  /** A phase that runs when first asked for, and again only if it failed: what it learned stays between tries. */
  once<N extends readonly unknown[], T>(
    name: PhaseName,
    needs: () => Promises<N>,
    run: Phase<N, T>,
  ): () => Promise<T>
  /** Begins another try. */
  tryAgain(why: string): void
  /** Resolves when no phase is running any more. */
  settled(): Promise<void>
  say(text: string): void
  warn(text: string): void
  /** The first phase that failed in this try, with its own error (not the ABORTED of those after it). */
  readonly failure: Failure | undefined
  readonly warnings: readonly string[]
  readonly log: readonly string[]
  timeline(): Timeline
}

/** Lines kept for `log`, and notices for the timeline. */
const longestLog = 2000
const mostNotices = 200

export function tellStory(sys: Sys, screen: Screen, events: BootEvents): Story {
  const script = sys.clock.now()
  const spans: PhaseSpan[] = []
  const log: string[] = []
  const warnings: string[] = []
  const notices: TimelineNotice[] = []
  const running = new Set<Promise<unknown>>()
  let attempt = 1
  let abort = new AbortController()
  let hosts: HostMemory = new Map()
  let failure: Failure | undefined
  /** What goes on meanwhile ends with the engine. */
  const forever = new AbortController().signal

  events.send({ event: 'begin', at: script, started: sys.clock.started })

  function record(text: string): void {
    log.push(`${(sys.clock.now() / 1000).toFixed(3)} ${text}`)
    if (log.length > longestLog) log.shift()
  }

  function say(text: string): void {
    record(text)
    screen.line(text)
  }

  function warn(text: string): void {
    record(`warning: ${text}`)
    screen.important(`warning: ${text}`)
    events.send({ event: 'warning', at: sys.clock.now(), text })
    if (!warnings.includes(text)) warnings.push(text)
  }

  /** For PID 1, to say what was being done if the engine dies. */
  function note(text: string): void {
    sys.supervisor
      .note(text)
      .catch((error: unknown) => record(`the supervisor was not told: ${String(error)}`))
  }

  function reportOf(name: PhaseName, span: PhaseSpan): Report {
    const downloads = new Map<string, number>()
    return {
      signal: abort.signal,
      hosts,
      detail: (text) => {
        span.detail = text
      },
      notice: (text) => {
        record(`${name}: ${text}`)
        screen.line(`  ${name}: ${text}`)
        const at = sys.clock.now()
        events.send({ event: 'notice', at, phase: name, text })
        if (notices.length < mostNotices) notices.push({ at, phase: name, text })
      },
      note: (text) => record(`${name}: ${text}`),
      warn,
      progress: (bar, of = '') => {
        screen.progress(name, span.start, bar)
        downloads.set(of, bar.done)
        span.bytes = [...downloads.values()].reduce((sum, bytes) => sum + bytes, 0)
        const { bytes } = span
        const { total, text } = bar
        events.progress({ event: 'progress', at: sys.clock.now(), phase: name, bytes, total, text })
      },
      meanwhile: (what, run) => {
        run(forever).catch((error: unknown) => warn(`${what} ended: ${chainOf(error).join(': ')}`))
      },
    }
  }

  async function runPhase<N extends readonly unknown[], T>(
    name: PhaseName,
    needs: Promises<N>,
    run: Phase<N, T>,
  ): Promise<T> {
    const asked = sys.clock.now()
    const aborted = abort
    const needed = await Promise.all(needs)
    const waitedFor = lastEnded(asked)
    const span: PhaseSpan = {
      name,
      attempt,
      asked,
      start: sys.clock.now(),
      end: undefined,
      state: 'running',
      detail: '',
      ...(waitedFor === undefined ? {} : { waitedFor }),
    }
    spans.push(span)
    record(`${name} begins`)
    note(`the phase ${name}`)
    events.send({ event: 'phase', at: span.start, name, state: 'start', attempt })
    try {
      aborted.signal.throwIfAborted()
      const result = await run(reportOf(name, span), needed)
      span.end = sys.clock.now()
      span.state = 'done'
      screen.endProgress(name)
      const line =
        `  ${name.padEnd(9)} ${showDuration(span.end - span.start).padStart(8)}  ${span.detail}`.trimEnd()
      record(line.trim())
      screen.line(line)
      const { bytes, detail } = span
      events.send({ event: 'phase', at: span.end, name, state: 'done', attempt, detail, bytes })
      await events.open()
      return result
    } catch (error) {
      span.end = sys.clock.now()
      screen.endProgress(name)
      // What fails after the first failure fails because of it.
      span.state = failure === undefined ? 'failed' : 'given up'
      record(`${name} ${span.state}: ${chainOf(error).join(': ')}`)
      events.send({ event: 'phase', at: span.end, name, state: span.state, attempt })
      failure ??= { phase: name, error }
      aborted.abort()
      throw error
    }
  }

  /** What begins now was waiting for it, if that ended after it had been asked for. */
  function lastEnded(asked: number): PhaseName | undefined {
    let last: { readonly name: PhaseName; readonly end: number } | undefined
    for (const { name, state, end } of spans) {
      if (state === 'done' && end !== undefined && end > asked && end >= (last?.end ?? 0))
        last = { name, end }
    }
    return last?.name
  }

  function phase<N extends readonly unknown[], T>(
    name: PhaseName,
    needs: Promises<N>,
    run: Phase<N, T>,
  ): Promise<T> {
    const promise = runPhase(name, needs, run)
    running.add(promise)
    // Somebody awaits it where its result is needed; until then a failure must not count as unhandled.
    const ended = () => running.delete(promise)
    promise.then(ended, ended)
    return promise
  }

  function once<N extends readonly unknown[], T>(
    name: PhaseName,
    needs: () => Promises<N>,
    run: Phase<N, T>,
  ): () => Promise<T> {
    let known: Promise<T> | undefined
    return () => {
      known ??= phase(name, needs(), run)
      known.catch(() => {
        known = undefined
      })
      return known
    }
  }

  return {
    phase,
    once,
    tryAgain(why) {
      attempt++
      abort = new AbortController()
      hosts = new Map()
      failure = undefined
      say(`Trying again: ${why}`)
      events.send({ event: 'retry', at: sys.clock.now(), attempt, why })
    },
    async settled() {
      while (running.size > 0) await Promise.allSettled([...running])
    },
    say,
    warn,
    get failure() {
      return failure
    },
    warnings,
    log,
    timeline: () => ({
      version: 1,
      started: sys.clock.started,
      script,
      attempts: attempt,
      warnings,
      phases: spans.map((span) => ({ ...span })),
      notices: [...notices],
    }),
  }
}

/** An error as it is shown: what was tried, what came back, what to do. */
export function explain(error: unknown): {
  readonly chain: readonly string[]
  readonly advice: readonly string[]
} {
  const advice: string[] = []
  for (let at: unknown = error; at instanceof Error; at = at.cause)
    if (at instanceof BootError) advice.push(...at.advice)
  return { chain: chainOf(error), advice }
}

/** How a phase's download tells of its retries and its progress. */
export function fetchOptions(report: Report, what: string): FetchOptions {
  return {
    signal: report.signal,
    memory: report.hosts,
    onRetry: ({ attempt, of, url, error, waitMs }) =>
      report.notice(
        `${what}: try ${attempt} of ${of} failed (${url}: ${error.message.replace(`${error.subject}: `, '')}); again in ${showDuration(waitMs)}`,
      ),
    onBreak: ({ why, attempt, of, waitMs }, url = '') =>
      report.notice(
        `${what}: the connection broke (${url}: ${why}); goes on there in ${showDuration(waitMs)}, ${attempt} of ${of}`,
      ),
    onProgress: ({ bytes, total }) => report.progress({ done: bytes, total: total ?? 0, text: '' }, what),
  }
}
