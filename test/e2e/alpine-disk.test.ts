/**
 * The local diskless mode (seed 002) of a real Alpine, with its own lbu and apk: a disk as setup-bootable makes it, changed
 * and committed and booted again without a network, and an ISO whose overlay is on a disk. Needs ALPINE_MEDIA (alpine.test.ts).
 */

import { readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { join, relative } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from 'vitest'
import { build } from '../../build/index.ts'
import { kernelDirectory } from '../../scripts/kernel.ts'
import {
  generateKey,
  indexText,
  loadKey,
  type Package,
  signed,
  unsignedIndex,
} from '../../scripts/repository/apk.ts'
import { makeOverlay, password } from '../../scripts/repository/overlay.ts'
import { file } from '../../scripts/repository/tar.ts'
import type { Disk, Machine } from '../../src/cli/boot/machine.ts'
import {
  type Alpine,
  alpineMedia,
  alpineName,
  copyMedia,
  makeModloop,
  openAlpine,
} from '../support/alpine.ts'
import { copyTo, makeDisk, makeFileSystem } from '../support/disks/index.ts'
import { programPackage } from '../support/packages.ts'
import { FileServer } from '../support/qemu/server.ts'
import { bootGuest, logIn, onlyCard, patience, runIn } from './guest.ts'

const key = loadKey('extra@diskless-1.rsa.pub', generateKey())

const [stays, goes] = [programPackage('stays', key), programPackage('goes', key)]

const indexOf = (...packages: readonly Package[]) =>
  signed(unsignedIndex(indexText(packages), 'extra'), key, 'RSA256')

/** A tree as the makers of images take it. */
function filesOf(directory: string): Record<string, Buffer> {
  const paths = readdirSync(directory, { recursive: true, encoding: 'utf8' })
  const files = paths.filter((path) => statSync(join(directory, path)).isFile())
  return Object.fromEntries(files.map((path) => [relative('', path), readFileSync(join(directory, path))]))
}

/** Of Alpine's own syslinux.cfg. */
const words = ['modules=loop,squashfs,sd-mod,usb-storage']

describe.skipIf(alpineMedia === undefined)(alpineName('Alpine’s local diskless mode'), () => {
  let alpine: Alpine
  let initrd: string
  let media: Record<string, Buffer>
  let server: FileServer
  let guest: Machine

  beforeAll(async () => {
    alpine = openAlpine()
    const boot = await build({
      kernel: await kernelDirectory(),
      modules: ['virtio', 'common-ethernet', 'storage'],
      keys: [alpine.keys],
      out: join(alpine.scratch, 'boot'),
      level: 9,
    })
    initrd = boot.initrd
    const tree = join(alpine.scratch, 'media')
    copyMedia(alpine, tree, await makeModloop())
    media = { ...filesOf(tree), '.alpine-release': Buffer.from('alpine-standard-3.19.1\n') }
    server = await FileServer.start(alpine.scratch)
    const answer = (path: RegExp, bytes: Buffer) => server.behave(path, { kind: 'bytes', bytes })
    answer(/extra\.pub$/, Buffer.from(key.publicPem))
    for (const each of [stays, goes]) answer(new RegExp(`${each.spec.name}-1.0-r0.apk$`), each.bytes)
    answer(/APKINDEX/, indexOf(stays, goes))
  })
  afterEach(() => guest?.stop())
  afterAll(async () => {
    await server?.close()
    if (alpine !== undefined) rmSync(alpine.scratch, { recursive: true, force: true })
  })

  async function boot(disks: readonly Disk[], ...append: string[]): Promise<void> {
    const cards = append.includes('offline') ? [] : onlyCard
    guest = await bootGuest({
      cards,
      disks,
      initrd,
      memoryMb: 768,
      append: append.filter((each) => each !== 'offline'),
    })
  }

  /** Root of an Alpine without an overlay has no password. */
  async function enter(): Promise<void> {
    await guest.console.waitFor(/ login: $/, 2 * patience)
    guest.type('root\n')
    await guest.console.waitFor(/# $/, patience)
  }

  async function must(command: string): Promise<string> {
    const { output, status } = await runIn(guest, command)
    expect(status, `${command}: ${output}`).toBe(0)
    return output
  }

  async function powerOff(): Promise<void> {
    guest.type('poweroff\n')
    expect(await guest.ended).toBe('poweroff')
  }

  it('on a disk: boots, gets packages, is changed, committed by lbu, boots with it offline, and with an earlier backup', async () => {
    const kernel = readFileSync(inject('image'))
    const content = await makeFileSystem({
      type: 'vfat',
      size: 128 * 2 ** 20,
      uuid: 'A1B2-C3D4',
      files: {
        ...media,
        'boot/vmlinuz-virt': kernel,
        'boot/initramfs-virt': readFileSync(initrd),
        'boot/syslinux/syslinux.cfg': 'DEFAULT virt\n',
      },
    })
    const image = copyTo(
      await makeDisk({ table: 'dos', partitions: [{ content, type: '0c' }] }),
      join(alpine.scratch, 'disk'),
    )
    const disk = [{ bus: 'virtio', image }] as const
    await boot(disk, ...words)
    await enter()
    expect(await must('cat /etc/apk/repositories; grep vda1 /proc/mounts')).toMatch(
      /^\/media\/vda1\/apks\n\/dev\/vda1 \/media\/vda1 vfat ro/,
    )
    await must('modprobe dummy && lsmod | grep -q ^dummy')
    await must('setup-hostname box && hostname box && setup-lbu vda1 && setup-apkcache /media/vda1/cache')
    expect(await must('cat /etc/fstab')).toMatch(/^UUID=A1B2-C3D4\t\/media\/vda1\tvfat\tnoauto,ro 0 0$/m)
    await must('echo "UUID=A1B2-C3D4 /boot vfat noauto,ro 0 0" | sed s/noauto,// >> /etc/fstab')
    await must(
      'sed -i "s/^# BACKUP_LIMIT=3/BACKUP_LIMIT=3/" /etc/lbu/lbu.conf && grep ^BACKUP /etc/lbu/lbu.conf',
    )
    await must('ip link set eth0 up && ip addr add 10.0.2.15/24 dev eth0')
    await must(`wget -q -O /etc/apk/keys/${key.name} ${server.url}/extra.pub`)
    await must(`echo ${server.url} >> /etc/apk/repositories && apk update && apk add goes`)
    await must('echo first > /etc/marker && lbu commit -v')
    server.behave(/APKINDEX/, { kind: 'bytes', bytes: indexOf(stays) })
    await must('apk update && apk add --virtual .tools stays && grep ^P: /media/vda1/cache/installed')
    await must('echo second > /etc/marker && lbu commit -v')
    const backups = await must('lbu list-backup; ls /media/vda1/*.apkovl* /media/vda1/cache')
    const earlier = /^box\.(\d{14})\.tar\.gz$/m.exec(backups)?.[1]
    expect(backups).toMatch(/\/media\/vda1\/box\.apkovl\.tar\.gz/)
    await powerOff()

    await boot(disk, ...words, 'offline')
    await enter()
    expect(guest.console.text).not.toMatch(/warning: /)
    expect(await must('hostname; cat /etc/marker; stays; goes')).toBe('box\nsecond\nstays runs\ngoes runs\n')
    expect(await must('apk audit --system; apk info -e stays goes .tools; apk fix --simulate')).toMatch(
      /^stays\ngoes\n\.tools\n.*OK: /s,
    )
    // The partition is for /boot, too, and lbu works all the same.
    expect(await must('ls /boot/boot; grep vda1 /proc/mounts')).toMatch(
      /vmlinuz-virt\n\/dev\/vda1 \/media\/vda1 vfat ro.*\n\/dev\/vda1 \/boot vfat ro/,
    )
    expect(await must('echo third > /etc/marker && lbu status && lbu commit -v')).toMatch(/^U etc\/marker$/m)
    expect(await must('lbu list-backup | wc -l; ls -l /boot/box.apkovl.tar.gz')).toMatch(/^2\n/)
    await powerOff()

    await boot(disk, ...words, 'offline', `diskless.apkovl_backup=${earlier}`)
    await enter()
    expect(await must('hostname; cat /etc/marker; apk info -e goes')).toBe('box\nfirst\ngoes\n')
  })

  it('from an ISO: finds the overlay on a disk, lbu writes there, and the next boot finds that', async () => {
    const iso = await makeFileSystem({
      type: 'iso9660',
      label: 'alpine-std 3.19.1 x86_64',
      files: media,
    })
    const overlay = makeOverlay({
      hostname: 'box',
      world: ['alpine-base'],
      runlevels: { sysinit: ['devfs', 'dmesg', 'mdev', 'modloop'], boot: ['hostname', 'bootmisc'] },
      entries: [
        file(
          'etc/fstab',
          '/dev/cdrom /media/cdrom iso9660 noauto,ro 0 0\n/dev/sda /media/sda ext4 noatime,ro 0 0\n',
        ),
        file('etc/lbu/lbu.conf', 'LBU_MEDIA=sda\n'),
      ],
    })
    const content = await makeFileSystem({ type: 'ext4', files: { 'box.apkovl.tar.gz': overlay } })
    const image = copyTo(content, join(alpine.scratch, 'configuration'))
    const disks = [
      { bus: 'cdrom', image: iso },
      { bus: 'scsi', image },
    ] as const
    await boot(disks, ...words, 'offline')
    await logIn(guest, password, 2 * patience)
    expect(await must('hostname; cat /etc/apk/repositories; grep -E "sr0|sda" /proc/mounts | sort')).toMatch(
      /^box\n\/media\/cdrom\/apks\n\/dev\/sda \/media\/sda ext4 ro,noatime.*\n\/dev\/sr0 \/media\/cdrom iso9660 ro/,
    )
    await must('modprobe dummy && apk add --quiet chrony && echo kept > /etc/kept && lbu commit -v')
    await powerOff()
    await boot(disks, ...words, 'offline')
    await logIn(guest, password, 2 * patience)
    expect(await must('cat /etc/kept; apk info -e chrony; which chronyd')).toMatch(/^kept\nchrony\n\//)
  })
})
