/** The fake machine's files and mounts refuse what a kernel refuses. */

import { describe, expect, test } from 'vitest'
import { fakeMachine } from '../../support/machine/index.ts'

test('/proc and /sys show what the test said, when they are mounted', async () => {
  const bare = fakeMachine({ commandLine: 'quiet ip=dhcp', bare: true })
  await expect(bare.files.readText('/proc/cmdline')).rejects.toMatchObject({ code: 'ENOENT' })
  await bare.mounts.mount({ type: 'proc', source: 'proc', target: '/proc', options: [] })
  expect(await bare.files.readText('/proc/cmdline')).toBe('quiet ip=dhcp\n')
  const again = bare.mounts.mount({ type: 'proc', source: 'proc', target: '/proc', options: [] })
  await expect(again).rejects.toMatchObject({ code: 'EBUSY' })
})

test('a mount hides what is below it, moves with its content, and gives it back', async () => {
  const { files, mounts } = fakeMachine({ files: { '/media/old': 'x', '/new/y': 'y' } })
  await mounts.mount({ type: 'tmpfs', source: 'tmpfs', target: '/media', options: ['size=1m'] })
  expect(await files.list('/media')).toEqual([])
  await files.writeText('/media/file', 'text')
  await mounts.move('/media', '/new')
  expect(await files.list('/media')).toEqual(['old'])
  expect(await files.readText('/new/file')).toBe('text')
  await mounts.unmount('/new')
  expect(await files.list('/new')).toEqual(['y'])
  await expect(mounts.unmount('/new')).rejects.toMatchObject({ code: 'EINVAL' })
})

test('a full tmpfs is ENOSPC, and its room comes back', async () => {
  const { files, mounts } = fakeMachine()
  await mounts.mount({ type: 'tmpfs', source: 'tmpfs', target: '/tmp', options: ['size=4k'] })
  await files.writeText('/tmp/a', 'a'.repeat(4000))
  await expect(files.writeText('/tmp/b', 'b'.repeat(100))).rejects.toMatchObject({
    code: 'ENOSPC',
    subject: '/tmp/b',
  })
  await files.remove('/tmp/a')
  await files.writeText('/tmp/b', 'b'.repeat(100))
  expect(await files.space('/tmp')).toEqual({ total: 4096, free: 3996 })
})

describe('resolveIn keeps every link inside its root', () => {
  const { files } = fakeMachine({
    files: {
      '/root/etc/name': 'inside',
      '/etc/name': 'outside',
      '/root/absolute': { symlink: '/etc/name' },
      '/root/climbing': { symlink: '../../../etc/name' },
      '/root/loop': { symlink: 'loop' },
    },
  })
  test.each(['/absolute', '/climbing', '../../etc/name'])('%s', async (path) => {
    expect(await files.resolveIn('/root', path)).toBe('/root/etc/name')
  })
  test('what is not there, and a loop', async () => {
    expect(await files.resolveIn('/root', '/etc/none')).toBeUndefined()
    await expect(files.resolveIn('/root', '/loop')).rejects.toMatchObject({ code: 'ELOOP' })
  })
})

test('read-only, wrong type, unknown NFS version, a server that hangs', async () => {
  const machine = fakeMachine({
    media: {
      '/dev/vda1': { type: 'ext4', files: { '/x': 'x' } },
      '10.0.2.2:/srv': { type: 'nfs', versions: ['3'] },
      '10.0.2.3:/srv': { type: 'nfs', delayMs: Number.POSITIVE_INFINITY },
    },
    files: { '/mnt': { directory: true } },
  })
  const mount = (type: string, source: string, options: string[] = [], timeoutMs = 5000) =>
    machine.run(machine.mounts.mount({ type, source, target: '/mnt', options, timeoutMs }))
  await expect(mount('vfat', '/dev/vda1')).rejects.toMatchObject({ code: 'EINVAL' })
  await expect(mount('nfs', '10.0.2.2:/srv', ['vers=4.2'])).rejects.toMatchObject({ code: 'EPROTONOSUPPORT' })
  const before = machine.clock.now()
  await expect(mount('nfs', '10.0.2.3:/srv')).rejects.toMatchObject({ code: 'TIMEOUT' })
  expect(machine.clock.now() - before).toBe(5000)
  await mount('ext4', '/dev/vda1', ['ro'])
  await expect(machine.files.writeText('/mnt/y', '')).rejects.toMatchObject({ code: 'EROFS' })
  expect(await machine.files.readText('/mnt/x')).toBe('x')
})
