/** Roots in images: from the initrd, media, NFS and the network, checked, and refused where they are no good. */
import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import type { ImageRootPlan, ImageSource } from '../../../src/boot/root-plan.ts'
import { findOnDisks } from '../../../src/media/media.ts'
import type { NetworkUp } from '../../../src/network/network-up.ts'
import { mountImageRoot } from '../../../src/root/image.ts'
import {
  type FakeMachine,
  fakeMachine,
  type MachineOptions,
  type Media,
} from '../../support/machine/index.ts'
import { failureOf, mountsOfRoot, networkUp, rootEvents } from './support.ts'

const bytes = `the image ${'x'.repeat(1000)}`
const digest = createHash('sha256').update(bytes).digest('hex')
const image: Media = { type: 'squashfs', files: { '/etc/hostname': 'image\n', '/sbin/init': 'init' } }
const inInitrd: ImageSource = { kind: 'path', path: '/image.squashfs', medium: 'initrd' }
const onDisk: ImageSource = { ...inInitrd, path: '/live/a.img', medium: { kind: 'label', value: 'LIVE' } }
const url = 'http://10.0.2.2/a.img'
const disk: Media = { type: 'ext4', files: { '/live/a.img': bytes }, contents: { label: 'LIVE' } }
const share: ImageSource = {
  kind: 'nfs',
  share: { server: undefined, path: '/srv/live', options: ['vers=3'] },
  path: '/a.img',
}

function planOf(source: ImageSource, change: Partial<ImageRootPlan> = {}): ImageRootPlan {
  return { kind: 'image', image: source, fsType: undefined, sha256: undefined, copy: 'auto', ...change }
}

/** A machine that finds the image everywhere. */
function machineWith(change: MachineOptions = {}, root: Media = image): FakeMachine {
  return fakeMachine({
    images: { [bytes]: root },
    files: { '/image.squashfs': bytes, '/etc/resolv.conf': 'nameserver 10.0.2.3\n' },
    disks: [{ devname: 'sda1', media: disk }],
    media: { '10.0.2.2:/srv/live': { type: 'nfs', readOnly: true, files: { '/a.img': bytes } } },
    servers: { [url]: { body: bytes } },
    ...change,
  })
}

const nowhere = async () => undefined

function boot(
  machine: FakeMachine,
  plan: ImageRootPlan,
  network: NetworkUp | null = networkUp(),
  find: (path: string) => Promise<string | undefined> = nowhere,
) {
  return mountImageRoot(machine, plan, network ?? undefined, find, rootEvents())
}

