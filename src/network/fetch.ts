/**
 * A download that does not give up at the first lost packet, and does not go on for ever: mirrors in turn, tries
 * with growing waits, every retry told, and at the end one error that says what was tried and what came back.
 */

import type {
  Break,
  Deadlines,
  Filter,
  Pipeline,
  PipelineOptions,
  Progress,
  Results,
  Resume,
  Sink,
  Source,
  Sys,
  Validator,
} from '../sys/index.ts'
import { BootError, hasCode, SysError } from '../sys/index.ts'
import { adviceFor, cameWrong, PASSING, verdictOn } from './fetch-errors.ts'
import { hostOf, redactUrl, sourceOf } from './url.ts'

export { redactUrl, redactUrls } from './url.ts'

/** 10 s to connect, 30 s without a byte, half an hour in all. */
export const DEFAULT_DEADLINES: Deadlines = { connectMs: 10_000, stallMs: 30_000, totalMs: 1_800_000 }

/** How long a download is tried. What ends first ends it. */
export interface FetchLimits {
  /** Tries of one URL. */
  readonly triesPerUrl: number
  /** Milliseconds since the start after which no further try begins. */
  readonly patienceMs: number
}

/** Ten tries: with their waits two minutes, as long as DHCP is tried. */
export const DEFAULT_LIMITS: FetchLimits = { triesPerUrl: 10, patienceMs: 300_000 }

const FIRST_WAIT_MS = 500
const LONGEST_WAIT_MS = 30_000
/** A server may ask for more with Retry-After; more than this is not believed. */
const LONGEST_RETRY_AFTER_MS = 120_000

/**
 * How often one try goes on after a break of its connection, with waits that grow as those between tries do. With
 * another mirror to go to, a server that is gone is not waited for.
 */
const RECONNECTIONS = { alone: 6, amongMirrors: 2 }

export interface FetchRequest<K extends Sink['kind']> {
  /** For a person: `the overlay`, `the package busybox-1.36.1-r15`. */
  readonly what: string
  /** Mirrors of the same thing, the preferred one first. */
  readonly urls: readonly string[]
  readonly filters?: readonly Filter[]
  readonly sink: Extract<Sink, { kind: K }>
  readonly deadlines?: Partial<Deadlines>
  readonly limits?: Partial<FetchLimits>
  /** What is known of one of the URLs: an unchanged resource is an error with the cause HTTP, status 304. */
  readonly known?: { readonly url: string; readonly validator: Validator }
  readonly aside?: Pipeline['aside']
}

/** A try that failed, and that another one follows. */
export interface RetryNotice {
  /** The try that failed, from 1. */
  readonly attempt: number
  /** The most tries that there will be. */
  readonly of: number
  /** What failed; no password in it. */
  readonly url: string
  /** What is tried next. */
  readonly nextUrl: string
  readonly error: SysError
  readonly waitMs: number
}

/** `fetchPipeline`, or what does more. */
export type Fetch = typeof fetchPipeline

export interface FetchOptions {
  readonly signal?: AbortSignal
  readonly onProgress?: (progress: Progress) => void
  readonly onRetry?: (notice: RetryNotice) => void
  /** Which of the URLs it was that delivered; not called for what came from a cache. */
  readonly onDelivered?: (url: string) => void
  /** The connection broke, and the download goes on where it was. */
  readonly onBreak?: (broken: Break, url?: string) => void
  /** Shared by the downloads of a boot, so that a mirror that is down costs one of them a try, and not each. */
  readonly memory?: HostMemory
}

/** By host, the clock.now before which another mirror is preferred. */
export type HostMemory = Map<string, number>

/** One mirror's state during a fetch. */
interface Mirror {
  readonly url: string
  tries: number
  /** clock.now before which it is not asked again. */
  notBefore: number
  lastError: SysError | undefined
  /** It answered something that asking again does not change. */
  hopeless: boolean
}

/**
 * Runs the pipeline from the first mirror that delivers.
 *
 * Rejects with a `BootError` when every try failed, or with the `SysError` ABORTED when the signal fired. What a sink
 * of kind `tree` unpacked before a failure is still there: a caller whose mirrors may differ unpacks from a file.
 */
export async function fetchPipeline<K extends Sink['kind']>(
  sys: Pick<Sys, 'pipelines' | 'clock'>,
  request: FetchRequest<K>,
  options: FetchOptions = {},
): Promise<Results[K]> {
  const deadlines = { ...DEFAULT_DEADLINES, ...request.deadlines }
  const limits = { ...DEFAULT_LIMITS, ...request.limits }
  const started = sys.clock.now()
  // A URL that nothing can read is a mistake in the configuration: said before anything is fetched.
  const sources = new Map(request.urls.map((url) => [url, sourceOf(url, deadlines)]))
  const mirrors = [...sources.keys()].map((url) => newMirror(url, options.memory))
  const isOpen = (mirror: Mirror) => !mirror.hopeless && mirror.tries < limits.triesPerUrl

  for (let attempt = 1; ; attempt++) {
    const mirror = nextMirror(mirrors.filter(isOpen))
    const source = mirror && sources.get(mirror.url)
    if (!mirror || !source) throw failure(sys, request, mirrors, undefined, started)
    mirror.tries++
    try {
      const result = await sys.pipelines.run<K>(
        {
          source: askedWith(source, {
            unlessStill: request.known?.url === mirror.url ? request.known.validator : undefined,
            resume: () => ({ afterMs: reconnections(mirrors.length, sys.clock), on: [...PASSING] }),
          }),
          ...(request.aside === undefined ? {} : { aside: request.aside }),
          filters: request.filters ?? [],
          sink: request.sink,
        },
        pipelineOptions(options, mirror.url),
      )
      options.onDelivered?.(mirror.url)
      return result
    } catch (error) {
      if (!(error instanceof SysError) || hasCode(error, 'ABORTED')) throw error
      mirror.lastError = error
      const verdict = verdictOn(error)
      if (verdict === 'stop') throw failure(sys, request, mirrors, error, started)
      mirror.hopeless = verdict === 'elsewhere'
      if (verdict === 'again') remember(options.memory, mirror.url, sys.clock.now())
      mirror.notBefore = sys.clock.now() + waitAfter(error, mirror.tries, sys.clock.random())

      const open = mirrors.filter(isOpen)
      const next = nextMirror(open)
      if (!next) throw failure(sys, request, mirrors, error, started)
      const waitMs = Math.max(0, next.notBefore - sys.clock.now())
      if (sys.clock.now() + waitMs - started > limits.patienceMs) {
        throw failure(sys, request, mirrors, error, started)
      }
      options.onRetry?.({
        attempt,
        of: attempt + open.reduce((sum, { tries }) => sum + limits.triesPerUrl - tries, 0),
        url: redactUrl(mirror.url),
        nextUrl: redactUrl(next.url),
        error,
        waitMs,
      })
      if (waitMs > 0) await sys.clock.sleep(waitMs, options.signal)
    }
  }
}

