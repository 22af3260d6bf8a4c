/** Roots on disks: found by any name, waited for, overlaid, and refused for what they are. */
import { describe, expect, it } from 'vitest'
import type { DiskRootPlan } from '../../../src/boot/root-plan.ts'
import { mountDiskRoot } from '../../../src/root/disk.ts'
import { fakeMachine, fileSystemOf, type Media } from '../../support/machine/index.ts'
import { failureOf, mountsOfRoot, rootEvents } from './support.ts'

const plan: DiskRootPlan = {
  kind: 'disk',
  device: { kind: 'path', path: '/dev/vda1' },
  fsType: undefined,
  options: ['ro'],
  waitMs: 30_000,
  overlay: false,
}
const directories = {
  '/dev': { directory: true },
  '/proc': { directory: true },
  '/sys': { directory: true },
  '/run': { directory: true },
} as const

function rootDisk(change: Partial<Media> = {}): Media {
  return {
    type: 'ext4',
    files: { ...directories, '/sbin/init': 'init', '/etc/hostname': 'disk\n' },
    ...change,
  }
}

describe('a root on a disk', () => {
  it.each<[DiskRootPlan['device'], Media['contents']]>([
    [{ kind: 'path', path: '/dev/vda1' }, {}],
    [{ kind: 'label', value: 'ROOT' }, { label: 'ROOT' }],
    [{ kind: 'uuid', value: 'AB-CD' }, { uuid: 'ab-cd' }],
    [{ kind: 'partUuid', value: 'a1b2c3d4-01' }, { partUuid: 'a1b2c3d4-01' }],
    [{ kind: 'partLabel', value: 'system' }, { partLabel: 'system' }],
  ])('is found as %o', async (device, contents = {}) => {
    const machine = fakeMachine({ disks: [{ devname: 'vda1', media: rootDisk({ contents }) }] })
    const found = await machine.run(mountDiskRoot(machine, { ...plan, device }, rootEvents()))
    expect(found.path).toBe('/dev/vda1')
    expect(await machine.files.readText('/sysroot/etc/hostname')).toBe('disk\n')
    expect(await mountsOfRoot(machine)).toEqual(['/sysroot'])
  })

  it('is mounted with its options, and its type where that is told', async () => {
    const machine = fakeMachine({ disks: [{ devname: 'vda1', media: rootDisk({ type: 'btrfs' }) }] })
    const options = ['rw', 'subvol=@']
    await machine.run(mountDiskRoot(machine, { ...plan, fsType: 'btrfs', options }, rootEvents()))
    expect(machine.mounts.requests.at(-1)).toMatchObject({ type: 'btrfs', options, source: '/dev/vda1' })
  })

  it('is waited for, and that is told', async () => {
    const machine = fakeMachine({ disks: [{ devname: 'vda1', media: rootDisk(), afterMs: 12_000 }] })
    const events = rootEvents()
    await machine.run(mountDiskRoot(machine, plan, events))
    expect(machine.clock.now()).toBeGreaterThanOrEqual(12_000)
    expect(events.notices).toEqual([expect.stringContaining('/dev/vda1')])
  })

  it('with overlaytmpfs is never written, even with rw', async () => {
    const media = rootDisk()
    const machine = fakeMachine({ disks: [{ devname: 'vda1', media }] })
    await machine.run(mountDiskRoot(machine, { ...plan, options: ['rw'], overlay: true }, rootEvents()))
    await machine.files.writeText('/sysroot/etc/hostname', 'changed\n')
    expect(fileSystemOf(media).read('/etc/hostname').toString()).toBe('disk\n')
    expect(machine.mounts.requests.find(({ type }) => type === 'ext4')?.options).toEqual(['ro'])
    expect(await mountsOfRoot(machine)).toEqual(['/sysroot'])
  })
})

describe('a root on a disk that cannot be had', () => {
  const failing = async (media: Media | undefined, change: Partial<DiskRootPlan> = {}) => {
    const machine = fakeMachine({ disks: media === undefined ? [] : [{ devname: 'vda1', media }] })
    const error = await failureOf(machine, mountDiskRoot(machine, { ...plan, ...change }, rootEvents()))
    expect(await mountsOfRoot(machine)).toEqual([])
    return error
  }

  it.each<[Media['type'], RegExp]>([
    ['crypto_LUKS', /cryptsetup/],
    ['LVM2_member', /LVM/],
    ['linux_raid_member', /mdadm/],
    ['zfs_member', /ZFS/],
  ])('names what %s needs', async (type, words) => {
    expect((await failing({ type })).message).toMatch(words)
  })

  it('says after its time what there is instead', async () => {
    const error = await failing(rootDisk(), { device: { kind: 'label', value: 'NONE' } })
    expect(error.message).toContain('LABEL=NONE')
    expect(error.advice.join()).toContain('/dev/vda1')
  })

  it('brings the kernel’s words where it is damaged', async () => {
    const detail = ['EXT4-fs (vda1): bad geometry']
    const error = await failing(rootDisk({ fails: { code: 'EUCLEAN', detail } }))
    expect(error.cause).toMatchObject({ detail })
  })

  it('names the mount points that a read-only one lacks', async () => {
    const files = { '/etc/fstab': '', '/dev': { directory: true }, '/proc': { directory: true } } as const
    const error = await failing(rootDisk({ files }), { options: ['ro'] })
    expect(error.message).toContain('has no /sys, /run to mount on')
    expect(error.advice.join()).toMatch(/rw.*overlaytmpfs/)
  })

  it('makes nothing on a disk that holds no system', async () => {
    const media = rootDisk({ files: { '/photos/1.jpg': '' } })
    const error = await failing(media, { options: ['rw'] })
    expect(error.message).toContain('holds no Linux system')
    expect(error.advice.join()).toContain('photos')
    expect(fileSystemOf(media).list('/')).toEqual(['photos'])
  })

  it('makes them in one that is written', async () => {
    const machine = fakeMachine({
      disks: [{ devname: 'vda1', media: rootDisk({ files: { '/etc/fstab': '' } }) }],
    })
    await machine.run(mountDiskRoot(machine, { ...plan, options: ['rw'] }, rootEvents()))
    expect(await machine.files.status('/sysroot/run')).toMatchObject({ kind: 'directory' })
  })
})
