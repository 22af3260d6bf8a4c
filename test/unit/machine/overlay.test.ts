/** The fake machine's overlayfs: what is seen, and what the upper layer keeps. */

import { describe, expect, test } from 'vitest'
import { fakeMachine } from '../../support/machine/index.ts'

const files = {
  '/low/a': { content: 'low a', mode: 0o600, uid: 5, gid: 6 },
  '/low/b': 'low b',
  '/low/etc/conf': 'low',
  '/under/b': 'under b',
  '/under/c': 'under c',
  '/rw/up/d': 'up d',
  '/rw/work': { directory: true },
  '/merged': { directory: true },
} as const
const layers = ['lowerdir=/low:/under', 'upperdir=/rw/up', 'workdir=/rw/work']

async function mounted(options: readonly string[] = layers) {
  const machine = fakeMachine({ files })
  const mount = () => machine.mounts.mount({ type: 'overlay', source: 'overlay', target: '/merged', options })
  await mount()
  return { ...machine, mount }
}

test('the topmost layer wins, and what is written goes to the upper one', async () => {
  const { files } = await mounted()
  expect(await files.list('/merged')).toEqual(['a', 'b', 'c', 'd', 'etc'])
  expect(await files.readText('/merged/b')).toBe('low b')
  await files.writeText('/merged/a', ' more', { append: true })
  await files.writeText('/merged/etc/new', 'new')
  expect([files.text('/low/a'), files.text('/rw/up/a')]).toEqual(['low a', 'low a more'])
  expect(await files.status('/rw/up/a')).toMatchObject({ mode: 0o600, uid: 5, gid: 6 })
  expect(await files.list('/rw/up/etc')).toEqual(['new'])
})

test('what was removed or renamed stays so when it is mounted again', async () => {
  const { files, mounts, mount } = await mounted()
  await files.remove('/merged/b')
  await files.remove('/merged/d')
  await files.rename('/merged/etc', '/merged/etc.old')
  await mounts.unmount('/merged')
  expect(await files.status('/rw/up/b')).toMatchObject({ kind: 'char', device: '0:0' })
  expect(files.text('/low/b')).toBe('low b')
  await mount()
  expect(await files.list('/merged')).toEqual(['a', 'c', 'etc.old'])
  expect(files.text('/merged/etc.old/conf')).toBe('low')
})

test('without an upper layer nothing can be written', async () => {
  const { files } = await mounted(['lowerdir=/low'])
  await expect(files.writeText('/merged/x', '')).rejects.toMatchObject({ code: 'EROFS' })
})

test('a full upper layer is a full overlay', async () => {
  const machine = fakeMachine({ files })
  const { mounts } = machine
  await mounts.mount({ type: 'tmpfs', source: 'tmpfs', target: '/rw', options: ['size=4k'] })
  await machine.files.makeDirectory('/rw/up')
  await machine.files.makeDirectory('/rw/work')
  await mounts.mount({ type: 'overlay', source: 'overlay', target: '/merged', options: layers })
  expect(await machine.files.space('/merged')).toEqual({ total: 4096, free: 4096 })
  await expect(machine.files.writeText('/merged/b', 'b'.repeat(5000))).rejects.toMatchObject({
    code: 'ENOSPC',
  })
  expect(machine.files.text('/merged/b')).toBe('low b')
})

describe('refuses', () => {
  test.each<[string, string[], string]>([
    ['no lower layer', ['upperdir=/rw/up', 'workdir=/rw/work'], 'EINVAL'],
    ['a layer that is not there', ['lowerdir=/gone'], 'ENOENT'],
    ['an upper layer without a work directory', ['lowerdir=/low', 'upperdir=/rw/up'], 'EINVAL'],
    ['a work directory inside', ['lowerdir=/low', 'upperdir=/rw', 'workdir=/rw/work'], 'EINVAL'],
  ])('%s', async (_what, options, code) => {
    await expect(mounted(options)).rejects.toMatchObject({ code })
  })
})
