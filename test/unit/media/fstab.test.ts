/** Where fstab wants media, and the shares that it names. */
import { describe, expect, it } from 'vitest'
import { honourFstab } from '../../../src/media/fstab.ts'
import { noMedia, openMedia } from '../../../src/media/media.ts'
import { type DiskScript, fakeMachine, type Media } from '../../support/machine/index.ts'
import { ramPlan, stick, told } from './support.ts'

describe('fstab', () => {
  /** What is mounted of the medium /dev/sda1 after fstab with these lines. */
  async function mountedBy(lines: string, disk: Partial<DiskScript> = {}) {
    const machine = fakeMachine({
      disks: [{ devname: 'sda1', media: { ...stick }, ...disk }],
      files: { '/new/etc/fstab': `${lines}\n` },
    })
    const events = told()
    const media = await machine.run(openMedia(machine, ramPlan(''), undefined, events))
    const moved = await machine.run(honourFstab(machine, '/new', media, { server: undefined }, events))
    expect(events.warnings).toEqual([])
    const mounts = (await machine.mounts.list()).filter(({ source }) => source === '/dev/sda1')
    return { moved, mounts: mounts.map(({ target, options }) => `${target} ${options.join()}`) }
  }

  it('moves a medium to its line’s place below /media with its options', async () => {
    const { moved, mounts } = await mountedBy('LABEL=STICK /media/usb xfs noauto,noatime,ro 0 0')
    expect(moved).toEqual([{ from: '/media/sda1', to: '/media/usb' }])
    expect(mounts).toEqual(['/new/media/usb ro,noatime'])
  })

  it('puts a medium that is for /boot there too: packages and lbu still find it where it was', async () => {
    const { moved, mounts } = await mountedBy(
      'UUID=C0FFEE00-0000-4000-8000-000000000001 /boot xfs noatime,nofail 0 0',
    )
    expect(moved).toEqual([])
    expect(mounts).toEqual(['/media/sda1 rw,noatime', '/new/boot rw,noatime'])
  })

  it('puts it into both places of two lines, writable in both if one asks for that', async () => {
    const lines =
      '/dev/sda1 /boot xfs defaults 0 0\n/dev/sda1 /media/usb xfs noauto,ro 0 0\n/dev/sda1 /no xfs noauto 0 0'
    const { moved, mounts } = await mountedBy(lines)
    expect(moved).toEqual([{ from: '/media/sda1', to: '/media/usb' }])
    expect(mounts).toEqual(['/new/media/usb rw', '/new/boot rw'])
  })

  it('knows a CD and a stick by Alpine’s own names', async () => {
    const lines = '/dev/cdrom /media/cdrom iso9660 noauto,ro 0 0\n/dev/usbdisk /media/usb vfat noauto,ro 0 0'
    const disc: Media = { type: 'iso9660', files: { '/apks/.boot_repository': '' } }
    const machine = fakeMachine({
      devices: [
        {
          path: 'devices/pci0000:00/0000:00:14.0/usb1/1-1/host2/block/sdb',
          subsystem: 'block',
          devname: 'sdb',
        },
      ],
      media: { '/dev/sdb': { ...stick } },
      disks: [{ devname: 'sr0', media: disc }],
      files: { '/new/etc/fstab': `${lines}\n` },
    })
    const events = told()
    const media = await machine.run(openMedia(machine, ramPlan(''), undefined, events))
    expect(await machine.run(honourFstab(machine, '/new', media, { server: undefined }, events))).toEqual(
      expect.arrayContaining([
        { from: '/media/sr0', to: '/media/cdrom' },
        { from: '/media/sdb', to: '/media/usb' },
      ]),
    )
  })

  it('mounts shares, unless their line says noauto', async () => {
    const machine = fakeMachine({
      media: { '10.0.2.2:/home': { type: 'nfs', files: { '/me': 'me' } } },
      files: {
        '/new/etc/fstab': '10.0.2.2:/home /home nfs rw 0 0\n10.0.2.2:/gone /gone nfs noauto 0 0\n',
      },
    })
    const events = told()
    await machine.run(honourFstab(machine, '/new', noMedia, { server: undefined }, events))
    expect(await machine.files.readText('/new/home/me')).toBe('me')
    expect(events.warnings).toEqual([])
  })

  it('leaves shares to the new system where there is no network, without waiting for any', async () => {
    const machine = fakeMachine({
      links: [],
      files: { '/new/etc/fstab': '10.0.2.2:/home /home nfs rw 0 0\n' },
    })
    const events = told()
    const before = machine.clock.now()
    await machine.run(honourFstab(machine, '/new', noMedia, undefined, events))
    expect(events.warnings.join()).toMatch(/10\.0\.2\.2:\/home on \/home: it is left to the new system/)
    expect(machine.clock.now() - before).toBeLessThan(1000)
  })

  it('that names a share which is not there is a warning, and the boot goes on', async () => {
    const machine = fakeMachine({
      media: { '10.0.2.2:/home': { type: 'nfs', files: {} } },
      files: { '/new/etc/fstab': '10.0.2.2:/nowhere /home nfs defaults 0 0\n' },
    })
    const events = told()
    const none = { media: [], repositories: [], overlays: [], overlayTarget: undefined, looked: [] }
    await machine.run(honourFstab(machine, '/new', none, { server: undefined }, events))
    expect(events.warnings.join()).toMatch(/\/home: .*has no \/nowhere/)
  })
})
