/** File servers that refuse, or stop in the middle of a boot: each told within a time, and the boot goes on when they are back. */

import { execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, inject, it } from 'vitest'
import { password } from '../../scripts/repository/overlay.ts'
import type { Machine } from '../../src/cli/boot/machine.ts'
import { describeInLab } from '../support/lab/describe.ts'
import { Lab } from '../support/lab/index.ts'
import { bootGuest, logIn, patience, refusal, retry, runIn } from './guest.ts'
import { overlayOf } from './stick.ts'

/** A person is told after this at the latest. */
const toldWithin = 60_000

describeInLab('a server', () => {
  const depot = mkdtempSync(join(tmpdir(), 'diskless-standstill-'))
  const share = { path: depot, pseudo: '/srv/nfs/depot', access: 'ro' } as const
  let lab: Lab
  let guest: Machine

  beforeAll(() => {
    cpSync(join(inject('demo'), 'apks'), join(depot, 'apks'), { recursive: true })
    writeFileSync(join(depot, 'box.apkovl.tar.gz'), overlayOf('patient'))
  })
  afterEach(async () => {
    await guest?.stop()
    await lab?.stop()
  })
  afterAll(() => rmSync(depot, { recursive: true }))

  const boot = (...append: string[]) =>
    bootGuest({ cards: [{ kind: 'tap', lab }], initrd: inject('fullInitrd'), append: ['ip=dhcp', ...append] })

  async function refused(phase: string, ...words: readonly RegExp[]): Promise<void> {
    const refused = await refusal(guest, 2 * patience)
    expect(refused.phase, refused.text).toBe(phase)
    for (const word of words) expect(refused.text).toMatch(word)
    expect((await runIn(guest, 'grep -c nfs4* /proc/mounts')).output).toBe('0\n')
  }

  it('of NFS that speaks another version, exports nothing or something else is told; one that stops is waited for', async () => {
    lab = await Lab.start({ exports: [share], nfs: { protocols: [3] } })
    guest = await boot(`alpine_dev=nfs:${Lab.address}:/srv/nfs/depot,vers=4.2`)
    await refused('media', /speaks none of the versions that were tried .*NFS 4\.2: /, /leave vers= out/)

    await lab.serveNfs({ exports: [{ ...share, pseudo: '/srv/nfs/other' }] })
    retry(guest)
    await refused(
      'media',
      /the NFS server has no \/srv\/nfs\/depot, or hides it from this machine \(NFS 4\.2: /,
      /showmount -e 10\.77\.0\.1/,
    )

    await lab.serveNfs({ exports: [{ ...share, clients: '10.77.0.250' }] })
    retry(guest)
    await refused('media', /has no \/srv\/nfs\/depot, or hides it/, /this machine’s address may mount it/)

    await lab.serveNfs({ exports: [share] })
    retry(guest)
    await guest.events.waitFor('phase', { name: 'packages', state: 'start' }, patience)
    await lab.nfs.kill()
    const killed = Date.now()
    const { fields } = await guest.events.waitFor('notice', { phase: 'packages' }, patience)
    expect(Date.now() - killed).toBeLessThan(toldWithin)
    expect(String(fields.text)).toMatch(/\/media\/alpine_dev\/apks\/.*timed out.*again in/i)
    await lab.nfs.start()
    await logIn(guest, password, 2 * patience)
    expect((await runIn(guest, 'hostname; grep alpine_dev /proc/mounts')).output).toMatch(
      /^patient\n.* \/media\/alpine_dev nfs4 ro,.*vers=4\.2.*,hard,/,
    )
  })

  it('of NFS 4 is no server of NFS 3; a root by NFS 3 that stops is waited for', async () => {
    const tree = join(depot, 'tree')
    execFileSync('cp', ['-a', inject('installed'), tree])
    // Takes seconds to read.
    writeFileSync(join(tree, 'var/large'), Buffer.alloc(100 * 2 ** 20, 0x5a))
    const root = { path: tree, pseudo: '/netboot', access: 'ro' } as const
    lab = await Lab.start({ exports: [root], nfs: { protocols: [4] } })
    guest = await boot(`root=nfs:${Lab.address}:/netboot,vers=3`, 'diskless.nfsroot=links')
    await refused('root', /speaks none of the versions that were tried .*NFS 3: /, /leave vers= out/)

    await lab.serveNfs({ exports: [root], protocols: [3] })
    retry(guest)
    await guest.console.waitFor(/copying \/var of 10\.77\.0\.1:\/netboot/, patience)
    await lab.nfs.kill()
    const killed = Date.now()
    await guest.console.waitFor(/still reading from 10\.77\.0\.1:\/netboot after 20 s/, patience)
    expect(Date.now() - killed).toBeLessThan(toldWithin)
    await lab.nfs.start()
    await logIn(guest, password, 2 * patience)
    expect((await runIn(guest, 'wc -c < /var/large')).output).toBe(`${100 * 2 ** 20}\n`)
  })

  it('of an image that is read in place is waited for by the running system', async () => {
    const images = join(depot, 'images')
    mkdirSync(images)
    const words = [inject('installed'), join(images, 'image.squashfs'), '-quiet', '-no-progress']
    execFileSync('mksquashfs', words, { stdio: 'ignore' })
    lab = await Lab.start({ exports: [{ path: images, pseudo: '/images', access: 'ro' }] })
    guest = await boot(`root=live:nfs:${Lab.address}:/images/image.squashfs`, 'diskless.image=place')
    await logIn(guest, password, 2 * patience)
    const known = (await runIn(guest, 'cat /usr/bin/* | sha256sum')).output
    await lab.nfs.kill()
    const again = runIn(
      guest,
      'echo 3 > /proc/sys/vm/drop_caches; cat /usr/bin/* | sha256sum; cat /etc/installed',
      3 * patience,
    )
    await lab.nfs.start()
    // The kernel has a word about the caches.
    expect((await again).output).toContain(`${known}from the tree\n`)
  })

  it('of HTTP that stops is told, and the boot goes on when it is back', async () => {
    lab = await Lab.start({ http: depot })
    const url = `http://${Lab.address}`
    guest = await boot(`apkovl=${url}/box.apkovl.tar.gz`, `alpine_repo=${url}/apks`)
    await guest.events.waitFor('phase', { name: 'packages', state: 'start' }, patience)
    await lab.http.kill()
    const killed = Date.now()
    const { fields } = await guest.events.waitFor('notice', { phase: 'packages' }, patience)
    expect(Date.now() - killed).toBeLessThan(toldWithin)
    expect(String(fields.text)).toMatch(/10\.77\.0\.1\/apks\/.*again in/)
    await lab.http.start()
    await logIn(guest, password, 2 * patience)
    expect((await runIn(guest, 'hostname')).output).toBe('patient\n')
  })
})
