/** The fake machine's disks, images and what is on them. */

import { expect, test } from 'vitest'
import { fakeMachine, fileSystemOf, type Media } from '../../support/machine/index.ts'

const ext4 = (): Media => ({
  type: 'ext4',
  files: { '/x': 'x' },
  contents: { uuid: 'a-b-c', label: 'data', partUuid: 'a1b2c3d4-01' },
})
const image: Media = { type: 'squashfs', files: { '/sbin/init': 'init' } }
const mnt = { '/mnt': { directory: true }, '/b': { directory: true } } as const

test('a partition brings its disk, and both say what is on them', async () => {
  const { devices, files } = fakeMachine({ disks: [{ devname: 'nvme0n1p1', media: ext4() }] })
  expect((await devices.list()).map(({ devname }) => devname)).toEqual(['nvme0n1', 'nvme0n1p1'])
  expect(await devices.probe('/dev/nvme0n1p1', 1000)).toMatchObject({
    ...{ type: 'ext4', uuid: 'a-b-c', label: 'data', partUuid: 'a1b2c3d4-01', partLabel: undefined },
    size: 2 ** 30,
  })
  expect(await devices.probe('/dev/nvme0n1', 1000)).toMatchObject({ type: undefined, uuid: undefined })
  expect(await files.list('/sys/class/block')).toEqual(['nvme0n1', 'nvme0n1p1'])
})

test('a stick comes late, and goes', async () => {
  const machine = fakeMachine({ disks: [{ devname: 'sda1', media: ext4(), afterMs: 2000 }], files: mnt })
  const { devices, clock, mounts } = machine
  const request = { type: 'ext4', source: '/dev/sda1', target: '/mnt', options: [] }
  await expect(mounts.mount(request)).rejects.toMatchObject({ code: 'ENOENT' })
  await expect(devices.probe('/dev/sda1', 1000)).rejects.toMatchObject({ code: 'ENOENT' })
  await clock.advance(2000)
  await mounts.mount(request)
  await mounts.unmount('/mnt')
  const stick = (await devices.list()).find(({ devname }) => devname === 'sda1')
  devices.disappear(stick?.path ?? '')
  expect(await machine.files.status('/dev/sda1')).toBeUndefined()
  await expect(mounts.mount(request)).rejects.toMatchObject({ code: 'ENOENT' })
})

test('a disk that hangs, an empty drive, a damaged one, a protected one', async () => {
  const machine = fakeMachine({
    disks: [
      { devname: 'sda', media: { type: 'ext4', probe: 'hangs' } },
      { devname: 'sr0', media: { type: 'iso9660', probe: 'ENOMEDIUM' } },
      { devname: 'sdb', media: { type: 'ext4', fails: { code: 'EUCLEAN', detail: ['bad superblock'] } } },
      { devname: 'sdc', media: { ...ext4(), readOnly: true } },
    ],
    files: mnt,
  })
  const { devices, mounts, clock } = machine
  const before = clock.now()
  await expect(machine.run(devices.probe('/dev/sda', 3000))).rejects.toMatchObject({ code: 'TIMEOUT' })
  expect(clock.now() - before).toBe(3000)
  await expect(devices.probe('/dev/sr0', 3000)).rejects.toMatchObject({ code: 'ENOMEDIUM' })
  await expect(devices.probe('/dev/null', 3000)).rejects.toMatchObject({ code: 'EINVAL' })
  const mount = (source: string, options: string[]) =>
    mounts.mount({ type: 'ext4', source, target: '/mnt', options })
  await expect(mount('/dev/sdb', [])).rejects.toMatchObject({ code: 'EUCLEAN', detail: ['bad superblock'] })
  await expect(mount('/dev/sdc', [])).rejects.toMatchObject({ code: 'EACCES' })
  await mount('/dev/sdc', ['ro'])
  await expect(machine.files.writeText('/mnt/y', '')).rejects.toMatchObject({ code: 'EROFS' })
})

test('the next machine finds on a medium what the last one left, and a test can spoil it', async () => {
  const media = ext4()
  const boot = async () => {
    const machine = fakeMachine({ disks: [{ devname: 'vda1', media }], files: mnt })
    await machine.mounts.mount({ type: 'ext4', source: '/dev/vda1', target: '/mnt', options: [] })
    return machine.files
  }
  await (await boot()).writeText('/mnt/left', 'here')
  expect(await (await boot()).readText('/mnt/left')).toBe('here')
  fileSystemOf(media).write('/left', Buffer.from('rotten'), 0o644)
  expect(await (await boot()).readText('/mnt/left')).toBe('rotten')
})

test('an image is known by its text wherever it is, and its loop device goes with its last mount', async () => {
  const { devices, mounts, files } = fakeMachine({
    files: { ...mnt, '/run/image': 'the image', '/run/none': 'no image' },
    images: { 'the image': image },
  })
  expect(await devices.probe('/run/image', 1000)).toMatchObject({ type: 'squashfs' })
  expect(await devices.probe('/run/none', 1000)).toMatchObject({ type: undefined })
  const device = await devices.attachLoop('/run/image', { readOnly: true })
  expect([device, devices.loops.get(device)?.file]).toEqual(['/dev/loop0', '/run/image'])
  const mount = (source: string, options: string[]) =>
    mounts.mount({ type: 'squashfs', source, target: '/mnt', options })
  await expect(mount('/run/image', ['ro'])).rejects.toMatchObject({ code: 'ENOTBLK' })
  await expect(mount(device, [])).rejects.toMatchObject({ code: 'EACCES' })
  await mount(device, ['ro'])
  expect(await files.readText('/mnt/sbin/init')).toBe('init')
  await mounts.unmount('/mnt')
  expect(await files.status(device)).toBeUndefined()
  await expect(devices.detachLoop(device)).rejects.toMatchObject({ code: 'ENXIO' })
  await expect(devices.attachLoop('/run/gone', { readOnly: true })).rejects.toMatchObject({ code: 'ENOENT' })
  const none = await devices.attachLoop('/run/none', { readOnly: true })
  await expect(mount(none, ['ro'])).rejects.toMatchObject({ code: 'EINVAL' })
  await devices.detachLoop(none)
  expect(devices.loops.size).toBe(0)
})

test('the partitions of an image get devices when they are asked for', async () => {
  const { devices } = fakeMachine({
    files: { '/disk.img': 'disk' },
    media: { '/disk.img': { type: 'dos', contents: { type: undefined }, partitions: [ext4()] } },
  })
  const device = await devices.attachLoop('/disk.img', { readOnly: false, partitions: true })
  expect(await devices.probe(device, 1000)).toMatchObject({ type: undefined })
  expect(await devices.probe(`${device}p1`, 1000)).toMatchObject({ label: 'data' })
})

test('the kernel knows the types built in, and those whose modules it can load', async () => {
  const { files, mounts, modules } = fakeMachine({
    disks: [{ devname: 'sr0', media: { type: 'iso9660' } }],
    modules: { isofs: { aliases: ['fs-iso9660'] } },
    fileSystems: ['tmpfs'],
    files: mnt,
  })
  const known = () => files.readText('/proc/filesystems')
  expect(await known()).toBe('nodev\ttmpfs\n')
  const mount = (type: string) => mounts.mount({ type, source: '/dev/sr0', target: '/mnt', options: ['ro'] })
  await expect(mount('btrfs')).rejects.toMatchObject({ code: 'ENODEV' })
  await mount('iso9660')
  expect([...modules.loaded.keys()]).toEqual(['isofs'])
  expect(await known()).toBe('nodev\ttmpfs\n\tiso9660\n')
})
