import { gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { parseCommandLine } from '../../../src/boot/command-line.ts'
import { makePlan } from '../../../src/boot/plan.ts'
import { loadKeymap } from '../../../src/init/keymap.ts'
import type { Console } from '../../../src/sys/index.ts'
import { fakeMachine, type MachineOptions } from '../../support/machine/index.ts'
import { keptReport } from '../../support/report.ts'

const screen: Console = { device: '/dev/tty0', screen: true, preferred: true }
const serial: Console = { device: '/dev/ttyS0', screen: false, preferred: false }
const keymap = `bkeymap${'\0'.repeat(512)}`
const files = {
  '/lib/keymaps/de.bmap': keymap,
  '/lib/keymaps/fr.bmap.gz': gzipSync(keymap),
  '/lib/keymaps/spoilt.bmap': 'no keymap',
}
const identity = {
  uuid: undefined,
  product: undefined,
  kernel: '6.1.0',
  architecture: 'x86_64',
  memoryAvailable: 2 ** 29,
  clock: undefined,
}

async function load(words: string, options: MachineOptions = {}) {
  const machine = fakeMachine({ consoles: [screen, serial], files, ...options })
  const report = keptReport()
  const plan = makePlan(parseCommandLine(words), identity)
  const before = machine.clock.now()
  await machine.run(loadKeymap(machine, plan, report))
  const { keymaps, asked } = machine.consoles
  return { keymaps, asked, report, took: machine.clock.now() - before }
}

describe('a keymap by name', () => {
  it.each([
    ['keymap=de', '/lib/keymaps/de.bmap'],
    ['keymap=fr', '/lib/keymaps/fr.bmap.gz'],
  ])('is loaded: %s', async (words, path) => {
    const { keymaps, asked, report } = await load(words)
    expect(keymaps).toEqual([path])
    expect(asked).toEqual([])
    expect(report.warnings).toEqual([])
  })

  it.each([
    ['keymap=xx', 'there is no keymap xx in this initrd: it has de, fr, spoilt'],
    ['keymap=../../etc/passwd', 'there is no keymap ../../etc/passwd in this initrd: it has de, fr, spoilt'],
    ['keymap=spoilt', 'the keymap spoilt was not loaded: /lib/keymaps/spoilt.bmap: not a keymap'],
  ])('is a warning where it cannot be: %s', async (words, warning) => {
    const { keymaps, report } = await load(words)
    expect(keymaps).toEqual([])
    expect(report.warnings).toEqual([expect.stringContaining(warning)])
  })

  it('is of no use to a serial line, which is said once', async () => {
    const { keymaps, report } = await load('keymap=de', { consoles: [{ ...serial, preferred: true }] })
    expect(keymaps).toEqual([])
    expect(report.warnings).toEqual([])
    expect(report.notices).toEqual([expect.stringContaining('every console is a serial line')])
  })

  it('is not asked for without dokeymap', async () => {
    const { asked, keymaps } = await load('quiet')
    expect([asked, keymaps]).toEqual([[], []])
  })
})

describe('dokeymap', () => {
  it.each([
    [['2'], ['/lib/keymaps/fr.bmap.gz'], 1],
    [['de'], ['/lib/keymaps/de.bmap'], 1],
    [['9', 'qwerty', ' de '], ['/lib/keymaps/de.bmap'], 3],
    [['9', '0', 'qwerty', 'de'], [], 3],
    [[''], [], 1],
  ])('asks on the screens alone: %j', async (typed, loaded, questions) => {
    const { keymaps, asked, report } = await load('dokeymap', { typed })
    expect(keymaps).toEqual(loaded)
    expect(asked).toHaveLength(questions)
    expect(asked[0]).toMatchObject({ devices: ['/dev/tty0'], echo: true })
    expect(report.notices[0]).toBe('keymaps: 1 de  2 fr  3 spoilt')
    if (loaded.length === 0) expect(report.notices.at(-1)).toContain('the default keymap stays')
  })

  it('goes on after ten seconds without anybody', async () => {
    const { keymaps, report, took } = await load('dokeymap')
    expect(keymaps).toEqual([])
    expect(took).toBeCloseTo(10_000, 0)
    expect(report.notices.at(-1)).toBe('nobody chose within 10 s: the default keymap stays')
    expect(report.warnings).toEqual([])
  })

  it('does not ask where there is nothing to choose', async () => {
    const { asked, report } = await load('dokeymap', { files: {} })
    expect(asked).toEqual([])
    expect(report.warnings).toEqual([expect.stringContaining('it has none (diskless build --keymap')])
  })
})
