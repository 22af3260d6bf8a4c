/** Machines without a network: each says what is missing, and goes on when it is there. */

import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { Machine } from '../../src/cli/boot/machine.ts'
import { bootGuest, handover, refusal, retry, serveBox } from './guest.ts'

describe('a machine', () => {
  let box: Awaited<ReturnType<typeof serveBox>>
  let guest: Machine | undefined
  const append = (...more: string[]) => box.append(...more)

  beforeAll(async () => {
    box = await serveBox()
  })
  afterAll(() => box?.server.close())
  afterEach(() => guest?.stop())

  it('without a network card', async () => {
    guest = await bootGuest({ cards: [], append: append('diskless.carrier_timeout=2') })
    const { phase, text } = await refusal(guest)
    expect(phase, text).toBe('network')
    expect(text).toMatch(/no network card/i)
  })

  it('whose cable is not plugged in, and then is', async () => {
    guest = await bootGuest({ cards: [{ kind: 'unplugged' }], append: append('diskless.carrier_timeout=2') })
    const { phase, text } = await refusal(guest)
    expect(phase, text).toBe('network')
    expect(text).toMatch(/carrier/i)
    expect(text).toMatch(/eth0/)
    await guest.plug(0, true)
    retry(guest)
    await handover(guest)
  })

  it('that no DHCP server answers', async () => {
    guest = await bootGuest({ cards: [{ kind: 'silent' }], append: append('diskless.dhcp_timeout=5') })
    const { phase, text } = await refusal(guest)
    expect(phase, text).toBe('network')
    expect(text).toMatch(/DHCP/)
    expect(text).toMatch(/eth0/)
  })

  it('with two cards, of which only the second leads anywhere', async () => {
    guest = await bootGuest({ cards: [{ kind: 'silent' }, { kind: 'user' }], append: append() })
    await handover(guest)
  })
})
