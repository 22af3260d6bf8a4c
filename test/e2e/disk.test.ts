/** Disks: a whole system on one (seed 000), and the diskless mode that keeps its overlay there (seed 002). No network. */

import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from 'vitest'
import { indexText, loadKey, signed, unsignedIndex } from '../../scripts/repository/apk.ts'
import { makeOverlay, password } from '../../scripts/repository/overlay.ts'
import { file, symlink } from '../../scripts/repository/tar.ts'
import { cachedName } from '../../src/apk/cache.ts'
import { sha1 } from '../../src/apk/sha1.ts'
import type { Disk, Machine } from '../../src/cli/boot/machine.ts'
import { copyTo, makeDisk, makeFileSystem } from '../support/disks/index.ts'
import { programPackage } from '../support/packages.ts'
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

  describe('with an overlay and a package cache, beside an ISO', () => {
    const { name, pem } = inject('signingKey')
    const key = loadKey(name, pem)
    const [kept, gone] = [programPackage('kept', key), programPackage('gone', key)]
    const far = 'http://192.0.2.1/far'
    const fstab = [
      '/dev/cdrom /media/cdrom iso9660 noauto,ro 0 0',
      'LABEL=STICK /media/usb xfs noatime,ro 0 0',
      'LABEL=STICK /boot xfs noatime,ro 0 0',
    ]
    const overlay = makeOverlay({
      hostname: 'box',
      world: ['kept', 'gone'],
      runlevels: { sysinit: ['devfs'], boot: ['hostname'] },
      entries: [
        file('etc/fstab', `${fstab.join('\n')}\n`),
        file('etc/apk/repositories', `/media/cdrom/apks\n${far}\n`),
        symlink('etc/apk/cache', '/media/usb/cache'),
      ],
    })

    it('on XFS on USB: boots without a network, keeps a change, boots with it', async () => {
      const packages = join(inject('demo'), 'apks/x86_64')
      const apks = readdirSync(packages).map((name) => [
        `apks/x86_64/${name}`,
        readFileSync(join(packages, name)),
      ])
      const iso = await makeFileSystem({
        type: 'iso9660',
        label: 'alpine-std 3.19.1 x86_64',
        files: { ...Object.fromEntries(apks), 'apks/.boot_repository': '', '.alpine-release': '3.19.1\n' },
      })
      const index = signed(unsignedIndex(indexText([kept]), 'far'), key, 'RSA256')
      const content = await makeFileSystem({
        type: 'xfs',
        label: 'STICK',
        files: {
          'box.apkovl.tar.gz': overlay,
          [`cache/${cachedName(indexText([kept]))}`]: kept.bytes,
          [`cache/APKINDEX.${sha1(far).slice(0, 8)}.tar.gz`]: index,
          [`cache/${cachedName(indexText([gone]))}`]: gone.bytes,
          'cache/installed': indexText([gone]),
        },
      })
      const image = copyTo(
        await makeDisk({ table: 'gpt', partitions: [{ content }] }),
        join(scratch, 'stick'),
      )
      const disks = [
        { bus: 'usb', image },
        { bus: 'cdrom', image: iso },
      ] as const
      guest = await boot(disks)
      await logIn(guest, password, 2 * patience)
      const look = 'hostname; kept; gone; grep -E "^/dev/s" /proc/mounts; cat /etc/apk/repositories'
      expect((await runIn(guest, look)).output).toMatch(
        /^box\nkept runs\ngone runs\n(\/dev\/(sda1 \/media\/usb xfs ro,noatime|sr0 \/media\/cdrom iso9660 ro|sda1 \/boot xfs ro,noatime).*\n){3}\/media\/cdrom\/apks\nhttp/,
      )
      // What lbu commit does.
      const commit =
        'echo changed > /etc/changed && mount -o remount,rw /media/usb && tar -C / -czf /media/usb/box.apkovl.tar.gz etc && mount -o remount,ro /media/usb && cmp /boot/box.apkovl.tar.gz /media/usb/box.apkovl.tar.gz'
      expect((await runIn(guest, commit)).status).toBe(0)
      await guest.stop()
      guest = await boot(disks)
      await logIn(guest, password, 2 * patience)
      expect((await runIn(guest, 'cat /etc/changed; kept; gone')).output).toBe(
        'changed\nkept runs\ngone runs\n',
      )
      expect(guest.console.text).not.toMatch(/warning: /)
    })
  })
})
