/** `diskless timeline`: what it draws of a boot, and what it makes of files that are none. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { plainText } from '../../../src/cli/plain-text.ts'
import { drawBoot } from '../../../src/cli/timeline/draw.ts'
import { criticalPath, readTimeline } from '../../../src/cli/timeline/read.ts'
import { makeScale } from '../../../src/cli/timeline/scale.ts'
import { timelineCommand } from '../../../src/cli/timeline.ts'
import { run } from '../../../src/init/run.ts'
import { fakeMachine } from '../../support/machine/index.ts'
import { networkBoot } from '../../support/scenario.ts'

const directory = mkdtempSync(join(tmpdir(), 'diskless-timeline-'))
afterAll(() => rmSync(directory, { recursive: true }))

const file = (name: string, content: unknown) => {
  const path = join(directory, name)
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content))
  return path
}

const phase = (name: string, asked: number, start: number, end: number, more: object = {}) => ({
  ...{ name, attempt: 1, asked, start, end, state: 'done', detail: '' },
  ...more,
})

const boot = {
  ...{ version: 1, started: 1000, script: 1010, attempts: 1 },
  warnings: ['chrony is <missing> & late'],
  phases: [
    phase('machine', 1010, 1010, 1100),
    phase('drivers', 1100, 1100, 1300),
    phase('network', 1100, 1100, 2100, { detail: 'eth0 10.0.2.15/24' }),
    phase('packages', 1100, 2100, 4100, { bytes: 20_500_000, waitedFor: 'network' }),
    phase('handoff', 1100, 4100, 4110, { waitedFor: 'packages' }),
  ],
  notices: [{ at: 2500, phase: 'packages', text: 'again in 0.50 s' }],
}

/** The texts of a picture, as somebody would select them. */
const textsOf = (svg: string) =>
  [...svg.matchAll(/<text[^>]*>(.*?)<\/text>/g)].map(([, text = '']) => text.replace(/<[^>]*>/g, ' ').trim())

let said = ''
beforeEach(() => {
  said = ''
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    said += text
    return true
  })
})

describe('the picture', () => {
  it('names every phase, how long it took, what it brought and what it waited for', async () => {
    const input = file('kiosk.json', boot)
    expect(await timelineCommand.run([input])).toBe(0)
    const svg = readFileSync(join(directory, 'kiosk.svg'), 'utf8')
    const texts = textsOf(svg)
    expect(texts).toEqual(expect.arrayContaining(['kernel', 'machine', 'network', 'packages', 'handoff']))
    expect(texts).toContain('up after 4.11 s, 20.5 MB')
    expect(texts).toContain('waited for network 1.00 s')
    expect(texts.some((text) => /^2\.00 s +20\.5 MB, 10\.3 MB\/s/.test(text))).toBe(true)
    expect(texts).toContain('1  2.50 s  packages: again in 0.50 s')
    expect(svg).toContain('warning: chrony is &lt;missing&gt; &amp; late')
    expect(said).toContain('it waited for')
    expect(said).not.toContain('drivers')
  })

  it('of two boots has one scale, and says the difference', async () => {
    const slow = structuredClone(boot)
    for (const one of slow.phases.slice(3)) {
      one.start += 3000
      one.end += 3000
    }
    const out = join(directory, 'both.svg')
    const words = [file('before.json', slow), file('after.json', boot), '--out', out, '--json']
    expect(await timelineCommand.run(words)).toBe(0)
    const svg = readFileSync(out, 'utf8')
    expect(textsOf(svg)).toContain('−3.00 s in all')
    const ends = [...svg.matchAll(/<line x1="([\d.]+)"[^>]*stroke-width="1.2"/g)].map(([, x]) => Number(x))
    expect(ends).toHaveLength(2)
    expect(JSON.parse(said).boots.map(({ end }: { end: number }) => end)).toEqual([7110, 4110])
  })

  it('of a boot that failed says what of', () => {
    const failed = {
      ...boot,
      phases: [...boot.phases.slice(0, 3), phase('overlay', 1100, 2100, 9000, { state: 'failed' })],
      failure: { phase: 'overlay', chain: ['the overlay could not be fetched', 'the server answered 404'] },
    }
    const texts = textsOf(drawBoot({ title: 'x', boot: readTimeline(JSON.stringify(failed), 'x') }))
    expect(texts).toEqual(
      expect.arrayContaining([
        'failed after 9.00 s',
        'the overlay could not be fetched',
        'because: the server answered 404',
      ]),
    )
  })

  it('is drawn of what init itself leaves in /run/diskless', async () => {
    const machine = fakeMachine(networkBoot())
    void run(machine)
    await machine.run(machine.supervisor.ended)
    const left = await machine.files.readText('/sysroot/run/diskless/timeline.json')
    const read = readTimeline(left, 'the new system')
    const path = [...criticalPath(read)].map(({ name }) => name)
    expect(path[0]).toBe('handoff')
    expect(path).toContain('network')
    expect(textsOf(drawBoot({ title: 'x', boot: read }))).toContain('packages')
  })
})

