/** Media: devices by name, shares by version, what is found on them, and where fstab wants them. */
import { describe, expect, it } from 'vitest'
import { parseDeviceName, parsePlaceOnDevice } from '../../../src/boot/device.ts'
import { parseNfsShare } from '../../../src/boot/nfs.ts'
import { blockDevices, mountDevice, waitForDevice } from '../../../src/media/device.ts'
import { type MediaEvents, openMedia, wantsMedia } from '../../../src/media/media.ts'
import { mountNfs } from '../../../src/media/nfs.ts'
import { boundReads, mountForGood } from '../../../src/media/nfs-reads.ts'
import { BootError, chainOf } from '../../../src/sys/index.ts'
import { type FakeMachine, fakeMachine, type Media } from '../../support/machine/index.ts'
import { ramPlan, stick, told } from './support.ts'

async function refusalOf(machine: FakeMachine, promise: Promise<unknown>): Promise<string> {
  const error = await machine.run(
    promise.then(
      () => undefined,
      (error: unknown) => error,
    ),
  )
  if (!(error instanceof BootError)) throw new Error(`no BootError: ${String(error)}`)
  return [...chainOf(error), ...error.advice].join('\n')
}

const named = (text: string) => {
  const name = parseDeviceName(text)
  if (name === undefined) throw new Error(`${text} is no device`)
  return name
}

describe('a device', () => {
  it.each([
    ['LABEL=STICK', 'STICK'],
    ['UUID=C0FFEE00-0000-4000-8000-000000000001', 'in the other case'],
    ['PARTLABEL=boot', 'by its partition'],
    ['/dev/disk/by-label/STICK', 'as udev would link it'],
    ['sda1', 'without /dev/'],
  ])('is found as %s', async (text) => {
    const machine = fakeMachine({ disks: [{ devname: 'sda1', media: { ...stick } }] })
    const wait = { what: 'the test’s', deadlineMs: 1000, ...told() }
    expect((await machine.run(waitForDevice(machine, named(text), wait))).path).toBe('/dev/sda1')
  })

  it('that is a loop device without a file is not looked at', async () => {
    const machine = fakeMachine({
      kernel: {
        '/sys/devices/virtual/block/loop0/size': '0\n',
        '/sys/devices/virtual/block/loop1/size': '8\n',
      },
      devices: ['loop0', 'loop1'].map((devname) => ({
        path: `devices/virtual/block/${devname}`,
        subsystem: 'block',
        devname,
      })),
      media: { '/dev/loop0': { type: 'ext4', probe: 'hangs' }, '/dev/loop1': { ...stick } },
    })
    const found = await machine.run(blockDevices(machine, () => undefined))
    expect(found.map(({ path }) => path)).toEqual(['/dev/loop1'])
    expect(machine.clock.now()).toBeLessThan(10_000)
  })

  it('is waited for by its event', async () => {
    const machine = fakeMachine({ disks: [{ devname: 'sda1', media: { ...stick }, afterMs: 4000 }] })
    const events = told()
    const wait = { what: 'the test’s', deadlineMs: 30_000, ...events }
    await machine.run(waitForDevice(machine, named('LABEL=STICK'), wait))
    expect(machine.clock.now()).toBeLessThan(10_000)
    expect(events.notices).toEqual(['waiting for LABEL=STICK, the test’s'])
  })

  it('that does not come is told with what is there instead', async () => {
    const machine = fakeMachine({ disks: [{ devname: 'sda1', media: { ...stick } }] })
    const wait = { what: 'the root', deadlineMs: 30_000, ...told() }
    const text = await refusalOf(machine, waitForDevice(machine, named('LABEL=OTHER'), wait))
    expect(text).toContain('LABEL=OTHER, the root, did not appear within 30 s')
    expect(text).toContain('/dev/sda1 (xfs, LABEL=STICK')
  })

  it.each([
    ['crypto_LUKS', /cryptsetup/],
    ['LVM2_member', /LVM/],
    ['linux_raid_member', /mdadm/],
    ['zfs_member', /ZFS/],
  ])('that is %s is refused by name', async (type, words) => {
    const machine = fakeMachine()
    const contents = {
      type,
      uuid: undefined,
      label: undefined,
      partUuid: undefined,
      partLabel: undefined,
      size: 1,
    }
    const mount = mountDevice(machine, { path: '/dev/sda1', contents }, { target: '/mnt', options: ['ro'] })
    expect(await refusalOf(machine, mount)).toMatch(words)
  })
})

