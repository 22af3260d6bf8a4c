/** Several cards, VLANs and bonds in real guests, on wires that the test holds in its hand. */

import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { Machine } from '../../src/cli/boot/machine.ts'
import { tagged, Wire } from '../../src/cli/boot/wire.ts'
import { bootGuest, handover, patience, serveBox } from './guest.ts'

describe('a machine with several cards', () => {
  let box: Awaited<ReturnType<typeof serveBox>>
  let guest: Machine | undefined
  let wire: Wire | undefined

  beforeAll(async () => {
    box = await serveBox()
  })
  afterAll(() => box?.server.close())
  afterEach(async () => {
    await guest?.stop()
    wire?.cut()
  })
  const append = (...more: string[]) => box.append(...more).filter((word) => word !== 'quiet')

  it('of which the first to get a lease leads nowhere boots by the other (netboot.xyz#1599)', async () => {
    wire = await Wire.lay(() => undefined)
    guest = await bootGuest({ cards: [{ kind: 'cut off' }, { kind: 'wire', wire }], append: append() })
    await guest.console.waitFor(
      /eth0: 10\.0\.2\.2:\d+ refuses the connection: other cards go first/,
      patience,
    )
    wire.passage = (frame) => frame
    await handover(guest)
    expect(guest.console.text).toMatch(/network .*eth1 \(52:54:00:12:34:57\) 10\.0\.2\.15\/24/)
  })

  it('boots by a VLAN over a bond of two, one of which is unplugged (netboot.xyz#1747)', async () => {
    wire = await Wire.lay(tagged(5))
    guest = await bootGuest({
      cards: [
        { kind: 'wire', wire },
        { kind: 'wire', wire },
      ],
      append: append('bond=bond0:eth0,eth1:mode=active-backup,miimon=100', 'vlan=bond0.0005:bond0'),
    })
    await guest.plug(0, false)
    await handover(guest)
    // The hardware address is that of the first member, although its cable is out.
    expect(guest.console.text).toMatch(/network .*bond0\.0005 \(52:54:00:12:34:56\) 10\.0\.2\.15\/24/)
    expect(wire.passed.up).toBeGreaterThan(20)
  })
})
