/** NFS roots: whose export, what is written above it, what a shutdown needs, what a wrong export gets. */
import { describe, expect, it } from 'vitest'
import type { NfsRootPlan } from '../../../src/boot/root-plan.ts'
import { mountNfsRoot } from '../../../src/root/nfs.ts'
import { fakeMachine, fileSystemOf, type MachineOptions, type Media } from '../../support/machine/index.ts'
import { failureOf, mountsOfRoot, networkUp, rootEvents } from './support.ts'

const plan: NfsRootPlan = { kind: 'nfs', share: 'lease', writable: 'overlay', options: [] }

function exported(change: Partial<Media> = {}): Media {
  return {
    type: 'nfs',
    readOnly: true,
    files: {
      '/sbin/init': { content: 'init', mode: 0o755 },
      '/etc/hostname': 'client\n',
      '/proc': { directory: true },
    },
    ...change,
  }
}

function machineWith(media: Media, change: MachineOptions = {}) {
  return fakeMachine({
    media: { '10.0.2.2:/srv/root': media },
    files: { '/etc/resolv.conf': 'nameserver 10.0.2.3\n' },
    ...change,
  })
}

describe('an NFS root', () => {
  it('is the lease’s export, read-only, and what is written stays in memory', async () => {
    const media = exported()
    const machine = machineWith(media)
    const network = networkUp({ rootPath: '10.0.2.2:/srv/root,rsize=8192' })
    const root = await machine.run(mountNfsRoot(machine, plan, network, rootEvents()))
    expect(root).toEqual({ from: '10.0.2.2:/srv/root', version: '4.2' })
    expect(await machine.files.readText('/sysroot/etc/hostname')).toBe('client\n')
    await machine.files.writeText('/sysroot/etc/hostname', 'other\n')
    expect(fileSystemOf(media).read('/etc/hostname').toString()).toBe('client\n')
    const nfs = machine.mounts.requests.find(({ type }) => type === 'nfs')
    expect(nfs?.options).toEqual(expect.arrayContaining(['ro', 'rsize=8192']))
  })

  it('leaves the new system one mount only, so that its shutdown cannot trip over the others', async () => {
    const machine = machineWith(exported())
    const network = networkUp({ rootPath: '/srv/root' })
    await machine.run(mountNfsRoot(machine, plan, network, rootEvents()))
    expect(await mountsOfRoot(machine)).toEqual(['/sysroot'])
  })

  it('takes %s in the path for the client’s address, and next-server for a server that is not named', async () => {
    const machine = fakeMachine({ media: { '10.0.2.7:/tftpboot/10.0.2.15': exported() } })
    const network = networkUp({ rootPath: '/tftpboot/%s', server: '10.0.2.7' })
    const { from } = await machine.run(mountNfsRoot(machine, plan, network, rootEvents()))
    expect(from).toBe('10.0.2.7:/tftpboot/10.0.2.15')
  })

  it('prefers nfsroot= to the lease, and is never mounted for writing', async () => {
    const machine = machineWith(exported())
    const events = rootEvents()
    const share = { server: '10.0.2.2', path: '/srv/root', options: ['rw', 'vers=3'] }
    const network = networkUp({ rootPath: '10.9.9.9:/other' })
    const { version } = await machine.run(mountNfsRoot(machine, { ...plan, share }, network, events))
    expect(version).toBe('3')
    expect(machine.mounts.requests.find(({ type }) => type === 'nfs')?.options).not.toContain('rw')
    expect(events.notices.join()).toContain('read-only')
  })

  it.each<[string, Media['files'], string, string]>([
    ['none', {}, '/sysroot/etc/resolv.conf', 'nameserver 10.0.2.3\n'],
    ['its own', { '/etc/resolv.conf': 'own\n' }, '/sysroot/etc/resolv.conf', 'own\n'],
    [
      'a link to /var',
      { '/etc/resolv.conf': { symlink: '/var/resolv.conf' } },
      '/sysroot/var/resolv.conf',
      'nameserver 10.0.2.3\n',
    ],
  ])('where it has %s for a resolv.conf', async (_what, files, path, text) => {
    const machine = machineWith(exported({ files: { '/etc/hostname': 'x', ...files } }))
    const network = networkUp({ rootPath: '/srv/root' })
    await machine.run(mountNfsRoot(machine, plan, network, rootEvents()))
    expect(await machine.files.readText(path)).toBe(text)
  })

  it('leaves a resolv.conf alone that a program of the new system makes', async () => {
    const link = { symlink: '/run/resolvconf/resolv.conf' }
    const machine = machineWith(exported({ files: { '/etc/resolv.conf': link } }))
    const network = networkUp({ rootPath: '/srv/root' })
    await machine.run(mountNfsRoot(machine, plan, network, rootEvents()))
    expect(await machine.files.readLink('/sysroot/etc/resolv.conf')).toBe('/run/resolvconf/resolv.conf')
  })
})

describe('an NFS root that cannot be had', () => {
  const failing = async (media: Media, rootPath?: string, change: Partial<NfsRootPlan> = {}) => {
    const machine = machineWith(media)
    const network = networkUp(rootPath === undefined ? {} : { rootPath })
    const error = await failureOf(
      machine,
      mountNfsRoot(machine, { ...plan, ...change }, network, rootEvents()),
    )
    expect(await mountsOfRoot(machine)).toEqual([])
    return error
  }

  it('without a root path says what to set', async () => {
    const error = await failing(exported())
    expect(error.message).toContain('10.0.2.2 names no root path')
    expect(error.advice.join()).toMatch(/option 17.*nfsroot=/)
  })

  it('shows a root path that is no share', async () => {
    const error = await failing(exported(), 'iscsi:10.0.2.2::::iqn.x')
    expect(error.message).toContain('iscsi:10.0.2.2::::iqn.x')
  })

  it('that the server denies names the export', async () => {
    const error = await failing(exported({ access: 'denied' }), '/srv/root')
    expect(error.message).toContain('10.0.2.2:/srv/root')
  })

  it('without overlayfs in the kernel leaves nothing mounted', async () => {
    const machine = machineWith(exported(), { fileSystems: ['tmpfs', 'nfs'] })
    const network = networkUp({ rootPath: '/srv/root' })
    const error = await failureOf(machine, mountNfsRoot(machine, plan, network, rootEvents()))
    expect(error.advice.join()).toContain('overlay')
    expect(await mountsOfRoot(machine)).toEqual([])
  })

  it('can be tried again', async () => {
    const machine = machineWith(exported())
    const network = networkUp({ rootPath: '/srv/root' })
    machine.faults.order({ operation: 'mounts.mount', subject: '/sysroot', code: 'EINVAL', times: 1 })
    await failureOf(machine, mountNfsRoot(machine, plan, network, rootEvents()))
    await machine.run(mountNfsRoot(machine, plan, network, rootEvents()))
    expect(await machine.files.readText('/sysroot/etc/hostname')).toBe('client\n')
  })
})