describe('an image', () => {
  it.each<[string, ImageSource, ImageRootPlan['copy'], string]>([
    ['of the initrd', inInitrd, 'auto', 'initrd'],
    ['of the initrd, asked to be in memory, where it is', inInitrd, 'ram', 'initrd'],
    ['on a disk, small', onDisk, 'auto', 'memory'],
    ['on a disk, in place', onDisk, 'place', 'medium'],
    ['on a share', share, 'auto', 'memory'],
    ['on a share, in place', share, 'place', 'nfs'],
    ['of a web server', { kind: 'url', urls: [url] }, 'auto', 'memory'],
    ['of its mirror', { kind: 'url', urls: [`${url}.gone`, url] }, 'auto', 'memory'],
  ])('%s is the root, and can be written above', async (_what, source, copy, place) => {
    const machine = machineWith()
    const root = await machine.run(boot(machine, planOf(source, { copy, sha256: digest })))
    expect(root).toMatchObject({ place, fsType: 'squashfs' })
    expect(await machine.files.readText('/sysroot/etc/hostname')).toBe('image\n')
    await machine.files.writeText('/sysroot/etc/hostname', 'changed\n')
    expect(await machine.files.readText('/sysroot/etc/resolv.conf')).toContain('10.0.2.3')
    expect(await mountsOfRoot(machine)).toEqual(['/sysroot'])
  })

  it('on a disk, too large for memory, is read in place by itself', async () => {
    const large = 'x'.repeat(14 * 2 ** 20)
    const media = { ...disk, files: { '/live/a.img': large } }
    const machine = machineWith({
      memory: 30 * 2 ** 20,
      images: { [large]: image },
      disks: [{ devname: 'sda1', media }],
    })
    expect(await machine.run(boot(machine, planOf(onDisk)))).toMatchObject({ place: 'medium' })
  })

  it('leaves no loop device behind that nobody uses, so that a retry has its memory', async () => {
    const machine = machineWith()
    machine.faults.order({ operation: 'mounts.mount', subject: '/sysroot', code: 'EINVAL', times: 1 })
    await failureOf(machine, boot(machine, planOf(onDisk)))
    expect([...machine.devices.loops.keys()]).toEqual([])
    expect(await machine.run(boot(machine, planOf(onDisk)))).toMatchObject({ place: 'memory' })
  })

  it('may be an erofs', async () => {
    const machine = machineWith({}, { ...image, type: 'erofs' })
    const root = await machine.run(boot(machine, planOf(inInitrd, { fsType: 'erofs' }), null))
    expect(root.fsType).toBe('erofs')
  })

  it('without a medium is looked for in the initrd, then on every disk', async () => {
    const any: ImageSource = { kind: 'path', path: '/image.squashfs', medium: 'any' }
    const asked: string[] = []
    const find = async (path: string) => {
      asked.push(path)
      return '/media/usb/image.squashfs'
    }
    const first = machineWith()
    expect(await first.run(boot(first, planOf(any), null, find))).toMatchObject({ place: 'initrd' })
    expect(asked).toEqual([])
    const second = machineWith({ files: { '/media/usb/image.squashfs': bytes } })
    const root = await second.run(boot(second, planOf(any), null, find))
    expect(root).toMatchObject({ from: '/media/usb/image.squashfs', place: 'memory' })
    expect(asked).toEqual(['/image.squashfs'])
  })

  it('is found beside a damaged disk, and its own is let go of once it is in memory', async () => {
    const machine = machineWith({
      files: {},
      disks: [
        { devname: 'vda1', media: { type: 'ext4', files: {}, fails: { code: 'EUCLEAN' } } },
        { devname: 'sda1', media: { ...disk } },
      ],
    })
    const warnings: string[] = []
    const events = { ...rootEvents(), onWarning: (text: string) => warnings.push(text) }
    const find = (path: string) => findOnDisks(machine, path, 'any', events)
    const any: ImageSource = { kind: 'path', path: '/live/a.img', medium: 'any' }
    const root = await machine.run(boot(machine, planOf(any), null, find))
    expect(root).toMatchObject({ from: '/media/sda1/live/a.img', place: 'memory' })
    expect(warnings.join()).toContain('/dev/vda1 is passed over')
    expect((await machine.mounts.list()).map(({ target }) => target)).not.toContain('/media/sda1')
  })

  it('that is read over NFS keeps its card out of the new system’s hands', async () => {
    const interfaces = 'auto eth0\niface eth0 inet dhcp\n'
    const root = { ...image, files: { ...image.files, '/etc/network/interfaces': interfaces } }
    const kept = machineWith({}, root)
    await kept.run(boot(kept, planOf(share, { copy: 'place' })))
    expect(await kept.files.readText('/sysroot/etc/network/interfaces')).toContain('manual')
    const free = machineWith({}, root)
    await free.run(boot(free, planOf(share, { copy: 'ram' })))
    expect(await free.files.readText('/sysroot/etc/network/interfaces')).toBe(interfaces)
  })
})

