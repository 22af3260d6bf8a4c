/** Disks: a whole system on one (seed 000), and the diskless mode that keeps its overlay there (seed 002). No network. */

import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from 'vitest'
import { makeOverlay, password } from '../../scripts/repository/overlay.ts'
import { file } from '../../scripts/repository/tar.ts'
import { copyTo, makeDisk, makeFileSystem } from '../support/disks/index.ts'
import type { Disk, Machine } from '../support/qemu/machine.ts'
import { bootGuest, describeAsRoot, logIn, patience, refusal, runIn } from './guest.ts'

describe('a disk', () => {
  const scratch = mkdtempSync(join(tmpdir(), 'diskless-disk-'))
  let guest: Machine

  afterEach(() => guest?.stop())
  afterAll(() => rmSync(scratch, { recursive: true }))

  const boot = (disks: readonly Disk[], ...append: string[]) =>
    bootGuest({ cards: [], disks, initrd: inject('fullInitrd'), append })

  describeAsRoot('with a system on it', () => {
    const image = join(scratch, 'system')

    beforeAll(() => {
      const tree = inject('installed')
      writeFileSync(image, '')
      truncateSync(image, 160 * 2 ** 20)
      execFileSync('mkfs.ext4', ['-q', '-L', 'SYSTEM', '-d', tree, image])
    })

    it('boots by its label on NVMe, is written to, and is switched off whole', async () => {
      guest = await boot([{ bus: 'nvme', image }], 'root=LABEL=SYSTEM', 'rw', 'rootwait')
      await logIn(guest, password, 2 * patience)
      expect((await runIn(guest, 'cat /etc/installed; grep " / " /proc/mounts')).output).toMatch(
        /^from the tree\n\/dev\/nvme0n1 \/ ext4 rw/,
      )
      expect((await runIn(guest, 'echo kept > /etc/kept')).status).toBe(0)
      guest.type('poweroff\n')
      expect(await guest.ended).toBe('poweroff')
      expect(execFileSync('debugfs', ['-R', 'cat /etc/kept', image], { encoding: 'utf8' })).toBe('kept\n')
    })

    it('is told apart from one that is not there', async () => {
      guest = await boot(
        [{ bus: 'virtio', image, readOnly: true }],
        'root=UUID=00000000-dead-4000-8000-000000000000',
      )
      const { phase, text } = await refusal(guest)
      expect(phase).toBe('root')
      expect(text).toMatch(/UUID=00000000-dead-4000-8000-000000000000, the root, did not appear within 30 s/)
      expect(text).toMatch(/there is: \/dev\/vda \(ext4, LABEL=SYSTEM/)
    })
  })

  describe('with packages and an overlay', () => {
    const packages = join(inject('demo'), 'apks/x86_64')
    const repository = Object.fromEntries(
      readdirSync(packages).map((name) => [`apks/x86_64/${name}`, readFileSync(join(packages, name))]),
    )
    const overlay = makeOverlay({
      hostname: 'box',
      world: [],
      runlevels: { sysinit: ['devfs'], boot: ['hostname'] },
      entries: [file('etc/fstab', 'LABEL=STICK /media/usb xfs noatime,ro 0 0\n')],
    })

    it('on XFS on USB: boots, keeps a change, boots with it', async () => {
      const content = await makeFileSystem({
        type: 'xfs',
        label: 'STICK',
        files: { ...repository, 'apks/.boot_repository': '', 'box.apkovl.tar.gz': overlay },
      })
      const image = copyTo(
        await makeDisk({ table: 'gpt', partitions: [{ content }] }),
        join(scratch, 'stick'),
      )
      guest = await boot([{ bus: 'usb', image }])
      await logIn(guest, password, 2 * patience)
      expect(
        (await runIn(guest, 'hostname; grep usb /proc/mounts; cat /etc/apk/repositories')).output,
      ).toMatch(/^box\n\/dev\/sda1 \/media\/usb xfs ro,noatime.*\n\/media\/usb\/apks\n$/)
      // What lbu commit does.
      const commit =
        'echo changed > /etc/changed && mount -o remount,rw /media/usb && tar -C / -czf /media/usb/box.apkovl.tar.gz etc && mount -o remount,ro /media/usb'
      expect((await runIn(guest, commit)).status).toBe(0)
      await guest.stop()
      guest = await boot([{ bus: 'usb', image }])
      await logIn(guest, password, 2 * patience)
      expect((await runIn(guest, 'cat /etc/changed')).output).toBe('changed\n')
    })
  })
})