describe('a share', () => {
  const share = (text: string) => {
    const parsed = parseNfsShare(text)
    if (parsed === undefined) throw new Error(`${text} is no share`)
    return parsed
  }
  const request = (events: MediaEvents) => ({
    target: '/mnt',
    options: ['ro'],
    defaultServer: undefined,
    reads: 'wait' as const,
    ...events,
  })

  it('is tried with the newest version first, and 3 without locks', async () => {
    const machine = fakeMachine({ media: { '10.0.2.2:/srv': { type: 'nfs', versions: ['3'], files: {} } } })
    const { version } = await machine.run(
      mountNfs(machine, share('10.0.2.2:/srv,retry=1,rsize=8192'), request(told())),
    )
    expect(version).toBe('3')
    const options = machine.mounts.requests.map(({ options }) => options)
    expect(options.map((each) => each.find((option) => option.startsWith('vers=')))).toEqual([
      ...['vers=4.2', 'vers=4.1', 'vers=4.0', 'vers=3'],
    ])
    expect(options.at(-1)).toEqual(['ro', 'vers=3', 'addr=10.0.2.2', 'proto=tcp', 'nolock', 'rsize=8192'])
  })

  it('by IPv6 with its own word for TCP', async () => {
    const machine = fakeMachine({
      media: { '[fd00::9]:/srv': { type: 'nfs', versions: ['4.2'], files: {} } },
    })
    await machine.run(mountNfs(machine, share('[fd00::9]:/srv'), request(told())))
    expect(machine.mounts.requests.map(({ options }) => options)).toEqual([
      ['ro', 'vers=4.2', 'addr=fd00::9', 'proto=tcp6'],
    ])
  })

  it('of a version that the server refuses is told', async () => {
    const machine = fakeMachine({ media: { '10.0.2.2:/srv': { type: 'nfs', versions: ['3'], files: {} } } })
    const text = await refusalOf(machine, mountNfs(machine, share('10.0.2.2:/srv,vers=4.2'), request(told())))
    expect(text).toMatch(/speaks none of the versions that were tried/)
    const newer = fakeMachine({ media: { '10.0.2.2:/srv': { type: 'nfs', versions: ['4.2'], files: {} } } })
    const told3 = await refusalOf(newer, mountNfs(newer, share('10.0.2.2:/srv,vers=3'), request(told())))
    expect(told3).toMatch(/speaks none of the versions that were tried .*NFS 3: /)
  })

  it('that may not be mounted, or is not exported, is told', async () => {
    const machine = fakeMachine({ media: { '10.0.2.2:/srv': { type: 'nfs', access: 'denied', files: {} } } })
    expect(await refusalOf(machine, mountNfs(machine, share('10.0.2.2:/srv'), request(told())))).toMatch(
      /does not let/,
    )
    expect(await refusalOf(machine, mountNfs(machine, share('10.0.2.2:/other'), request(told())))).toMatch(
      /has no \/other/,
    )
  })

  it('whose server is down is tried again, for two minutes, aloud', async () => {
    const machine = fakeMachine({ media: {} })
    const events = told()
    const text = await refusalOf(machine, mountNfs(machine, share('10.0.2.2:/srv'), request(events)))
    expect(text).toMatch(/is the server up/)
    expect(events.notices.length).toBeGreaterThan(5)
    expect(machine.clock.now()).toBeLessThan(130_000)
  })
})