function askedWith(
  source: Source,
  { unlessStill, resume }: { readonly unlessStill: Validator | undefined; readonly resume: () => Resume },
): Source {
  if (source.kind !== 'http') return source
  return { ...source, resume: resume(), ...(unlessStill === undefined ? {} : { unlessStill }) }
}

function reconnections(mirrors: number, clock: Sys['clock']): readonly number[] {
  const length = mirrors === 1 ? RECONNECTIONS.alone : RECONNECTIONS.amongMirrors
  return Array.from({ length }, (_, made) => Math.round(backoff(made + 1, clock.random())))
}

function newMirror(url: string, memory: HostMemory | undefined): Mirror {
  const notBefore = memory?.get(hostOf(url) ?? '') ?? 0
  return { url, tries: 0, notBefore, lastError: undefined, hopeless: false }
}

/** How long a host that did not answer comes after the others, for the downloads that begin meanwhile. */
const REMEMBERED_MS = 60_000

function remember(memory: HostMemory | undefined, url: string, now: number): void {
  const host = hostOf(url)
  if (host !== undefined) memory?.set(host, now + REMEMBERED_MS)
}

/** The mirror that may be asked first; of several, the one named first. */
function nextMirror(open: readonly Mirror[]): Mirror | undefined {
  return open.reduce<Mirror | undefined>(
    (best, mirror) => (best === undefined || mirror.notBefore < best.notBefore ? mirror : best),
    undefined,
  )
}

/**
 * Milliseconds of waiting after the so-manieth failure: 0.5, 1, 2, … 30 s, of which a random half is taken off, so that
 * clients which were switched on together drift apart.
 */
function backoff(failures: number, random: number): number {
  return Math.min(FIRST_WAIT_MS * 2 ** (failures - 1), LONGEST_WAIT_MS) * (1 - random / 2)
}

/** Milliseconds to leave a mirror alone. */
function waitAfter(error: SysError, tries: number, random: number): number {
  const least = backoff(tries, random)
  if (error.retryAfter === undefined) return least
  // Later than asked, never earlier, and not all at the same instant.
  const asked = Math.min(Math.max(0, error.retryAfter * 1000), LONGEST_RETRY_AFTER_MS) * (1 + random / 4)
  return Math.max(least, asked)
}

/** Without what is undefined: exactOptionalPropertyTypes. */
export function pipelineOptions({ signal, onProgress, onBreak }: FetchOptions, url = ''): PipelineOptions {
  return {
    ...(onBreak === undefined ? {} : { onBreak: (broken) => onBreak(broken, redactUrl(url)) }),
    ...(signal === undefined ? {} : { signal }),
    ...(onProgress === undefined ? {} : { onProgress }),
  }
}

function failure(
  sys: Pick<Sys, 'clock'>,
  request: { readonly what: string },
  mirrors: readonly Mirror[],
  cause: SysError | undefined,
  started: number,
): BootError {
  if (cause === undefined) return new BootError(`${request.what} could not be fetched: no URL was given`)
  const seconds = Math.round((sys.clock.now() - started) / 1000)
  const tried = mirrors.filter(({ tries }) => tries > 0)
  const [only] = tried.length === 1 ? tried : []
  const message = only
    ? // The cause says the rest.
      `${request.what} could not be fetched (${times(only.tries)} in ${seconds} s) from ${redactUrl(only.url)}`
    : `${request.what} could not be fetched from ${tried.length} mirrors in ${seconds} s: ${tried.map(oneLine).join('; ')}`
  const advice = tried.flatMap(({ url, lastError }) => adviceFor(url, lastError, sys.clock.wall()))
  // What came and is wrong says more than that another mirror had nothing, and is not to be excused by that.
  const wrong = tried.find(({ lastError }) => lastError !== undefined && cameWrong(lastError))?.lastError
  return new BootError(message, { cause: wrong ?? cause, advice: [...new Set(advice)] })
}

function oneLine({ url, tries, lastError }: Mirror): string {
  const shown = redactUrl(url)
  const answer = lastError?.message.replace(`${lastError.subject}: `, '') ?? 'no answer'
  return `${shown}: ${answer} (${times(tries)})`
}

function times(tries: number): string {
  return tries === 1 ? '1 try' : `${tries} tries`
}