describe('an image that is no good', () => {
  const failing = async (machine: FakeMachine, plan: ImageRootPlan) => {
    const error = await failureOf(machine, boot(machine, plan))
    expect(await mountsOfRoot(machine)).toEqual([])
    expect([...machine.devices.loops.keys()]).toEqual([])
    return error
  }

  it.each<[string, ImageSource, ImageRootPlan['copy']]>([
    ['in the initrd', inInitrd, 'auto'],
    ['in place', onDisk, 'place'],
    ['copied', onDisk, 'ram'],
    ['fetched', { kind: 'url', urls: [url] }, 'auto'],
  ])('has another digest: %s', async (_what, source, copy) => {
    const error = await failing(machineWith(), planOf(source, { copy, sha256: '0'.repeat(64) }))
    expect(error.cause).toMatchObject({ code: 'DIGEST' })
  })

  it('is damaged: the kernel’s words, and what to do', async () => {
    const detail = ['SQUASHFS error: Unable to read inode 0x1c0']
    const root: Media = { ...image, fails: { code: 'EIO', detail } }
    const error = await failing(machineWith({}, root), planOf(inInitrd))
    expect(error.message).toBe('the image /image.squashfs is damaged: it cannot be mounted as squashfs')
    expect(error.cause).toMatchObject({ detail })
    expect(error.advice.join()).toContain('sha256')
  })

  it.each<[Media['type'], string]>([
    ['ext4', 'mksquashfs'],
    ['iso9660', 'ISO'],
  ])('is %s', async (type, advice) => {
    const error = await failing(machineWith({}, { type }), planOf(inInitrd))
    expect(error.message).toContain(type)
    expect(error.advice.join()).toContain(advice)
  })

  it('is not of the type that looptype= says', async () => {
    const error = await failing(machineWith(), planOf(inInitrd, { fsType: 'erofs' }))
    expect(error.message).toContain('looptype=erofs')
  })

  it('is larger than memory: both numbers, before anything of it is fetched', async () => {
    const body = 'x'.repeat(40 * 2 ** 20)
    const machine = machineWith({ memory: 64 * 2 ** 20, servers: { [url]: { body } } })
    const error = await failing(machine, planOf({ kind: 'url', urls: [url] }))
    expect(error.message).toMatch(/larger than the memory of this machine: \d+ bytes/)
    expect(error.cause).toMatchObject({ code: 'TOO_BIG' })
  })

  it('is larger than memory, and asked to be copied', async () => {
    const machine = machineWith({ memory: 2000 })
    const error = await failing(machine, planOf(onDisk, { copy: 'ram' }))
    expect(error.message).toMatch(/has 1\.0 kB, and 0 B of memory/)
    expect(error.advice.join()).toContain('diskless.image=place')
  })

  it.each<[string, ImageSource, RegExp]>([
    ['the initrd', { ...inInitrd, path: '/other' }, /\/other is not in the initrd/],
    ['any medium', { kind: 'path', path: '/other', medium: 'any' }, /neither in the initrd nor on any disk/],
    ['its disk', { ...onDisk, path: '/other' }, /no image \/other on \/dev\/sda1/],
    [
      'its share',
      { kind: 'nfs', share: { server: '10.0.2.2', path: '/srv/live', options: [] }, path: '/other' },
      /no image 10\.0\.2\.2:\/srv\/live\/other/,
    ],
  ])('is not on %s', async (_what, source, words) => {
    expect((await failing(machineWith(), planOf(source))).message).toMatch(words)
  })

  it('is empty', async () => {
    const error = await failing(machineWith({ files: { '/image.squashfs': '' } }), planOf(inInitrd))
    expect(error.message).toContain('empty')
  })

  it('cannot be read in place by the web', async () => {
    const error = await failing(machineWith(), planOf({ kind: 'url', urls: [url] }, { copy: 'place' }))
    expect(error.message).toContain('diskless.image=place')
  })

  it('holds another image', async () => {
    const root = { ...image, files: { '/LiveOS/rootfs.img': 'ext4' } }
    const error = await failing(machineWith({}, root), planOf(inInitrd))
    expect(error.message).toContain('LiveOS/rootfs.img')
  })

  it('shows no password of its URL', async () => {
    const secret = { kind: 'url', urls: ['http://me:hunter2@10.0.2.2/none.img'] } as const
    const error = await failing(machineWith(), planOf(secret))
    expect(`${error.message} ${error.advice.join()}`).not.toContain('hunter2')
  })
})
