/** Downloads: what is tried again, where, after how long, and what a person reads in the end. */

import { expect, test } from 'vitest'
import { type FetchLimits, fetchPipeline, type RetryNotice } from '../../../src/network/fetch.ts'
import {
  BootError,
  type Clock,
  chainOf,
  type ErrorCode,
  type Pipelines,
  SysError,
} from '../../../src/sys/index.ts'
import { fakeMachine } from '../../support/machine/index.ts'

type Answer = 'ok' | { code: ErrorCode; status?: number; retryAfter?: number; message?: string }

/** Servers by URL: the answers that each gives in turn, the last one for ever. Time passes only in waits. */
function fixture(servers: Record<string, readonly Answer[]>, random = 0, wall = Date.UTC(2026, 0, 1)) {
  let now = 1000
  const asked: { url: string; at: number }[] = []
  const notices: RetryNotice[] = []
  const clock: Clock = {
    started: 0,
    now: () => now,
    wall: () => wall,
    setWall: async () => {},
    sleep: async (ms, signal) => {
      if (signal?.aborted) {
        throw new SysError({ code: 'ABORTED', operation: 'clock.sleep', subject: 'wait', message: 'aborted' })
      }
      now += ms
    },
    random: () => random,
  }
  const machine = fakeMachine({ files: { '/hello': 'hello' } })
  const memory = new Map<string, number>()
  const given = new Map<string, number>()
  const pipelines: Pipelines = {
    async run(pipeline) {
      const url = pipeline.source.kind === 'file' ? pipeline.source.path : pipeline.source.url
      asked.push({ url, at: now })
      const answers = servers[url] ?? []
      const count = given.get(url) ?? 0
      given.set(url, count + 1)
      const answer = answers[Math.min(count, answers.length - 1)]
      if (answer === 'ok') {
        return machine.pipelines.run({ ...pipeline, source: { kind: 'file', path: '/hello' } })
      }
      const error = answer ?? { code: 'ENOENT' as const }
      throw new SysError({ operation: 'pipeline.http', subject: url, message: error.code, ...error })
    },
  }
  const fetch = (urls: readonly string[], limits: Partial<FetchLimits> = {}, signal?: AbortSignal) =>
    fetchPipeline(
      { clock, pipelines },
      { what: 'the overlay', urls, sink: { kind: 'text', bytes: 100 }, limits },
      { onRetry: (notice) => notices.push(notice), memory, ...(signal ? { signal } : {}) },
    )
  const urls = () => asked.map(({ url }) => url)
  const gaps = () => asked.slice(1).map(({ at }, i) => at - (asked[i]?.at ?? 0))
  return { fetch, asked, notices, urls, gaps }
}

async function failureOf(promise: Promise<unknown>): Promise<BootError> {
  const error = await promise.then(
    () => undefined,
    (e: unknown) => e,
  )
  expect(error).toBeInstanceOf(BootError)
  return error instanceof BootError ? error : new BootError('unreachable')
}

const A = 'http://a.example/x'
const B = 'http://b.example/x'

const passing: Answer[] = [
  { code: 'DNS' },
  { code: 'ECONNREFUSED' },
  { code: 'ECONNRESET' },
  { code: 'TIMEOUT' },
  { code: 'TRUNCATED' },
  ...[408, 425, 429, 500, 502, 503, 504].map((status): Answer => ({ code: 'HTTP', status })),
]
test.each(passing)('%o is tried again, and told', async (answer) => {
  const { fetch, notices, urls } = fixture({ [A]: [answer, answer, 'ok'] })
  expect(await fetch([A])).toEqual({ bytes: 5, text: 'hello' })
  expect(urls()).toEqual([A, A, A])
  expect(notices.map(({ attempt, of, url }) => ({ attempt, of, url }))).toEqual([
    { attempt: 1, of: 10, url: A },
    { attempt: 2, of: 10, url: A },
  ])
})

