/**
 * Networks as they are: a wire that loses frames, a switch port that looks for loops first, a DHCP server that starts after
 * its clients beside one that makes no sense, three cards that lead nowhere. Each boots. docs/pains.md lists the pains.
 */

import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from 'vitest'
import { makeOverlay, password } from '../../scripts/repository/overlay.ts'
import { type Machine, usualMac } from '../../src/cli/boot/machine.ts'
import { rough } from '../../src/cli/boot/rough-wire.ts'
import { Wire } from '../../src/cli/boot/wire.ts'
import { describeInLab } from '../support/lab/describe.ts'
import { Lab } from '../support/lab/index.ts'
import { FileServer } from '../support/qemu/server.ts'
import { bootGuest, handover, logIn, patience } from './guest.ts'

/** From the phase's start to its end, by the guest's clock; in milliseconds. */
async function networkTook(guest: Machine): Promise<number> {
  const started = await guest.events.waitFor('phase', { name: 'network', state: 'start' }, patience)
  const done = await guest.events.waitFor('phase', { name: 'network', state: 'done' }, 2 * patience)
  return done.at - started.at
}

describe('a wire', () => {
  let guest: Machine | undefined
  let wire: Wire | undefined
  let server: FileServer | undefined
  afterEach(async () => {
    await guest?.stop()
    wire?.cut()
    await server?.close()
  })

  it('that loses a fifth of all frames, reorders and doubles others, and 50 ms away: the demo boots (warewulf#1666)', async () => {
    const bad = { delayMs: 25, duplicates: 0.02, reordered: 0.05, seed: 5 }
    wire = await Wire.lay(rough({ ...bad, loss: 0.2 }))
    server = await FileServer.start(inject('demo'))
    guest = await bootGuest({
      cards: [{ kind: 'wire', wire }],
      memoryMb: 1024,
      append: ['ip=dhcp', `apkovl=${server.url}/${usualMac}.apkovl.tar.gz`, `alpine_repo=${server.url}/apks`],
    })
    await guest.events.waitFor('phase', { name: 'overlay', state: 'done' }, 2 * patience)
    // TCP itself would take an hour for 20 MB at that rate.
    wire.passage = rough({ ...bad, loss: 0.02 })
    await logIn(guest, password, 4 * patience)
    expect(wire.passed.down).toBeGreaterThan(1000)
  })
})

describeInLab('a network', () => {
  const depot = mkdtempSync(join(tmpdir(), 'diskless-wires-'))
  let lab: Lab | undefined
  let guest: Machine | undefined

  beforeAll(() => {
    symlinkSync(join(inject('demo'), 'apks'), join(depot, 'apks'))
    writeFileSync(
      join(depot, 'box.apkovl.tar.gz'),
      makeOverlay({ hostname: 'box', world: [], runlevels: {} }),
    )
  })
  afterEach(async () => {
    await guest?.stop()
    await lab?.stop()
  })
  afterAll(() => rmSync(depot, { recursive: true }))

  const from = `http://${Lab.address}`
  const append = ['ip=dhcp', `apkovl=${from}/box.apkovl.tar.gz`, `alpine_repo=${from}/apks`]

  it('whose switch forwards after 30 s, whose first DHCP server offers nonsense and whose right one starts last: boots (mkinitfs#58, nixpkgs#306858)', async () => {
    lab = await Lab.start({
      http: depot,
      secondDhcp: { addresses: ['127.0.0.10', '127.0.0.20'] },
      spanningTreeSeconds: 30,
    })
    await lab.dhcp.stop()
    guest = await bootGuest({ cards: [{ kind: 'tap', lab }], append })
    const started = await guest.events.waitFor('phase', { name: 'network', state: 'start' }, patience)
    await lab.replug()
    await guest.console.waitFor(/ignored the offer of 10\.77\.0\.2: no usable address in it/, patience)
    await lab.dhcp.start()
    const done = await guest.events.waitFor('phase', { name: 'network', state: 'done' }, patience)
    const tookMs = done.at - started.at
    console.log(
      `spanning tree of 30 s, and servers in the wrong order: a lease after ${Math.round(tookMs)} ms`,
    )
    expect(tookMs).toBeGreaterThan(25_000)
    await handover(guest, 2 * patience)
    expect(lab.log('second-dhcp')).toMatch(/sending OFFER/i)
    expect(lab.log('second-dhcp')).not.toMatch(/sending ACK/i)
    expect(lab.log('dhcp')).toMatch(/DHCPACK\(br0\) 10\.77\.0\.\d+ 52:54:00:12:34:56/)
  })

  it('on the last of four cards, beside one without a cable, a silent one and one with DHCP that leads nowhere (netboot.xyz#1640)', async () => {
    lab = await Lab.start({ http: depot })
    guest = await bootGuest({
      cards: [{ kind: 'unplugged' }, { kind: 'silent' }, { kind: 'cut off' }, { kind: 'tap', lab }],
      append,
    })
    const tookMs = await networkTook(guest)
    console.log(`four cards: a lease ${Math.round(tookMs)} ms after the network's phase began`)
    await handover(guest, 2 * patience)
    expect(guest.console.text).toMatch(/network .*eth3 \(52:54:00:12:34:59\) 10\.77\.0\.\d+\/24/)
    // Where Alpine's init waits for ever for the first card with a carrier.
    expect(tookMs).toBeLessThan(60_000)
  })
})
