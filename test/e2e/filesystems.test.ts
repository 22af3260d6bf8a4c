/**
 * An overlay by any file system on any bus: a search mounts them all, names every overlay that it finds, and passes over
 * what is damaged, by name.
 */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { password } from '../../scripts/repository/overlay.ts'
import type { Disk, Machine } from '../../src/cli/boot/machine.ts'
import { copyTo, type FileSystem, makeDisk, makeFileSystem } from '../support/disks/index.ts'
import { bootGuest, logIn, patience, refusal, retry, runIn } from './guest.ts'
import { damage, overlayOf, repositoryFiles } from './stick.ts'

const MiB = 2 ** 20
const scratch = mkdtempSync(join(tmpdir(), 'diskless-filesystems-'))
afterAll(() => rmSync(scratch, { recursive: true }))

/** Of those that are damaged: btrfs takes no two disks with one UUID. */
const uuids: Readonly<Partial<Record<FileSystem['type'], { readonly uuid: string }>>> = {
  btrfs: { uuid: 'c0ffee00-0000-4000-8000-00000000000b' },
}

/** A copy that the guest may write to. */
const own = (image: string, name: string) => copyTo(image, join(scratch, name))

describe('a search of all disks', () => {
  let guest: Machine
  afterAll(() => guest?.stop())

  /** Each has an overlay of its own; where the search finds it. The kernel names sd* as they come. */
  const found: Readonly<Record<string, string>> = {
    btrfs: 'vda1',
    f2fs: 'vdb',
    ext4: 'nvme0n1p1',
    vfat: 'sd[a-z]+1',
    ext2: 'sd[a-z]+',
    ext3: 'mmcblk0p1',
    iso9660: 'sr0',
    squashfs: 'sd[a-z]+',
    erofs: 'sd[a-z]+',
  }

  async function disks(): Promise<readonly Disk[]> {
    const image = (type: FileSystem['type'], options: readonly string[] = []) =>
      makeFileSystem({ type, options, files: { [`${type}.apkovl.tar.gz`]: overlayOf(type) } })
    const inTable = async (table: 'gpt' | 'dos', content: string | FileSystem) =>
      makeDisk({ table, partitions: [{ content }] })
    const damaged = async (type: FileSystem['type'], from: number, bytes: number): Promise<Disk> => {
      const copy = own(await makeFileSystem({ type, ...uuids[type] }), `damaged-${type}`)
      damage(copy, from, bytes)
      return { bus: 'scsi', image: copy }
    }
    const packages = await makeFileSystem({ type: 'xfs', files: repositoryFiles() })
    return [
      { bus: 'virtio', image: own(await inTable('gpt', await image('btrfs')), 'btrfs') },
      { bus: 'virtio', image: own(await image('f2fs'), 'f2fs') },
      { bus: 'nvme', image: own(await inTable('gpt', await image('ext4', ['-O', '64bit'])), 'ext4') },
      { bus: 'usb', image: own(await inTable('dos', await image('vfat')), 'vfat') },
      { bus: 'sata', image: own(await image('ext2'), 'ext2') },
      { bus: 'mmc', image: own(await inTable('dos', await image('ext3')), 'ext3') },
      { bus: 'cdrom', image: await image('iso9660') },
      { bus: 'scsi', image: await image('squashfs'), readOnly: true },
      { bus: 'scsi', image: await image('erofs'), readOnly: true },
      // Empty: no program fills one here. The guest does.
      { bus: 'scsi', image: own(await makeFileSystem({ type: 'exfat', label: 'EXFAT' }), 'exfat') },
      { bus: 'scsi', image: await image('ntfs'), readOnly: true },
      { bus: 'scsi', image: packages, readOnly: true },
      // The superblock is whole, what it leads to is not.
      await damaged('ext4', 2048, 4 * MiB),
      await damaged('btrfs', 65536 + 4096, 60 * MiB),
      await damaged('xfs', 512, 16 * MiB),
      await damaged('f2fs', 2 * MiB, 20 * MiB),
      { bus: 'scsi', image: packages, readOnly: true, dying: true },
    ]
  }

  beforeAll(async () => {
    guest = await bootGuest({
      cards: [],
      disks: await disks(),
      initrd: inject('fullInitrd'),
      append: ['quiet'],
    })
  })

  it('finds an overlay on every file system and bus, and names them all', async () => {
    const { phase, text } = await refusal(guest, 3 * patience)
    expect(phase, text).toBe('overlay')
    for (const [type, name] of Object.entries(found))
      expect(text).toMatch(new RegExp(`/media/${name}/${type}\\.apkovl\\.tar\\.gz`))
    expect(text).toMatch(/name one with apkovl=DEVICE:\/PATH/)
    const { output } = await runIn(guest, 'grep " /media/" /proc/mounts')
    for (const [type, name] of Object.entries(found))
      expect(output).toMatch(
        new RegExp(`^/dev/(${name}) /media/\\1 ${type.replace(/ext\d/, 'ext4')} ro`, 'm'),
      )
  })

  it('passes over what is damaged, and what this kernel cannot read, by name', () => {
    expect(guest.console.text).toMatch(
      /(\/dev\/sd\w) is passed over: \1 holds ntfs, which this kernel cannot read/,
    )
    for (const type of ['ext4', 'btrfs', 'xfs', 'f2fs'])
      expect(guest.console.text).toMatch(
        new RegExp(`(/dev/sd\\w) is passed over: \\1 could not be mounted as ${type}: .* on /media/sd\\w: .`),
      )
  })

  it('says which disk cannot be read', () => {
    const notices = guest.events.all
      .filter(({ event }) => event === 'notice')
      .map(({ fields }) => fields.text)
    expect(notices).toContainEqual(expect.stringMatching(/^\/dev\/sd\w cannot be read: /))
  })

  it('names both of two, and boots when only one is left: the one on exFAT', async () => {
    // What can be written is: lbu commit does so. The others are pulled.
    const steps = [
      'mkdir -p /mnt && mount -t exfat $(findfs LABEL=EXFAT) /mnt && cp /media/vdb/f2fs.apkovl.tar.gz /mnt/exfat.apkovl.tar.gz && umount /mnt',
      'for at in /media/*; do mount -o remount,rw $at 2>/dev/null && rm $at/*.gz; done',
      'for at in /media/*/*.gz; do name=$(basename $(dirname $at)); umount /media/$name; echo 1 > /sys/block/$name/device/delete; done',
      'umount /media/*; mount /dev/vdb /mnt && echo x > /mnt/other.apkovl.tar.gz && umount /mnt',
    ]
    for (const step of steps) expect((await runIn(guest, step)).status, guest.console.tail()).toBe(0)
    retry(guest)
    const { text } = await refusal(guest, 2 * patience)
    expect(text).toMatch(
      /several overlays are there, and none is named: \/media\/sd\w\/exfat\.apkovl\.tar\.gz, \/media\/vdb\/other\.apkovl\.tar\.gz/,
    )
    const remove = 'mount -o remount,rw /media/vdb && rm /media/vdb/other.apkovl.tar.gz && umount /media/vdb'
    expect(await runIn(guest, remove)).toEqual({ output: '', status: 0 })
    retry(guest)
    await logIn(guest, password, 2 * patience)
    expect((await runIn(guest, 'hostname; grep exfat /proc/mounts')).output).toMatch(
      /^f2fs\n\/dev\/(sd\w) \/media\/\1 exfat ro/,
    )
  })
})