describe('reads of a share', () => {
  const share = { server: '10.0.2.2', path: '/srv', options: [] }
  const optionsOf = async (machine: FakeMachine) =>
    (await machine.mounts.list()).find(({ target }) => target === '/media/alpine_dev')?.options ?? []

  it('fail while the system is built, and wait afterwards', async () => {
    const machine = fakeMachine({ media: { '10.0.2.2:/srv': { type: 'nfs', files: {} } } })
    await machine.run(openMedia(machine, ramPlan('alpine_dev=nfs:10.0.2.2:/srv'), undefined, told()))
    expect(await optionsOf(machine)).toEqual(expect.arrayContaining(['softerr', 'timeo=100', 'retrans=2']))
    await machine.run(mountForGood(machine, share, () => undefined))
    expect(await optionsOf(machine)).toContain('hard')
    expect((await optionsOf(machine)).join()).not.toMatch(/softerr|timeo|retrans/)
    expect((await machine.mounts.list()).filter(({ type }) => type === 'nfs')).toHaveLength(1)
  })

  it('do what the command line asks for, where it does', async () => {
    const machine = fakeMachine({ media: { '10.0.2.2:/srv': { type: 'nfs', files: {} } } })
    const asked = 'alpine_dev=nfs:10.0.2.2:/srv,soft,timeo=50'
    await machine.run(openMedia(machine, ramPlan(asked), undefined, told()))
    expect(await optionsOf(machine)).toEqual(expect.arrayContaining(['soft', 'timeo=50']))
    expect(await optionsOf(machine)).not.toContain('softerr')
  })

  it('that wait are told, and have an end', async () => {
    const machine = fakeMachine()
    const events = told()
    const text = await refusalOf(
      machine,
      boundReads(machine, '10.0.2.2:/srv', events, () => new Promise(() => undefined)),
    )
    expect(text).toMatch(/10\.0\.2\.2:\/srv was not read within 10 minutes/)
    expect(text).toMatch(/showmount -e 10\.0\.2\.2$/)
    expect(events.notices[0]).toMatch(/still reading from 10\.0\.2\.2:\/srv after 20 s/)
    expect(machine.clock.now()).toBeLessThan(750_000)
  })

  it('that are done in time are not told', async () => {
    const machine = fakeMachine()
    const events = told()
    const read = machine.clock.sleep(5000).then(() => 'read')
    expect(await machine.run(boundReads(machine, 'a:/b', events, () => read))).toBe('read')
    expect(events.notices).toEqual([])
  })
})

