import { expect, it } from 'vitest'
import type { DroppedEntry } from '../../../src/apk/select.ts'
import { leaveWord } from '../../../src/init/missing.ts'
import { fakeMachine } from '../../support/machine/index.ts'

const gone: DroppedEntry = { entry: 'gone', chain: ['nothing provides gone'], nearMisses: [] }
const old: DroppedEntry = { entry: 'old>2', chain: ['there is no old>2'], nearMisses: ['old-1'] }

async function motdAfter(before: string | undefined, ...boots: (readonly DroppedEntry[])[]) {
  const machine = fakeMachine({
    files: {
      '/run/diskless/log': '',
      '/sysroot/etc/hostname': '',
      ...(before === undefined ? {} : { '/sysroot/etc/motd': before }),
    },
  })
  for (const dropped of boots) await machine.run(leaveWord(machine, dropped))
  const found = await machine.files.status('/sysroot/etc/motd')
  return found === undefined ? undefined : machine.files.readText('/sysroot/etc/motd')
}

it('is the end of the message of the day, with what there is instead', async () => {
  const text = await motdAfter('Welcome!\n', [gone, old])
  expect(text).toMatch(/^Welcome!\n\*\*\* /)
  expect(text).toContain('  gone cannot be had: nothing provides gone\n')
  expect(text).toContain('  old>2 cannot be had: there is no old>2 (there is old-1)\n')
})

it('is not repeated when lbu has saved it, and goes when nothing is missing any more', async () => {
  const once = await motdAfter('Welcome!\n', [gone])
  expect(await motdAfter('Welcome!\n', [gone, old], [gone])).toBe(once)
  expect(await motdAfter('Welcome!\n', [gone], [])).toBe('Welcome!\n')
})

it('leaves a system without a message of the day without one', async () => {
  expect(await motdAfter(undefined, [])).toBeUndefined()
  expect(await motdAfter(undefined, [gone])).toMatch(/^\*\*\* /)
})
