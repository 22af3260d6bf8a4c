/** Downloads that break off, stall, or have a mirror that is down: what goes on, where, and what a person reads. */

import { expect, test } from 'vitest'
import { run } from '../../../src/init/run.ts'
import { fetchPipeline } from '../../../src/network/fetch.ts'
import type { Break } from '../../../src/sys/index.ts'
import { type Answer, fakeMachine, type Server } from '../../support/machine/index.ts'
import {
  commandLine,
  indexUrl,
  networkBoot,
  overlay,
  overlayUrl,
  packages,
  packageUrl,
  repositoryUrl,
  servers,
} from '../../support/scenario.ts'

const url = 'http://a.example/x'
const whole = { body: '0123456789', etag: '"1"' }

/** Fetches from servers that answer so, in turn. */
async function fetch(answers: readonly Answer[], urls: readonly string[] = [url]) {
  const server: Server = ({ attempt }) => answers[Math.min(attempt, answers.length) - 1]
  const machine = fakeMachine({ servers: { [url]: server, 'http://b.example/x': whole } })
  const breaks: Break[] = []
  const retries: string[] = []
  const result = await machine.run(
    fetchPipeline(
      machine,
      { what: 'it', urls, sink: { kind: 'text', bytes: 100 } },
      {
        onBreak: (broken) => breaks.push(broken),
        onRetry: ({ error }) => retries.push(error.message),
      },
    ).then(
      ({ text }) => text,
      (error: unknown) => error,
    ),
  )
  return { result, breaks, retries, requests: machine.servers.requests }
}

test('a download that breaks off goes on where it was, and it is told', async () => {
  const { result, breaks, retries, requests } = await fetch([
    { ...whole, truncateAt: 4 },
    { ...whole, stallAt: 7 },
    whole,
  ])
  expect(result).toBe(whole.body)
  expect(retries).toEqual([])
  expect(requests.map(({ rest }) => rest)).toEqual([
    undefined,
    { from: 4, condition: '"1"' },
    { from: 7, condition: '"1"' },
  ])
  expect(breaks.map(({ bytes, attempt, of }) => ({ bytes, attempt, of }))).toEqual([
    { bytes: 4, attempt: 1, of: 6 },
    { bytes: 7, attempt: 2, of: 6 },
  ])
  // The waits grow, with jitter.
  const [first, second] = breaks.map(({ waitMs }) => waitMs)
  expect(first).toBeGreaterThanOrEqual(250)
  expect(first).toBeLessThanOrEqual(500)
  expect(second).toBeGreaterThanOrEqual(500)
  expect(second).toBeLessThanOrEqual(1000)
})

test.each([
  ['changed meanwhile', { body: 'another one', etag: '"2"' }],
  ['cannot be had in parts', { ...whole, ignoresRange: true as const }],
])('what %s comes anew and whole', async (_, second) => {
  const { result, retries, requests } = await fetch([{ ...whole, truncateAt: 4 }, second])
  expect(result).toBe(second.body)
  expect(retries).toHaveLength(1)
  expect(requests.map(({ rest }) => rest?.from)).toEqual([undefined, 4, undefined])
})

test('what the server says nothing of that can be relied on comes anew', async () => {
  const { result, breaks, requests } = await fetch([{ body: 'abc', truncateAt: 1 }, { body: 'abc' }])
  expect(result).toBe('abc')
  expect(breaks).toEqual([])
  expect(requests).toHaveLength(2)
})

test('a connection that breaks for ever ends: reconnections and tries are counted', async () => {
  const { result, breaks, retries } = await fetch([{ ...whole, truncateAt: 4 }])
  expect(result).toMatchObject({ name: 'BootError' })
  expect(Math.max(...breaks.map(({ attempt }) => attempt))).toBe(6)
  expect(retries.length).toBeGreaterThan(0)
  expect(breaks.length).toBeLessThanOrEqual(6 * 10)
})

test('with another mirror, one that breaks off again and again is left', async () => {
  const { result, breaks } = await fetch([{ ...whole, truncateAt: 4 }], [url, 'http://b.example/x'])
  expect(result).toBe(whole.body)
  expect(breaks.map(({ of }) => of)).toEqual([2, 2])
})

test('a stall in the middle of a package does not begin it again (alpine.md, pain 3: downloads without retries)', async () => {
  const [slow] = packages.slice(1)
  if (slow === undefined) throw new Error('the scenario has packages')
  const answers = servers({
    [packageUrl(slow)]: ({ attempt }) => ({
      body: slow.bytes,
      etag: '"p"',
      ...(attempt === 1 ? { stallAt: 100 } : {}),
    }),
    [overlayUrl]: ({ attempt }) => ({
      body: overlay,
      lastModified: 'Sun, 06 Nov 1994 08:49:37 GMT',
      ...(attempt === 1 ? { truncateAt: 50 } : {}),
    }),
  })
  const machine = fakeMachine(networkBoot({ servers: answers }))
  void run(machine)
  expect((await machine.run(machine.supervisor.ended)).kind).toBe('handoff')
  const asked = (of: string) => machine.servers.requests.filter((request) => request.url === of)
  expect(asked(packageUrl(slow)).map(({ rest }) => rest?.from)).toEqual([undefined, 100])
  expect(asked(overlayUrl).map(({ rest }) => rest?.from)).toEqual([undefined, 50])
  const said = machine.consoles.text()
  expect(said).toMatch(/the overlay: the connection broke \(http:\/\/10\.0\.2\.2\/.*after 50.*goes on there/s)
  expect(said).toMatch(/the packages: the connection broke .*goes on there in .*, 1 of 6/)
})

test('a mirror that is down: the boot goes on from the next one (alpine.md, pain 3: no mirror failover)', async () => {
  const down = 'http://10.0.2.66/apks'
  const gone = (of: string) => of.replace(repositoryUrl, down)
  const dead: Answer = { fails: 'ECONNREFUSED' }
  const answers = servers({
    [gone(indexUrl)]: dead,
    [overlayUrl.replace('10.0.2.2', '10.0.2.67')]: dead,
    ...Object.fromEntries(packages.map((pkg) => [gone(packageUrl(pkg)), dead])),
  })
  const line = commandLine
    .replace(repositoryUrl, `${down}|${repositoryUrl}/x86_64`)
    .replace('apkovl=', 'apkovl=http://10.0.2.67/{MAC}.apkovl.tar.gz|')
  const machine = fakeMachine(networkBoot({ commandLine: line, servers: answers }))
  void run(machine)
  expect((await machine.run(machine.supervisor.ended)).kind).toBe('handoff')
  // The dead one is asked by one download, and not by each.
  expect(machine.servers.requests.filter((request) => request.url.startsWith(down))).toHaveLength(1)
  expect(machine.consoles.text()).toContain('the overlay: try 1 of 20 failed (http://10.0.2.67/')
  expect(machine.files.text('/sysroot/etc/apk/repositories')).toBe(`${down}\n${repositoryUrl}/x86_64\n`)
})