describe('a file that is no timeline', () => {
  const bad: readonly (readonly [what: string, content: unknown, message: RegExp])[] = [
    ['no JSON', '{"version":1', /is not JSON/],
    ['another document', { a: 1 }, /is not a timeline/],
    ['a later version', { version: 2, phases: [] }, /of version 2, and this diskless reads 1/],
    ['without phases', { ...boot, phases: [] }, /has no phases/],
    ['a phase without a name', { ...boot, phases: [{ start: 1 }] }, /phase 1 has no name/],
    ['a time that is none', { ...boot, phases: [phase('x', 0, -1, 5)] }, /phase 1: start is not a time/],
    ['a time beyond all', { ...boot, started: 1e300 }, /started is not a time/],
    ['a notice without a time', { ...boot, notices: [{ at: 'soon' }] }, /a notice is not a time/],
  ]
  it.each(bad)('%s', async (_, content, message) => {
    await expect(timelineCommand.run([file('bad.json', content)])).rejects.toThrow(message)
  })

  it('is not there, is a directory, is too large', async () => {
    await expect(timelineCommand.run([join(directory, 'none.json')])).rejects.toThrow(/is not there/)
    await expect(timelineCommand.run([directory])).rejects.toThrow(/is not a file/)
    const large = file('large.json', ' '.repeat(5e6))
    await expect(timelineCommand.run([large])).rejects.toThrow(/too large/)
  })

  it('never costs what is no picture', async () => {
    const out = file('notes.txt', 'mine')
    await expect(timelineCommand.run([file('kiosk.json', boot), '--out', out])).rejects.toThrow(
      /left as it is/,
    )
    expect(readFileSync(out, 'utf8')).toBe('mine')
  })

  it('of a stranger puts nothing into the picture but text', () => {
    const nasty = '</text><script>alert(1)</script>\u001b[2J\u202e"&'
    const stranger = {
      ...boot,
      machine: { hostname: nasty, kernel: nasty },
      phases: Array.from({ length: 2000 }, () => phase(nasty, 1, 2, 3, { detail: nasty.repeat(1000) })),
      warnings: Array.from({ length: 2000 }, () => nasty),
    }
    const svg = drawBoot({ title: 'x', boot: readTimeline(JSON.stringify(stranger), 'x') })
    expect(svg).not.toContain('<script')
    expect(plainText(svg.replaceAll('\n', ''), 1e9)).toBe(
      svg.replaceAll('\n', '').replace(/ {2,}/g, ' ').trim(),
    )
    expect(svg.length).toBeLessThan(2e6)
  })
})

it('the axis has a few round marks whatever the length', () => {
  for (const length of [3, 40, 999, 4321, 60_000, 3_600_000, 9e9]) {
    const { ticks } = makeScale(0, length, 0, 900)
    expect(ticks.length).toBeGreaterThanOrEqual(2)
    expect(ticks.length).toBeLessThanOrEqual(12)
  }
})
