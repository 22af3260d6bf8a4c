/** diskless.nfsroot=links: a tmpfs of symlinks into the export, /var and /dev copied. */
import { gzipSync } from 'node:zlib'
import { expect, it } from 'vitest'
import type { NfsRootPlan } from '../../../src/boot/root-plan.ts'
import { mountNfsRoot } from '../../../src/root/nfs.ts'
import {
  fakeMachine,
  fileSystemOf,
  type MachineOptions,
  type Media,
  makeTar,
} from '../../support/machine/index.ts'
import { failureOf, mountsOfRoot, networkUp, rootEvents } from './support.ts'

const plan: NfsRootPlan = { kind: 'nfs', share: 'lease', writable: 'links', options: [] }

const files: Media['files'] = {
  '/bin/sh': { content: 'sh', mode: 0o755 },
  '/etc/resolv.conf': { symlink: '/var/resolv.conf' },
  '/dev/null': { node: 'char', device: '1:3' },
  '/proc': { directory: true },
  '/var/log/messages': 'old\n',
  '/var/run': { symlink: '../run' },
}

const devices = makeTar(
  [
    { name: 'dev/', type: 'directory' },
    { name: 'dev/mark', content: 'x' },
  ],
  { end: true },
)

function machineWith(change: Media['files'] = {}, options: MachineOptions = {}, media: Partial<Media> = {}) {
  const share: Media = { type: 'nfs', readOnly: true, files: { ...files, ...change }, ...media }
  const machine = fakeMachine({
    media: { '10.0.2.2:/root': share },
    files: { '/etc/resolv.conf': 'nameserver 10.0.2.3\n' },
    ...options,
  })
  return { machine, share, network: networkUp({ rootPath: '/root' }) }
}

it('links into the export, and copies what must be written', async () => {
  const { machine, share, network } = machineWith()
  await machine.run(mountNfsRoot(machine, plan, network, rootEvents()))
  expect(await machine.files.readLink('/sysroot/bin')).toBe('nfsroot/bin')
  expect(await machine.files.readText('/sysroot/bin/sh')).toBe('sh')
  await machine.files.writeText('/sysroot/var/log/messages', 'new\n', { append: true })
  expect(fileSystemOf(share).read('/var/log/messages').toString()).toBe('old\n')
  await expect(machine.files.writeText('/sysroot/etc/x', '')).rejects.toMatchObject({ code: 'EROFS' })
  const resolver = await machine.files.resolveIn('/sysroot', '/etc/resolv.conf')
  expect(resolver).toBe('/sysroot/var/resolv.conf')
  expect(await machine.files.readText('/sysroot/var/resolv.conf')).toBe('nameserver 10.0.2.3\n')
})

it('makes real directories of those that mounts are moved onto', async () => {
  const { machine, network } = machineWith()
  await machine.run(mountNfsRoot(machine, plan, network, rootEvents()))
  for (const name of ['proc', 'sys', 'dev', 'run', 'tmp', 'initrd']) {
    expect(await machine.files.status(`/sysroot/${name}`), name).toMatchObject({ kind: 'directory' })
  }
  expect(await machine.files.status('/sysroot/tmp')).toMatchObject({ mode: 0o1777 })
})

it('copies /dev, or unpacks dev.tar.gz where there is one', async () => {
  const copied = machineWith()
  await copied.machine.run(mountNfsRoot(copied.machine, plan, copied.network, rootEvents()))
  expect(await copied.machine.files.status('/sysroot/dev/null')).toMatchObject({ kind: 'char' })

  const packed = machineWith({ '/dev.tar.gz': gzipSync(devices) })
  await packed.machine.run(mountNfsRoot(packed.machine, plan, packed.network, rootEvents()))
  expect(await packed.machine.files.status('/sysroot/dev/mark')).toMatchObject({ kind: 'file' })
  expect(await packed.machine.files.status('/sysroot/dev/null')).toBeUndefined()
})

it('hides the NFS mount from the scripts of a shutdown, who would unmount it', async () => {
  const { machine, network } = machineWith()
  await machine.run(mountNfsRoot(machine, plan, network, rootEvents()))
  expect(await mountsOfRoot(machine)).toEqual(['/sysroot', '/sysroot/nfsroot'])
  const types = (await machine.mounts.list()).map(({ type }) => type)
  expect(types).not.toContain('nfs')
})

it('lets systemd, which runs from the export, not unmount it', async () => {
  const { machine, network } = machineWith({ '/usr/lib/systemd/systemd': { content: 'x', mode: 0o755 } })
  await machine.run(mountNfsRoot(machine, plan, network, rootEvents()))
  const unit = await machine.files.readText('/run/systemd/system/nfsroot.mount.d/diskless.conf')
  expect(unit).toBe('[Unit]\nDefaultDependencies=no\n')
})

it('works without overlayfs, and says what shutdowns need then', async () => {
  const { machine, network } = machineWith({}, { fileSystems: ['tmpfs', 'nfs'] })
  const events = rootEvents()
  await machine.run(mountNfsRoot(machine, plan, network, events))
  expect(await machine.files.readText('/sysroot/bin/sh')).toBe('sh')
  expect(events.notices.join()).toContain('must not unmount /nfsroot')
})

it('says with numbers that /var is too large, and leaves nothing', async () => {
  const big = { '/var/lib/big': Buffer.alloc(40 * 2 ** 20) }
  const { machine, network } = machineWith(big, { memory: 64 * 2 ** 20 })
  const error = await failureOf(machine, mountNfsRoot(machine, plan, network, rootEvents()))
  expect(error.message).toMatch(/\/var of 10\.0\.2\.2:\/root does not fit.*\d+\.\d MB/)
  expect(await mountsOfRoot(machine)).toEqual([])
})

it('says that root is mapped to nobody', async () => {
  const { machine, network } = machineWith()
  machine.faults.order({ operation: 'files.copyTree', code: 'EACCES' })
  const error = await failureOf(machine, mountNfsRoot(machine, plan, network, rootEvents()))
  expect(error.advice.join()).toContain('no_root_squash')
})