describe('the media of a boot', () => {
  it('are every disk where nothing is named: repository and overlay are found, the rest is let go', async () => {
    const machine = fakeMachine({
      disks: [
        { devname: 'vda1', media: { type: 'ext4', files: { '/secret': '' } } },
        { devname: 'sda1', media: { ...stick } },
      ],
    })
    const media = await machine.run(openMedia(machine, ramPlan(''), undefined, told()))
    expect(media.repositories).toEqual(['/media/sda1/alpine/apks'])
    expect(media.overlays).toEqual(['/media/sda1/box.apkovl.tar.gz'])
    expect(media.looked).toContain('/dev/vda1')
    expect((await machine.mounts.list()).map(({ target }) => target)).not.toContain('/media/vda1')
  })

  it('are only the named one where it has everything', async () => {
    const machine = fakeMachine({
      disks: [
        { devname: 'vda1', media: { ...stick } },
        { devname: 'sda1', media: { ...stick, contents: { label: 'OTHER' } } },
      ],
    })
    const media = await machine.run(openMedia(machine, ramPlan('alpine_dev=LABEL=OTHER'), undefined, told()))
    expect(media.media).toMatchObject([{ name: '/dev/sda1', target: '/media/alpine_dev' }])
  })

  it('are searched for the file of modloop=PATH, where everything else is named', async () => {
    const files = { '/boot/modloop-lts': 'modules' }
    const machine = fakeMachine({
      disks: [
        { devname: 'vda1', media: { type: 'ext4', files: { '/boot/other': '' } } },
        { devname: 'sda1', media: { type: 'ext4', files } },
      ],
    })
    const words = 'apkovl=http://a/b alpine_repo=http://a/c modloop=/boot/modloop-lts'
    const plan = ramPlan(words)
    expect(wantsMedia(plan)).toBe(true)
    const { media, looked } = await machine.run(openMedia(machine, plan, undefined, told()))
    expect(media.map(({ name }) => name)).toEqual(['/dev/sda1'])
    expect(looked).toContain('/dev/vda1')
    expect(wantsMedia(ramPlan('apkovl=http://a/b alpine_repo=http://a/c modloop=http://a/m'))).toBe(false)
  })

  it('have an ISO on a stick once, and leave a partition behind it to be mounted', async () => {
    const iso: Media = {
      type: 'iso9660',
      files: { '/apks/.boot_repository': '' },
      contents: { uuid: '2024-01-26-17-53-00-00' },
    }
    const own: Media = { type: 'ext4', files: { '/box.apkovl.tar.gz': '' } }
    const machine = fakeMachine({ disks: [{ devname: 'sda', media: { ...iso, partitions: [iso, own] } }] })
    const media = await machine.run(openMedia(machine, ramPlan(''), undefined, told()))
    expect(media.repositories).toEqual(['/media/sda1/apks'])
    expect(media.overlays).toEqual(['/media/sda2/box.apkovl.tar.gz'])
    expect((await machine.mounts.list()).map(({ source }) => source)).not.toContain('/dev/sda')
  })

  it('have repositories up to three levels down, and deeper ones are not looked for', async () => {
    const files = {
      '/b/.boot_repository': '',
      '/a/b/c/.boot_repository': '',
      '/a/b/c/d/.boot_repository': '',
      '/x/y/z/w/.boot_repository': '',
    }
    const machine = fakeMachine({ disks: [{ devname: 'sda1', media: { type: 'ext4', files } }] })
    const media = await machine.run(openMedia(machine, ramPlan('alpine_dev=sda1'), undefined, told()))
    expect(media.repositories).toEqual(['/media/alpine_dev/b', '/media/alpine_dev/a/b/c'])
  })

  it('pass a damaged disk over, aloud', async () => {
    const machine = fakeMachine({
      disks: [
        { devname: 'vda1', media: { type: 'ext4', files: {}, fails: { code: 'EUCLEAN' } } },
        { devname: 'sda1', media: { ...stick } },
      ],
    })
    const events = told()
    const media = await machine.run(openMedia(machine, ramPlan(''), undefined, events))
    expect(media.overlays).toHaveLength(1)
    expect(events.warnings.join()).toMatch(
      /\/dev\/vda1 is passed over.*may be damaged|\/dev\/vda1 is passed over/,
    )
  })

  it.each(['EIO', 'EUCLEAN', 'EBADMSG', 'ENXIO'] as const)(
    'let go of a disk that mounts and then says %s',
    async (code) => {
      const machine = fakeMachine({
        disks: [
          { devname: 'vda1', media: { type: 'ext4', files: { '/box.apkovl.tar.gz': '' } } },
          { devname: 'sda1', media: { ...stick } },
        ],
      })
      machine.faults.order({ operation: 'files.list', subject: '/media/vda1', code })
      const events = told()
      const media = await machine.run(openMedia(machine, ramPlan(''), undefined, events))
      expect(media.overlays).toEqual(['/media/sda1/box.apkovl.tar.gz'])
      expect(events.warnings.join()).toMatch(/\/dev\/vda1 is passed over: /)
      expect((await machine.mounts.list()).map(({ target }) => target)).not.toContain('/media/vda1')
    },
  )
})

describe('the words of a command line', () => {
  it.each([
    ['/dev/sda1', { fsType: undefined, path: undefined }],
    ['sda1:vfat', { fsType: 'vfat', path: undefined }],
    ['sda1:vfat:/dir/a.apkovl.tar.gz', { fsType: 'vfat', path: '/dir/a.apkovl.tar.gz' }],
    ['LABEL=X:/a.apkovl.tar.gz', { fsType: undefined, path: '/a.apkovl.tar.gz' }],
    ['sda1:vfat:a.apkovl.tar.gz', { fsType: 'vfat', path: '/a.apkovl.tar.gz' }],
  ])('%s', (text, wanted) => expect(parsePlaceOnDevice(text)).toMatchObject(wanted))

  it.each([
    ['server:/path', { server: 'server', path: '/path', options: [] }],
    ['/path,retry=1,rsize=8192', { server: undefined, path: '/path', options: ['retry=1', 'rsize=8192'] }],
    ['[fe80::1]:/path', { server: 'fe80::1', path: '/path', options: [] }],
    ['10.0.0.1:/a:ro,vers=3', { server: '10.0.0.1', path: '/a', options: ['ro', 'vers=3'] }],
  ])('%s', (text, wanted) => expect(parseNfsShare(text)).toEqual(wanted))

  it('apkovl= and ovl_dev= together are an error', () => {
    expect(() => ramPlan('apkovl=http://a/b.apkovl.tar.gz ovl_dev=sda1')).toThrow(/both name an overlay/)
  })
})
