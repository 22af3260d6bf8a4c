/** Scripted HTTP and TFTP servers: what they answer, how slowly, and where they break off. */

import {
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
}

export interface Fetched {
  readonly body: Buffer
  readonly validator: Validator | undefined
}

export type Server = (request: ServedRequest & { readonly attempt: number }) => Answer | undefined

export interface FetchOptions {
  readonly signal?: AbortSignal
  readonly onProgress?: (progress: Progress) => void
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
    const { kind, url, deadlines } = source
    const operation = `pipeline.${kind}`
    const shown = withoutPassword(url)
    const started = this.#clock.now()
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
      await this.#connect(operation, at, shown, wait, deadlines)
      const answer = this.#answer(source, at)
      if (answer.fails)
        throw refusal(answer.fails, operation, shown, answer.fails === 'TLS' ? 'bad certificate' : undefined)
      await wait(answer.delayMs ?? 0, deadlines.stallMs, 'no answer')
      if (answer.redirect !== undefined) {
        at = new URL(answer.redirect, at).href
        continue
      }
      const validator = kind === 'http' ? validatorOf(answer) : undefined
      const still = source.kind === 'http' && matches(validator, source.unlessStill)
      const said = still ? { status: 304 } : answer
      return { body: await this.#body(said, operation, shown, wait, deadlines, options), validator }
    }
    throw refusal('HTTP', operation, shown, 'too many redirects')
  }

  #answer(source: Exclude<Source, { kind: 'file' }>, url: string): Answer {
    const bare = new URL(url)
    bare.username = ''
    bare.password = ''
    const key = [url, bare.href].find((each) => this.#answers.has(each))
    const known = source.kind === 'http' ? source.unlessStill : undefined
    const request = { url, at: this.#clock.now(), ...(known === undefined ? {} : { unlessStill: known }) }
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
    if (answer.stallAt !== undefined && answer.stallAt < body.length) {
      await wait(
        Number.POSITIVE_INFINITY,
        deadlines.stallMs,
        `no byte for ${deadlines.stallMs} ms, after ${end}`,
      )
    }
    if (answer.truncateAt !== undefined && answer.truncateAt < body.length) {
      throw refusal('TRUNCATED', operation, shown, `ended after ${end} of ${body.length} bytes`)
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
