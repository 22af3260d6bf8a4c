/** Scripted HTTP and TFTP servers: what they answer, how slowly, and where they break off. */

import {
  type Break,
  type Deadlines,
  type Progress,
  type Source,
  SysError,
  type Validator,
} from '../../../src/sys/index.ts'
import { aborted, type VirtualClock } from './clock.ts'
import { refusal } from './faults.ts'
import { tooBig } from './filters.ts'
import type { Names } from './names.ts'
import type { FakeNetwork } from './network.ts'

export interface Answer {
  /** Default 200. */
  readonly status?: number
  readonly body?: string | Uint8Array
  /** Before the first byte. */
  readonly delayMs?: number
  readonly bytesPerSecond?: number
  /** The connection closes after so many bytes of the announced length. */
  readonly truncateAt?: number
  /** After so many bytes nothing more comes. */
  readonly stallAt?: number
  /** Of a request for a part: the whole is sent instead. */
  readonly ignoresRange?: true
  readonly redirect?: string
  /** Seconds, sent with an error status. */
  readonly retryAfter?: number
  /** No length is announced. */
  readonly chunked?: boolean
  /** Told with the body; a request that knows it, or the date when there is no tag, gets 304. */
  readonly etag?: string
  readonly lastModified?: string
  /** The connection fails in this way instead. */
  readonly fails?: 'ECONNREFUSED' | 'ECONNRESET' | 'EHOSTUNREACH' | 'TLS' | 'DNS'
}

export interface ServedRequest {
  readonly url: string
  readonly at: number
  /** What the request's If-None-Match and If-Modified-Since say. */
  readonly unlessStill?: Validator
  /** What the request's Range and If-Range say. */
  readonly rest?: { readonly from: number; readonly condition: string }
  /** Whom the request came by. */
  readonly proxy?: string
  /** What was posted. */
  readonly body?: string
}

/** A transfer that broke off in the middle. */
class Broken extends Error {
  readonly error: SysError
  readonly bytes: number
  readonly condition: string | undefined

  constructor(error: SysError, bytes: number, { etag, lastModified }: Answer) {
    super(error.message)
    this.error = error
    this.bytes = bytes
    this.condition = etag ?? lastModified
  }
}

/** Asked for the rest, the server has something else. */
class Refused extends Error {
  readonly error: SysError

  constructor(error: SysError) {
    super(error.message)
    this.error = error
  }
}

export interface Fetched {
  readonly body: Buffer
  readonly validator: Validator | undefined
}

export type Server = (request: ServedRequest & { readonly attempt: number }) => Answer | undefined

export interface FetchOptions {
  readonly signal?: AbortSignal
  readonly onProgress?: (progress: Progress) => void
  readonly onBreak?: (broken: Break) => void
  /** More than this need not be fetched: a filter refuses it. */
  readonly atMost?: number
}

export class FakeServers {
  /** Every request that reached a server. */
  readonly requests: ServedRequest[] = []
  readonly #clock: VirtualClock
  readonly #network: FakeNetwork | undefined
  readonly #answers: ReadonlyMap<string, Answer | Server>
  readonly #names: Names

  /** `network`: what a request needs to get through; without one, everything does. */
  constructor(options: {
    readonly clock: VirtualClock
    readonly network: FakeNetwork | undefined
    readonly answers: ReadonlyMap<string, Answer | Server>
    readonly names: Names
  }) {
    this.#clock = options.clock
    this.#network = options.network
    this.#answers = options.answers
    this.#names = options.names
  }

