/** The lease after the hand-over (the oldest known problem): the keeper renews it, costs little, and gives way. */

import { mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, inject, it } from 'vitest'
import { password } from '../../scripts/repository/overlay.ts'
import { type Machine, usualMac } from '../../src/cli/boot/machine.ts'
import { describeInLab } from '../support/lab/describe.ts'
import { Lab } from '../support/lab/index.ts'
import { bootGuest, logIn, patience, runIn } from './guest.ts'

/** Until the keeper's own word has this in it. */
const untilKeeper = (words: string) =>
  `until grep -q '${words}' /run/diskless/keeper.json; do sleep 1; done; cat /run/diskless/keeper.json`

describeInLab('a machine whose lease lasts a minute', () => {
  const depot = mkdtempSync(join(tmpdir(), 'diskless-lease-'))
  let lab: Lab
  let guest: Machine

  beforeAll(async () => {
    symlinkSync(join(inject('demo'), 'apks'), join(depot, 'apks'))
    symlinkSync(join(inject('demo'), `${usualMac}.apkovl.tar.gz`), join(depot, 'box.apkovl.tar.gz'))
    lab = await Lab.start({ http: depot, dhcp: false, secondDhcp: { leaseSeconds: 60 } })
    const from = `http://${Lab.address}`
    guest = await bootGuest({
      cards: [{ kind: 'tap', lab }],
      memoryMb: 1024,
      append: ['ip=dhcp', `apkovl=${from}/box.apkovl.tar.gz`, `alpine_repo=${from}/apks`],
    })
    await logIn(guest, password, 2 * patience)
  }, 3 * patience)
  afterAll(async () => {
    await guest?.stop()
    await lab?.stop()
    rmSync(depot, { recursive: true })
  })

  it('has it renewed by a process that costs less than 1 MB', async () => {
    const { output } = await runIn(guest, untilKeeper('"renewals":[1-9]'))
    const state: unknown = JSON.parse(output)
    expect(state).toMatchObject({ address: expect.stringMatching(/^10\.77\.0\.2\d\d$/), server: '10.77.0.2' })
    expect((lab.log('second-dhcp').match(/sending ACK/gi) ?? []).length).toBeGreaterThan(1)

    const pid = 'pid=$(sed -n "s/.*.pid.:\\([0-9]*\\).*/\\1/p" /run/diskless/keeper.json)'
    const cost = 'awk "/^Rss/ { print \\$2 }" /proc/$pid/smaps_rollup; stat -L -c %s /proc/$pid/exe'
    const told = await runIn(guest, `${pid}; cat /proc/$pid/comm; ${cost}; ls /proc/$pid/root`)
    const [name, resident, file, ...root] = told.output.trim().split('\n')
    expect(name).toBe('diskless-lease')
    console.log(`the lease keeper: ${resident} kB resident, ${file} bytes of file`)
    expect(Number(resident) * 1024 + Number(file)).toBeLessThan(1e6)
    expect(root.join(' ')).not.toMatch(/bin|lib/)
  })

  it('has it left to udhcpc, once that is started', async () => {
    await runIn(guest, 'busybox udhcpc -n -q -i eth0 -s /bin/true')
    const { output } = await runIn(
      guest,
      'while pgrep diskless-lease; do sleep 1; done; dmesg -r | grep diskless-lease; ip -4 address show eth0 || busybox ip address',
    )
    expect(output).toContain('another DHCP client sent a DHCP discover')
    expect(output).toMatch(/inet 10\.77\.0\.2\d\d\/24/)
    expect(lab.log('second-dhcp')).not.toMatch(/RELEASE/)
  })
})
