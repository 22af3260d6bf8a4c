/** `diskless watch`: what the fleet looks like after its reports, as a table, as lines and as files. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { readTimeline } from '../../../src/cli/timeline/read.ts'
import { readBatch } from '../../../src/cli/watch/batch.ts'
import { openFleet } from '../../../src/cli/watch/fleet.ts'
import { openArchive } from '../../../src/cli/watch/save.ts'
import { openLiveTable } from '../../../src/cli/watch/screen.ts'
import { drawTable, summarize, type View } from '../../../src/cli/watch/table.ts'
import { jsonOf, lineOf } from '../../../src/cli/watch/tell.ts'
import { placeOf } from '../../../src/cli/watch.ts'
import { postsOf } from '../../support/posts.ts'
import { commandLine, overlayUrl, servers } from '../../support/scenario.ts'

const directory = mkdtempSync(join(tmpdir(), 'diskless-watch-'))
afterAll(() => rmSync(directory, { recursive: true }))

const mac = (number: number) => `52:54:00:00:00:0${number}`
const batch = (number: number, at: number, events: readonly object[], head: object = {}) =>
  readBatch(
    [
      { event: 'machine', report: 1, boot: `boot-${number}`, mac: mac(number), at, lost: 0, ...head },
      ...events,
    ]
      .map((line) => JSON.stringify(line))
      .join('\n'),
  )
const phase = (number: number, at: number, name: string, state: string, more: object = {}) => ({
  ...{ number, event: 'phase', at, name, state, attempt: 1 },
  ...more,
})

const view = (now: number, change: Partial<View> = {}): View => ({
  ...{ now, width: 120, height: undefined, silentMs: 45_000, style: (_: string, text: string) => text },
  ...change,
})

describe('the table', () => {
  it('has those that need somebody first, with the cause and what to do', () => {
    const fleet = openFleet(10)
    fleet.hear(
      batch(1, 5000, [{ number: 0, event: 'handoff', at: 5000 }], { hostname: 'kiosk-1' }),
      '10.0.0.1',
      0,
    )
    const failed = {
      number: 0,
      event: 'failed',
      at: 9800,
      phase: 'overlay',
      chain: ['no overlay', '404'],
      advice: ['look'],
    }
    fleet.hear(batch(2, 9800, [failed]), '10.0.0.2', 0)
    const progress = { event: 'progress', at: 3900, phase: 'packages', bytes: 5e6, total: 2e7 }
    fleet.hear(batch(3, 4000, [phase(0, 3000, 'packages', 'start'), progress]), '10.0.0.3', 0)
    fleet.hear(batch(4, 4000, [phase(0, 3000, 'network', 'start')]), '10.0.0.4', -60_000)
    const lines = drawTable(fleet.machines, view(1000))
    expect(lines.slice(1)).toEqual([
      '52:54:00:00:00:02  10.0.0.2  failed   overlay   9.80 s',
      '    no overlay',
      '    because: 404',
      '    to do: look',
      '52:54:00:00:00:04  10.0.0.4  silent   network   4.00 s          no word for 61 s',
      '52:54:00:00:00:03  10.0.0.3  booting  packages  5.00 s  5.0 MB  [#####---------------] 25 % of 20.0 MB',
      'kiosk-1            10.0.0.1  up                 5.00 s',
    ])
    expect(summarize(fleet.machines, view(1000))).toBe('4 machines: 1 failed, 1 silent, 1 booting, 1 up')
  })

  it('fits into a small terminal, and says what does not', () => {
    const fleet = openFleet(100)
    for (let at = 1; at < 9; at++) fleet.hear(batch(at, 1, []), '10.0.0.1', 0)
    const lines = drawTable(fleet.machines, view(0, { width: 44, height: 6 }))
    expect(lines).toHaveLength(6)
    expect(lines.at(-1)).toBe('and 4 booting more')
    for (const line of lines) expect(line.length).toBeLessThanOrEqual(44)
  })

  it('says that nobody has reported yet', () => {
    expect(drawTable([], view(0)).at(-1)).toBe('no machine has reported yet')
  })
})

describe('the fleet', () => {
  it('hears of an event once, however often it comes', () => {
    const fleet = openFleet(10)
    const events = [phase(0, 1, 'overlay', 'start'), phase(1, 2, 'overlay', 'done', { bytes: 100 })]
    expect(fleet.hear(batch(1, 2, events), 'x', 0)).toHaveLength(3)
    expect(fleet.hear(batch(1, 2, events), 'x', 0)).toEqual([])
  })

  it('begins anew when a machine boots again, or tries again', () => {
    const fleet = openFleet(10)
    const failed = { number: 5, event: 'failed', at: 10, phase: 'overlay', chain: ['x'], advice: [] }
    fleet.hear(batch(1, 10, [failed]), 'x', 0)
    fleet.hear(
      batch(1, 20, [{ number: 6, event: 'retry', at: 20, attempt: 2, why: 'retry was typed' }]),
      'x',
      0,
    )
    expect(fleet.machines).toMatchObject([{ state: 'booting', attempt: 2, failure: undefined }])
    fleet.hear(batch(1, 1, [phase(0, 1, 'machine', 'start')], { boot: 'another' }), 'x', 0)
    expect(fleet.machines).toMatchObject([{ state: 'booting', attempt: 1, running: ['machine'] }])
  })

  it('has room for so many: those that are up leave first, and then strangers are refused', () => {
    const fleet = openFleet(2)
    fleet.hear(batch(1, 1, [{ number: 0, event: 'handoff', at: 1 }]), 'x', 0)
    fleet.hear(batch(2, 1, []), 'x', 0)
    expect(fleet.hear(batch(3, 1, []), 'x', 0)).toBeDefined()
    expect(fleet.hear(batch(4, 1, []), 'x', 0)).toBeUndefined()
    expect(fleet.machines.map(({ key }) => key)).toEqual([mac(2), mac(3)])
  })
})

describe('what init itself posts', () => {
  it('shows a machine that comes up, tells it in lines and JSON, and leaves a timeline', async () => {
    const fleet = openFleet(10)
    const archive = openArchive(join(directory, 'up'), 10)
    const now = new Date(0)
    const said: string[] = []
    const json: { event: string; mac: string; state: string }[] = []
    for (const body of (await postsOf()).posts) {
      for (const happening of fleet.hear(readBatch(body), '10.0.2.15', 0) ?? []) {
        said.push(...[lineOf(happening, now)].filter((line) => line !== undefined))
        json.push(JSON.parse(jsonOf(happening, now)))
        archive.keep(happening)
      }
    }
    expect(fleet.machines).toMatchObject([{ key: mac(1), state: 'up', running: [] }])
    expect(said[0]).toMatch(/ {2}52:54:00:00:00:01 {2}boots$/)
    expect(said.at(-1)).toMatch(/up after .*, .*B$/)
    expect(json[0]).toMatchObject({ event: 'began', mac: mac(1) })
    expect(json.at(-1)).toMatchObject({ event: 'up', state: 'up', timeline: { version: 1 } })
    expect(readdirSync(join(directory, 'up'))).toEqual(['52-54-00-00-00-01-b00t.json'])
    const kept = readTimeline(readFileSync(join(directory, 'up', '52-54-00-00-00-01-b00t.json'), 'utf8'), 'x')
    expect(kept.spans.map(({ name }) => name)).toContain('packages')
    expect(kept.machine).toContain(mac(1))
  })

  it('shows one that fails, with its causes', async () => {
    const fleet = openFleet(10)
    const archive = openArchive(join(directory, 'failed'), 10)
    const { posts } = await postsOf({
      commandLine: `${commandLine} panic=-1 diskless.report=http://10.0.2.2:8080/`,
      servers: servers({ [overlayUrl]: { status: 404 } }),
    })
    for (const body of posts) {
      for (const happening of fleet.hear(readBatch(body), '10.0.2.15', 0) ?? []) archive.keep(happening)
    }
    const text = drawTable(fleet.machines, view(0)).join('\n')
    expect(text).toMatch(/failed +overlay/)
    expect(text).toMatch(/because: .*404/)
    const [name = ''] = readdirSync(join(directory, 'failed'))
    expect(readTimeline(readFileSync(join(directory, 'failed', name), 'utf8'), 'x').failure).toContainEqual(
      expect.stringContaining('404'),
    )
  })
})

it('timelines do not fill the disk', () => {
  const archive = openArchive(join(directory, 'full'), 1)
  const fleet = openFleet(10)
  const timeline = {
    ...{ version: 1, started: 1, script: 1, attempts: 1, warnings: [], notices: [] },
    phases: [{ name: 'machine', start: 1, end: 2, state: 'done' }],
  }
  const end = { number: 0, event: 'handoff', at: 1, timeline }
  const [, first] = fleet.hear(batch(1, 1, [end]), 'x', 0) ?? []
  const [, second] = fleet.hear(batch(2, 1, [end]), 'x', 0) ?? []
  if (first === undefined || second === undefined) throw new Error('two ends were heard of')
  expect(archive.keep(first)).toBeDefined()
  expect(archive.keep(first)).toBeDefined()
  expect(() => archive.keep(second)).toThrow(/no more are kept/)
})

it('a terminal is drawn over, not cleared, follows its size, and gets back what was on it', () => {
  let written = ''
  const listeners = new Set<() => void>()
  const terminal = {
    ...{ columns: 30, rows: 4 },
    write: (text: string) => {
      written += text
    },
    on: (_: 'resize', listener: () => void) => listeners.add(listener),
    off: (_: 'resize', listener: () => void) => listeners.delete(listener),
  }
  const sizes: string[] = []
  const live = openLiveTable(terminal, (width, height) => {
    sizes.push(`${width}x${height}`)
    return ['one', 'two', 'three', 'four', 'five']
  })
  terminal.columns = 20
  for (const listener of listeners) listener()
  live.close()
  expect(sizes).toEqual(['30x4', '20x4'])
  expect(listeners.size).toBe(0)
  expect(written).not.toContain('\x1b[2J')
  expect(written).not.toContain('five')
  expect(written.startsWith('\x1b[?1049h')).toBe(true)
  expect(written.endsWith('\x1b[?25h\x1b[?1049l')).toBe(true)
})

it.each([
  ['10.0.0.1:8080', { address: '10.0.0.1', port: 8080 }],
  ['[fd00::1]:80', { address: 'fd00::1', port: 80 }],
])('--listen %s', (text, place) => expect(placeOf(text)).toEqual(place))

it.each(['8080', 'localhost:8080', '10.0.0.1', '10.0.0.1:99999', 'fd00::1:80', ''])(
  '--listen %j is refused',
  (text) => expect(() => placeOf(text)).toThrow(/ADDRESS:PORT/),
)