  async fetch(source: Exclude<Source, { kind: 'file' }>, options: FetchOptions): Promise<Fetched> {
    const { afterMs, on } = (source.kind === 'http' ? source.resume : undefined) ?? { afterMs: [], on: [] }
    const started = this.#clock.now()
    let rest: ServedRequest['rest']
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#transfer(source, options, started, rest)
      } catch (thrown) {
        if (thrown instanceof Refused) throw thrown.error
        const error = thrown instanceof Broken ? thrown.error : thrown
        if (thrown instanceof Broken && thrown.condition !== undefined && thrown.bytes > 0) {
          rest = { from: thrown.bytes, condition: thrown.condition }
        }
        const waitMs = afterMs[attempt - 1]
        const late = this.#clock.now() - started >= source.deadlines.totalMs
        const isBreak = error instanceof SysError && rest !== undefined && on.includes(error.code) && !late
        if (!isBreak || rest === undefined || waitMs === undefined) throw error
        options.onBreak?.({ bytes: rest.from, why: error.message, attempt, of: afterMs.length, waitMs })
        await this.#clock.sleep(waitMs, options.signal)
      }
    }
  }

  async #transfer(
    source: Exclude<Source, { kind: 'file' }>,
    options: FetchOptions,
    started: number,
    rest: ServedRequest['rest'],
  ): Promise<Fetched> {
    const { kind, url, deadlines } = source
    const proxy = source.kind === 'http' ? source.proxy : undefined
    const operation = `pipeline.${kind}`
    const shown = withoutPassword(url)
    const wait = async (milliseconds: number, limit: number, what: string) => {
      const left = Math.min(limit, started + deadlines.totalMs - this.#clock.now())
      await this.#clock.sleep(Math.min(milliseconds, left), options.signal).catch(() => {
        throw aborted(operation, shown)
      })
      if (milliseconds > left) throw refusal('TIMEOUT', operation, shown, what)
    }
    let at = url
    for (let hops = 0; hops <= 5; hops += 1) {
      if (options.signal?.aborted) throw aborted(operation, shown)
      await this.#connect(operation, proxy ?? at, shown, wait, deadlines)
      const answer = this.#answer(source, at, rest)
      if (answer.fails)
        throw refusal(answer.fails, operation, shown, answer.fails === 'TLS' ? 'bad certificate' : undefined)
      await wait(answer.delayMs ?? 0, deadlines.stallMs, 'no answer')
      if (answer.redirect !== undefined && source.kind === 'http' && source.body !== undefined) {
        throw new SysError({
          ...{ code: 'HTTP', operation, subject: shown, status: 302 },
          message: 'the server answered 302 (Found)',
        })
      }
      if (answer.redirect !== undefined) {
        at = new URL(answer.redirect, at).href
        continue
      }
      const validator = kind === 'http' ? validatorOf(answer) : undefined
      const still = source.kind === 'http' && matches(validator, source.unlessStill)
      const said = still ? { status: 304 } : answer
      const same = rest === undefined || [answer.etag, answer.lastModified].includes(rest.condition)
      if (rest !== undefined && said.status === undefined && (!same || answer.ignoresRange)) {
        throw new Refused(
          refusal('TRUNCATED', operation, shown, 'asked for the rest the server answered 200'),
        )
      }
      return { body: await this.#body(said, operation, shown, wait, deadlines, options), validator }
    }
    throw refusal('HTTP', operation, shown, 'too many redirects')
  }

  #answer(source: Exclude<Source, { kind: 'file' }>, url: string, rest: ServedRequest['rest']): Answer {
    const bare = new URL(url)
    bare.username = ''
    bare.password = ''
    const key = [url, bare.href].find((each) => this.#answers.has(each))
    const nothing = { unlessStill: undefined, proxy: undefined, body: undefined }
    const { unlessStill: known, proxy, body } = source.kind === 'http' ? source : nothing
    const request = {
      url,
      at: this.#clock.now(),
      ...(known === undefined || rest !== undefined ? {} : { unlessStill: known }),
      ...(rest === undefined ? {} : { rest }),
      ...(proxy === undefined ? {} : { proxy }),
      ...(body === undefined ? {} : { body }),
    }
    this.requests.push(request)
    const attempt = this.requests.filter((other) => other.url === url).length
    const fallback = this.#answers.get('*')
    const found = key === undefined ? fallback : this.#answers.get(key)
    const answer = typeof found === 'function' ? found({ ...request, attempt }) : found
    if (answer !== undefined) return answer
    if (source.kind === 'tftp')
      throw refusal('ENOENT', 'pipeline.tftp', withoutPassword(url), 'File not found')
    return { status: 404 }
  }

  async #connect(
    operation: string,
    url: string,
    shown: string,
    wait: (milliseconds: number, limit: number, what: string) => Promise<void>,
    deadlines: Deadlines,
  ): Promise<void> {
    if (this.#network === undefined) return
    const host = new URL(url).hostname
    const found = this.#names.lookup(host)
    if (found.kind === 'unanswered') {
      throw refusal('DNS', operation, shown, `${host} cannot be resolved: no name server answers`)
    }
    if (found.kind === 'unknown') throw refusal('DNS', operation, shown, `${host} does not exist`)
    const { address } = found
    const network = this.#network
    if (network.reaches(address)) return
    if (network.routed(address)) await wait(Number.POSITIVE_INFINITY, deadlines.connectMs, 'no connection')
    throw refusal('ENETUNREACH', operation, shown)
  }

  async #body(
    answer: Answer,
    operation: string,
    shown: string,
    wait: (milliseconds: number, limit: number, what: string) => Promise<void>,
    deadlines: Deadlines,
    options: FetchOptions,
  ): Promise<Buffer> {
    const status = answer.status ?? 200
    if (status < 200 || status > 299) {
      const { retryAfter } = answer
      const fields = {
        code: 'HTTP' as const,
        operation,
        subject: shown,
        message: `the server answered ${status}`,
        status,
      }
      throw new SysError(retryAfter === undefined ? fields : { ...fields, retryAfter })
    }
    const body = Buffer.from(answer.body ?? '')
    const total = answer.chunked ? undefined : body.length
    const { atMost } = options
    if (atMost !== undefined && total !== undefined && total > atMost) {
      throw tooBig('pipeline.limit', shown, atMost)
    }
    const end = Math.min(answer.truncateAt ?? body.length, answer.stallAt ?? body.length)
    const rate = answer.bytesPerSecond ?? Number.POSITIVE_INFINITY
    const step = Math.max(1, Math.floor(rate / 10))
    for (let read = 0; read < end; ) {
      const next = Math.min(end, read + step)
      if (rate !== Number.POSITIVE_INFINITY)
        await wait(((next - read) * 1000) / rate, deadlines.totalMs, 'too slow')
      read = next
      options.onProgress?.({ bytes: read, total })
      if (atMost !== undefined && read > atMost) return body.subarray(0, read)
    }
    try {
      if (answer.stallAt !== undefined && answer.stallAt < body.length) {
        const what = `no byte for ${deadlines.stallMs} ms, after ${end}`
        await wait(Number.POSITIVE_INFINITY, deadlines.stallMs, what)
      }
      if (answer.truncateAt !== undefined && answer.truncateAt < body.length) {
        throw refusal('TRUNCATED', operation, shown, `ended after ${end} of ${body.length} bytes`)
      }
    } catch (error) {
      throw error instanceof SysError ? new Broken(error, end, answer) : error
    }
    return body
  }
}

function validatorOf({ etag, lastModified }: Answer): Validator | undefined {
  if (etag === undefined && lastModified === undefined) return undefined
  return {
    ...(etag === undefined ? {} : { etag }),
    ...(lastModified === undefined ? {} : { lastModified }),
  }
}

/** RFC 9110, 13.2.2: the date counts only where no tag was sent. */
function matches(now: Validator | undefined, known: Validator | undefined): boolean {
  if (now === undefined || known === undefined) return false
  if (known.etag !== undefined) return known.etag === now.etag
  return known.lastModified !== undefined && known.lastModified === now.lastModified
}

function withoutPassword(url: string): string {
  return url.replace(/^(\w+:\/\/)[^/@]*@/, '$1')
}
