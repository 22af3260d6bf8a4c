/** File servers: media for a system in RAM (seeds 000 and 001), and roots (seed 003). */

import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, inject, it } from 'vitest'
import { makeOverlay, password } from '../../scripts/repository/overlay.ts'
import { file } from '../../scripts/repository/tar.ts'
import type { Machine } from '../../src/cli/boot/machine.ts'
import { copyTo, makeFileSystem } from '../support/disks/index.ts'
import { describeInLab } from '../support/lab/describe.ts'
import { Lab } from '../support/lab/index.ts'
import { sharedTree } from '../support/shared-tree.ts'
import { bootGuest, logIn, patience, refusal, retry, runIn } from './guest.ts'

describeInLab('a file server', () => {
  const depot = mkdtempSync(join(tmpdir(), 'diskless-depot-'))
  const site = mkdtempSync(join(tmpdir(), 'diskless-site-'))
  const home = mkdtempSync(join(tmpdir(), 'diskless-home-'))
  let tree: string
  let lab: Lab
  let guest: Machine

  beforeAll(async () => {
    tree = await sharedTree(inject('demo'), join(site, 'installed'))
    cpSync(join(inject('demo'), 'apks'), join(depot, 'apks'), { recursive: true })
    writeFileSync(
      join(depot, 'box.apkovl.tar.gz'),
      makeOverlay({
        hostname: 'box',
        world: [],
        runlevels: { sysinit: ['devfs'], boot: ['hostname'] },
        entries: [file('etc/fstab', `${Lab.address}:/srv/nfs/home /home nfs rw,nfsvers=3,_netdev 0 0\n`)],
      }),
    )
    writeFileSync(join(home, 'letter'), 'dear me\n')
    lab = await Lab.start({
      exports: [
        { path: depot, pseudo: '/srv/nfs/depot', access: 'ro' },
        { path: home, pseudo: '/srv/nfs/home', access: 'rw' },
        { path: tree, pseudo: '/netboot/pxeclient', access: 'ro' },
      ],
      dhcp: { rootPath: '/netboot/pxeclient,rsize=8192,wsize=8192', nextServer: Lab.address },
    })
  }, 2 * patience)
  afterEach(() => guest?.stop())
  afterAll(async () => {
    await lab?.stop()
    for (const directory of [depot, home, site]) rmSync(directory, { recursive: true })
  })

  const boot = (...append: string[]) =>
    bootGuest({ cards: [{ kind: 'tap', lab }], initrd: inject('fullInitrd'), append })

  it('brings repository and overlay to a system in RAM, and with a cache the next boot can do without', async () => {
    const made = await makeFileSystem({ type: 'ext4', label: 'CACHE', size: 64 * 2 ** 20 })
    const disks = [{ bus: 'virtio', image: copyTo(made, join(home, 'disk')) }] as const
    const append = ['ip=dhcp', `alpine_dev=nfs:${Lab.address}:/srv/nfs/depot`, 'diskless.cache=LABEL=CACHE']
    guest = await bootGuest({ cards: [{ kind: 'tap', lab }], disks, initrd: inject('fullInitrd'), append })
    await logIn(guest, password, 2 * patience)
    expect((await runIn(guest, 'hostname; cat /etc/apk/repositories')).output).toBe(
      'box\n/media/alpine_dev/apks\n',
    )
    expect((await runIn(guest, 'grep alpine_dev /proc/mounts')).output).toMatch(
      /:\/srv\/nfs\/depot \/media\/alpine_dev nfs4? ro,.*vers=4\.2/,
    )
    // What fstab of the overlay names besides (seed 000).
    expect(
      (await runIn(guest, 'cat /home/letter; echo seen > /home/answer; grep home /proc/mounts')).output,
    ).toMatch(/^dear me\n.*:\/srv\/nfs\/home \/home nfs rw,.*vers=3/)
    expect(readFileSync(join(home, 'answer'), 'utf8')).toBe('seen\n')
    await guest.stop()

    guest = await bootGuest({ cards: [], disks, initrd: inject('fullInitrd'), append })
    await logIn(guest, password, 2 * patience)
    expect(guest.console.text).toMatch(/warning: there is no network .*last good state/)
    expect(guest.console.text).toMatch(/depot cannot be had .*stand in for it, from the cache/)
    expect(
      (await runIn(guest, 'hostname; cat /etc/apk/repositories; grep alpine_dev /proc/mounts')).output,
    ).toMatch(/^box\n\/media\/alpine_dev\/apks\ncache \/media\/alpine_dev tmpfs ro/)
  })

  it('is the root that DHCP names, without a server, with options, and a tmpfs above it; power off ends', async () => {
    guest = await boot('root=/dev/nfs', 'ip=dhcp', 'init=/sbin/init')
    await logIn(guest, password, 2 * patience)
    const { output } = await runIn(guest, 'cat /etc/installed; echo new > /etc/installed; cat /etc/installed')
    expect(output).toBe('from the tree\nnew\n')
    expect((await runIn(guest, 'grep " / " /proc/mounts; grep -c nfs /proc/mounts')).output).toMatch(
      /^diskless \/ overlay/,
    )
    guest.type('poweroff\n')
    expect(await guest.ended).toBe('poweroff')
  })

  it('is the root as symlinks, by version 3; a reboot ends', async () => {
    guest = await boot(
      'ip=dhcp',
      `root=nfs:${Lab.address}:/netboot/pxeclient,vers=3`,
      'diskless.nfsroot=links',
    )
    await logIn(guest, password, 2 * patience)
    expect((await runIn(guest, 'readlink /etc; cat /etc/installed; touch /var/new && echo ok')).output).toBe(
      'nfsroot/etc\nfrom the tree\nok\n',
    )
    expect((await runIn(guest, 'grep nfsroot /proc/mounts')).output).toMatch(/^diskless \/nfsroot overlay ro/)
    const root = await guest.events.waitFor('phase', { name: 'root', state: 'done' }, patience)
    expect(root.fields.detail).toMatch(/pxeclient by NFS 3,/)
    expect(existsSync(join(tree, 'var/new'))).toBe(false)
    guest.type('reboot\n')
    expect(await guest.ended).toBe('reset')
  })

  it('that has no such export, or is not there, is told; it is tried again', async () => {
    guest = await boot('ip=dhcp', `root=nfs:${Lab.address}:/nowhere`)
    const { phase, text } = await refusal(guest)
    expect(phase).toBe('root')
    expect(text).toMatch(/the NFS server has no \/nowhere/)
    expect(text).toMatch(/showmount -e/)
    expect((await runIn(guest, 'mount')).output).not.toMatch(/sysroot/)
    retry(guest)
    await guest.console.waitFor(/Trying again/, patience)
  })
})
