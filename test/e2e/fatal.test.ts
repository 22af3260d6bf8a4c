/**
 * The one fatal path: whatever kills the engine, a person sees what happened and why, and gets a shell. Never a
 * kernel panic, never silence.
 */

import { afterEach, expect, it } from 'vitest'
import type { Machine } from '../../src/cli/boot/machine.ts'
import { bootGuest, patience, retry, runIn } from './guest.ts'

let guest: Machine | undefined
afterEach(async () => {
  await guest?.stop()
  guest = undefined
})

/** What must be on the console, in this order: the message, then the chain of its causes. */
const ways: Readonly<Record<string, readonly RegExp[]>> = {
  exception: [/diskless\.crash=exception/, /it was asked for/],
  rejection: [/diskless\.crash=rejection/, /it was asked for/],
  panic: [/panic/i],
  stack: [/stack/i],
  memory: [/out of memory|memory/i],
  kill: [/SIGKILL|signal 9/i],
}

async function dead(machine: Machine, patterns: readonly RegExp[]): Promise<void> {
  // The command line, which names the crash too, is printed by the kernel long before.
  for (const pattern of patterns) await machine.console.waitFor(pattern, patience)
  await machine.console.waitFor(/diskless# $/, patience)
  expect(machine.console.text).not.toMatch(/Kernel panic/)
}

for (const [way, patterns] of Object.entries(ways)) {
  it(`${way}: the message, its causes, a shell, and the same again on retry`, async () => {
    guest = await bootGuest({ cards: [], memoryMb: 256, append: ['quiet', `diskless.crash=${way}`] })
    await dead(guest, patterns)
    expect((await runIn(guest, 'cat /proc/1/comm')).status).toBe(0)
    retry(guest)
    await dead(guest, patterns)
  })
}

it('panic=1 reboots instead, after saying why', async () => {
  guest = await bootGuest({ cards: [], memoryMb: 256, append: ['quiet', 'panic=1', 'diskless.crash=kill'] })
  expect(await guest.ended).toBe('reset')
  expect(guest.console.text).toMatch(/SIGKILL|signal 9/i)
  expect(guest.console.text).not.toMatch(/Kernel panic|diskless# /)
})
