/** The card that carries the root: what the new system is told, so that none of its programs touches it. */
import { describe, expect, it } from 'vitest'
import type { NfsRootPlan } from '../../../src/boot/root-plan.ts'
import { withoutLink } from '../../../src/root/interfaces.ts'
import { mountNfsRoot } from '../../../src/root/nfs.ts'
import { fakeMachine, fileSystemOf, type MachineOptions, type Media } from '../../support/machine/index.ts'
import { networkUp, rootEvents } from './support.ts'

const ifupdown = 'auto lo eth0\niface lo inet loopback\niface eth0 inet dhcp\n\thostname x\n'

async function rootOf(
  writable: NfsRootPlan['writable'],
  files: NonNullable<Media['files']>,
  options: MachineOptions = {},
  beneath: readonly string[] = [],
) {
  const media: Media = { type: 'nfs', readOnly: true, files: { '/etc/hostname': 'client\n', ...files } }
  const machine = fakeMachine({ media: { '10.0.2.2:/root': media }, ...options })
  const plan: NfsRootPlan = { kind: 'nfs', share: 'lease', writable, options: [] }
  const events = rootEvents()
  await machine.run(mountNfsRoot(machine, plan, { ...networkUp({ rootPath: '/root' }), beneath }, events))
  const read = async (path: string) => {
    const place = await machine.files.resolveIn('/sysroot', path)
    return place === undefined ? undefined : machine.files.readText(place)
  }
  const notices = events.notices.filter((text) => !text.startsWith('copying '))
  return { machine, media, notices, read }
}

describe.each(['overlay', 'links'] as const)('a new system on NFS (%s)', (writable) => {
  it('has no ifupdown, dhcpcd or halt that would take the card; the export stays as it is', async () => {
    const files = {
      '/etc/network/interfaces': { content: ifupdown, mode: 0o640 },
      '/etc/network/interfaces.d/more': 'allow-hotplug eth0\n',
      '/etc/dhcpcd.conf': 'interface eth1\nstatic x\n',
      '/etc/default/halt': 'HALT=poweroff\nNETDOWN=yes\n',
    }
    const { machine, media, notices, read } = await rootOf(writable, files)
    expect(await read('/etc/network/interfaces')).toBe(
      'auto lo\niface lo inet loopback\niface eth0 inet manual\n#\thostname x\n',
    )
    expect(await read('/etc/network/interfaces.d/more')).toBe('# allow-hotplug eth0\n')
    expect(await read('/etc/dhcpcd.conf')).toBe('denyinterfaces eth0\ninterface eth1\nstatic x\n')
    expect(await read('/etc/default/halt')).toBe('HALT=poweroff\n#NETDOWN=yes\n\nNETDOWN=no\n')
    const file = (await machine.files.resolveIn('/sysroot', '/etc/network/interfaces')) ?? ''
    expect(await machine.files.status(file)).toMatchObject({ mode: 0o640 })
    expect(fileSystemOf(media).read('/etc/network/interfaces').toString()).toBe(ifupdown)
    expect(notices).toEqual([expect.stringMatching(/^eth0 carries the root: .*interfaces, .*halt leave it/)])
  })

  it('has networkd, udev and NetworkManager leave it alone, by files in /run', async () => {
    const program = { content: 'x', mode: 0o755 }
    const { machine, notices } = await rootOf(writable, {
      '/usr/lib/systemd/systemd-networkd': program,
      '/usr/lib/systemd/systemd-udevd': program,
      '/usr/sbin/NetworkManager': program,
    })
    const network = await machine.files.readText('/run/systemd/network/00-diskless.network')
    expect(network).toContain('[Match]\nName=eth0\n')
    expect(network).toContain('[Link]\nUnmanaged=yes\n')
    const link = await machine.files.readText('/run/systemd/network/00-diskless.link')
    expect(link).toContain('[Match]\nOriginalName=eth0\n\n[Link]\nNamePolicy=\n')
    const manager = await machine.files.readText('/run/NetworkManager/conf.d/99-diskless.conf')
    expect(manager).toContain('[keyfile]\nunmanaged-devices+=interface-name:eth0\n')
    expect(notices).toEqual([])
  })

  it('gets no files for programs that it has not', async () => {
    const { machine, read } = await rootOf(writable, {})
    for (const path of ['/run/systemd', '/run/NetworkManager']) {
      expect(await machine.files.status(path), path).toBeUndefined()
    }
    expect(await read('/etc/default/halt')).toBeUndefined()
  })
})

it('in links without overlayfs, the person is told instead, and nothing else is claimed', async () => {
  const files = { '/etc/network/interfaces': ifupdown }
  const { notices, read } = await rootOf('links', files, { fileSystems: ['tmpfs', 'nfs'] })
  expect(await read('/etc/network/interfaces')).toBe(ifupdown)
  expect(notices).toEqual([expect.stringMatching(/nothing of it may touch eth0$/)])
})

it('what a VLAN or a bond lies on carries the root as well (netboot.xyz#1747)', async () => {
  const files = {
    '/etc/network/interfaces': 'auto eth0 eth1 eth2\niface eth1 inet dhcp\n',
    '/etc/dhcpcd.conf': '',
    '/usr/lib/systemd/systemd-networkd': 'x',
    '/usr/sbin/NetworkManager': 'x',
  }
  const { machine, read } = await rootOf('overlay', files, {}, ['bond0', 'eth1', 'eth2'])
  expect(await read('/etc/network/interfaces')).toBe('# auto eth2\niface eth1 inet manual\n')
  expect(await read('/etc/dhcpcd.conf')).toBe('denyinterfaces eth0 bond0 eth1 eth2\n')
  expect(await machine.files.readText('/run/systemd/network/00-diskless.network')).toContain(
    '[Match]\nName=eth0 bond0 eth1 eth2\n',
  )
  expect(await machine.files.readText('/run/NetworkManager/conf.d/99-diskless.conf')).toContain(
    'unmanaged-devices+=interface-name:eth0;interface-name:bond0;interface-name:eth1;interface-name:eth2\n',
  )
})

describe('interfaces(5) without a link', () => {
  it('ends the stanza where the next one begins', () => {
    const text =
      'allow-hotplug eth0\niface eth0 inet6 auto\n  pre-up x\nauto eth1\niface eth1 inet dhcp\n  up y\n'
    expect(withoutLink(text, 'eth0')).toBe(
      '# allow-hotplug eth0\niface eth0 inet6 manual\n#  pre-up x\nauto eth1\niface eth1 inet dhcp\n  up y\n',
    )
  })

  it('changes nothing of others, whose names may begin alike', () => {
    const text = 'auto eth01\niface eth01 inet dhcp\n  up z\n'
    expect(withoutLink(text, 'eth0')).toBe(text)
  })
})