describe('alpine_dev= that names a partition of a loop device', () => {
  let guest: Machine
  afterAll(() => guest?.stop())

  beforeAll(async () => {
    const content = await makeFileSystem({
      type: 'ext4',
      size: 64 * MiB,
      files: { ...repositoryFiles(), 'box.apkovl.tar.gz': overlayOf('looped') },
    })
    const good = await makeDisk({ table: 'gpt', partitions: [{ content }] })
    const bad = own(good, 'bad')
    damage(bad, MiB + 2048, 4 * MiB)
    guest = await bootGuest({
      cards: [],
      disks: [
        { bus: 'virtio', image: own(good, 'good') },
        { bus: 'virtio', image: bad },
      ],
      initrd: inject('fullInitrd'),
      append: ['quiet', 'alpine_dev=loop0p1:ext4'],
    })
  })

  it('says what there is instead, when it is not there', async () => {
    const { phase, text } = await refusal(guest, 2 * patience)
    expect(phase, text).toBe('media')
    expect(text).toMatch(/\/dev\/loop0p1, the medium of alpine_dev=, did not appear within 30 s/)
    expect(text).toMatch(/there is: .*\/dev\/vda1 \(ext4, UUID=/)
  })

  it('says that it is damaged, when it is', async () => {
    expect((await runIn(guest, 'losetup -P /dev/loop0 /dev/vdb && ls /dev/loop0p1')).output).toBe(
      '/dev/loop0p1\n',
    )
    retry(guest)
    const { phase, text } = await refusal(guest)
    expect(phase, text).toBe('media')
    expect(text).toMatch(/\/dev\/loop0p1 could not be mounted as ext4/)
    expect(text).toMatch(/fsck\.ext4/)
    expect((await runIn(guest, 'grep -c alpine_dev /proc/mounts')).output).toBe('0\n')
  })

  it('boots from it, when it is good', async () => {
    expect((await runIn(guest, 'losetup -d /dev/loop0; losetup -P /dev/loop0 /dev/vda')).status).toBe(0)
    retry(guest)
    await logIn(guest, password, 2 * patience)
    expect(
      (await runIn(guest, 'hostname; cat /etc/apk/repositories; grep alpine_dev /proc/mounts')).output,
    ).toMatch(/^looped\n\/media\/alpine_dev\/apks\n\/dev\/loop0p1 \/media\/alpine_dev ext4 ro/)
  })
})