const lasting: Answer[] = [
  { code: 'HTTP', status: 404 },
  { code: 'HTTP', status: 403 },
  { code: 'DIGEST' },
  { code: 'SIGNATURE' },
  { code: 'FORMAT' },
  { code: 'ESCAPE' },
  { code: 'TOO_BIG' },
  { code: 'ENOSPC' },
  { code: 'TLS' },
  { code: 'ENOENT' },
]
test.each(lasting)('%o is not tried again', async (answer) => {
  const { fetch, notices, urls } = fixture({ [A]: [answer, 'ok'] })
  const error = await failureOf(fetch([A]))
  expect(urls()).toEqual([A])
  expect(notices).toEqual([])
  expect(error.message).toBe(`the overlay could not be fetched (1 try in 0 s) from ${A}`)
  expect(error.cause).toBeInstanceOf(SysError)
  expect(error.advice.length).toBeGreaterThan(0)
})

test('waits grow from half a second to thirty, and end', async () => {
  const { fetch, gaps, asked } = fixture({ [A]: [{ code: 'ECONNREFUSED' }] })
  const error = await failureOf(fetch([A]))
  expect(asked).toHaveLength(10)
  expect(gaps()).toEqual([500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000])
  expect(chainOf(error)).toEqual([
    `the overlay could not be fetched (10 tries in 122 s) from ${A}`,
    `${A}: ECONNREFUSED`,
  ])
  expect(error.advice).toEqual(['Check that the server is running on a.example and listens on that port.'])
})

test('a share whose server does not answer is tried as long, and its medium is named', async () => {
  const path = '/media/alpine_dev/apks/x86_64/a.apk'
  const { fetch, urls } = fixture({ [path]: [{ code: 'ETIMEDOUT' }, { code: 'ETIMEDOUT' }, 'ok'] })
  await fetch([path])
  expect(urls()).toHaveLength(3)
  const dead = fixture({ [path]: [{ code: 'ETIMEDOUT' }] })
  const error = await failureOf(dead.fetch([path]))
  expect(error.advice).toEqual([
    `${path} is on a medium that does not answer: look at the server of the share, or at the disk. The boot's line "media" names it.`,
  ])
})

test('jitter takes off up to half, so that a herd drifts apart', async () => {
  const { fetch, gaps } = fixture({ [A]: [{ code: 'TIMEOUT' }, { code: 'TIMEOUT' }, 'ok'] }, 0.5)
  await fetch([A])
  expect(gaps()).toEqual([375, 750])
})

test('Retry-After is waited for, never cut short, and not believed beyond two minutes', async () => {
  const unavailable = (retryAfter: number): Answer => ({ code: 'HTTP', status: 503, retryAfter })
  const { fetch, gaps } = fixture({ [A]: [unavailable(7), unavailable(86_400), 'ok'] }, 0.4)
  await fetch([A])
  expect(gaps()).toEqual([7700, 132_000])
})

test('patience ends the tries before their number does', async () => {
  const { fetch, asked } = fixture({ [A]: [{ code: 'HTTP', status: 503, retryAfter: 60 }] })
  const error = await failureOf(fetch([A], { patienceMs: 150_000 }))
  expect(asked.map(({ at }) => at)).toEqual([1000, 61_000, 121_000])
  expect(error.message).toContain('3 tries in 120 s')
  expect(error.advice).toEqual(['Look at the log of the web server on a.example.'])
})

test('a mirror that is down: the next one is asked at once', async () => {
  const { fetch, urls, gaps, notices } = fixture({ [A]: [{ code: 'ECONNREFUSED' }], [B]: ['ok'] })
  await fetch([A, B])
  expect(urls()).toEqual([A, B])
  expect(gaps()).toEqual([0])
  expect(notices[0]).toMatchObject({ attempt: 1, of: 20, url: A, nextUrl: B, waitMs: 0 })
})

