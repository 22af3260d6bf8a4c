/** docs/guide/migrating.md: what it says to write is read by the parser, without a warning. */

import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { parseCommandLine } from '../../../src/boot/command-line.ts'
import { makePlan } from '../../../src/boot/plan.ts'

const text = readFileSync(new URL('../../../docs/guide/migrating.md', import.meta.url), 'utf8')

/** The second columns, where they are a command line. */
const lines = text
  .split('\n')
  .filter((line) => /^\| [`(]/.test(line))
  .map((line) => line.split(/(?<!\\)\|/)[2]?.trim() ?? '')
  .flatMap((cell) => /^`([^`]+)`$/.exec(cell)?.[1] ?? [])
  .map((line) => line.replaceAll('SERVER', '192.168.1.2').replaceAll(',OPTIONS', ',vers=4.2'))

/** What a root or a network needs besides, and the table leaves out. */
const rest = (line: string) => (/\broot=/.test(line) || /nfsroot=/.test(line) ? 'ip=dhcp' : '')

describe('a command line of the migration guide', () => {
  it('is there for most rows', () => expect(lines.length).toBeGreaterThan(30))

  it.each(lines)('%s', (line) => {
    const full = `${line} ${rest(line)} ${/^nfsroot=/.test(line) ? 'root=/dev/nfs' : ''}`.trim()
    const plan = makePlan(parseCommandLine(full), {
      uuid: undefined,
      product: undefined,
      kernel: '6.1.0',
      architecture: 'x86_64',
      memoryAvailable: 512e6,
      clock: undefined,
    })
    expect(plan.warnings).toEqual([])
  })
})
