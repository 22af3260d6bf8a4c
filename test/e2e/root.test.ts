/** What the root and the command line can be wrong about: a message and the shell (or, asked for, the reboot). */

import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { Machine } from '../../src/cli/boot/machine.ts'
import { bootGuest, refusal, runIn, serveBox } from './guest.ts'

describe('a boot', () => {
  let box: Awaited<ReturnType<typeof serveBox>>
  let guest: Machine | undefined
  const append = (...more: string[]) => box.append(...more)

  beforeAll(async () => {
    box = await serveBox()
  })
  afterAll(() => box?.server.close())
  afterEach(() => guest?.stop())

  it('whose root is too small for its packages', async () => {
    guest = await bootGuest({ append: append('rootflags=size=8M') })
    const { phase, text } = await refusal(guest)
    expect(phase, text).toBe('packages')
    expect(text).toMatch(/\d+(\.\d+)? ?[MG]i?B/)
    expect(text).toMatch(/size=/)
  })

  it('whose init= is not there', async () => {
    guest = await bootGuest({ append: append('init=/sbin/nowhere') })
    const { phase, text } = await refusal(guest)
    expect(phase, text).toBe('handoff')
    expect(text).toMatch(/\/sbin\/nowhere is not there/)
  })

  it('with a parameter of Alpine that we refuse, by its name', async () => {
    const before = box.server.requests.length
    guest = await bootGuest({ append: append('nbd=10.0.2.2:10809') })
    const { phase, text } = await refusal(guest)
    expect(phase, text).toBe('machine')
    expect(text).toMatch(/nbd=/)
    // What the shell's commands say where there is no plan.
    expect((await runIn(guest, 'plan')).output).toMatch(/no plan/)
    expect((await runIn(guest, 'timeline')).output).toMatch(/machine/)
    expect((await runIn(guest, 'log')).output).toMatch(/nbd/)
    expect(box.server.requests.length).toBe(before)
  })

  it('that fails with panic=1 reboots, after saying why', async () => {
    guest = await bootGuest({ cards: [], append: append('panic=1', 'diskless.carrier_timeout=1') })
    expect(await guest.ended).toBe('reset')
    expect(guest.console.text).toMatch(/The boot failed in the phase "network"/)
    expect(guest.console.text).not.toMatch(/diskless# |Kernel panic/)
  })
})