test('a mirror that is down costs one download a try, not each; alone it is asked all the same', async () => {
  const { fetch, urls } = fixture({ [A]: [{ code: 'TIMEOUT' }, 'ok'], [B]: ['ok'] })
  await fetch([A, B])
  await fetch([A, B])
  expect(urls()).toEqual([A, B, B])
  await fetch([A])
  expect(urls()).toEqual([A, B, B, A])
})

test('a mirror without the file is left, one that is busy is asked again', async () => {
  const { fetch, urls } = fixture({
    [A]: [{ code: 'HTTP', status: 404 }],
    [B]: [{ code: 'HTTP', status: 503 }, { code: 'HTTP', status: 503 }, 'ok'],
  })
  await fetch([A, B])
  expect(urls()).toEqual([A, B, B, B])
})

test('mirrors take turns, and the error names what each said', async () => {
  const { fetch, urls } = fixture({
    [A]: [{ code: 'DIGEST', message: 'digest is wrong' }],
    [B]: [{ code: 'TIMEOUT', message: 'no byte for 30 s' }],
  })
  const error = await failureOf(fetch([A, B], { triesPerUrl: 2 }))
  expect(urls()).toEqual([A, B, B])
  expect(error.message).toBe(
    `the overlay could not be fetched from 2 mirrors in 1 s: ${A}: digest is wrong (1 try); ${B}: no byte for 30 s (2 tries)`,
  )
  expect(error.advice).toHaveLength(2)
})

test('an archive that tries to escape stops everything: no mirror is asked', async () => {
  const { fetch, urls } = fixture({ [A]: [{ code: 'ESCAPE' }], [B]: ['ok'] })
  await failureOf(fetch([A, B]))
  expect(urls()).toEqual([A])
})

test('an abort is passed on as it is', async () => {
  const controller = new AbortController()
  const { fetch } = fixture({ [A]: [{ code: 'TIMEOUT' }, 'ok'] })
  controller.abort()
  await expect(fetch([A], {}, controller.signal)).rejects.toMatchObject({ code: 'ABORTED' })
})

test('a mirror that nothing can read is refused before anything is fetched', async () => {
  const { fetch, urls } = fixture({ [A]: ['ok'] })
  const error = await failureOf(fetch([A, 'ftp://u:secret@old.example/x']))
  expect(urls()).toEqual([])
  expect(error.message).toBe('ftp://u:***@old.example/x: ftp:// is refused, init does not speak it')
})

test('passwords reach neither notices nor errors', async () => {
  const secret = 'http://user:hunter2@a.example/x?token=abc'
  const { fetch, notices } = fixture({ [secret]: [{ code: 'TIMEOUT' }] })
  const error = await failureOf(fetch([secret], { triesPerUrl: 2 }))
  const printed = JSON.stringify([
    error.message,
    error.advice,
    notices.map(({ url, nextUrl }) => [url, nextUrl]),
  ])
  expect(printed).not.toMatch(/hunter2|abc/)
  expect(printed).toContain('http://user:***@a.example/x?token=***')
})

test('no URL at all is said', async () => {
  const error = await failureOf(fixture({}).fetch([]))
  expect(error.message).toBe('the overlay could not be fetched: no URL was given')
})

test('a wrong clock is named as the reason of a refused certificate, and only of one refused for its time', async () => {
  const refusedFor = async (message: string) => {
    const { fetch } = fixture({ 'https://a.example/x': [{ code: 'TLS', message }] }, 0, Date.UTC(2020, 0, 1))
    return (await failureOf(fetch(['https://a.example/x']))).advice.join(' ')
  }
  // As rustls says them.
  expect(await refusedFor('certificate not valid yet: verification time 5 (UNIX)')).toContain(
    'clock says 2020-01-01',
  )
  expect(await refusedFor('certificate expired: verification time 5 (UNIX)')).toContain(
    'the clock is the reason',
  )
  expect(await refusedFor('invalid peer certificate: UnknownIssuer')).not.toContain('clock')
})
