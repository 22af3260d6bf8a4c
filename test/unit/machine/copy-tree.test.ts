/** The fake machine's `files.copyTree`. */

import { expect, test } from 'vitest'
import { fakeMachine } from '../../support/machine/index.ts'

test('owners, modes, links and nodes are kept; what is mounted below is not copied', async () => {
  const { files, mounts } = fakeMachine({
    files: {
      '/from/etc/shadow': { content: 'root', mode: 0o640, uid: 0, gid: 42 },
      '/from/etc/link': { symlink: 'shadow' },
      '/from/dev/null': { node: 'char', device: '1:3' },
      '/from/proc': { directory: true, mode: 0o555 },
      '/to/etc/old': 'stays',
    },
  })
  files.tree.at('/').mount.fileSystem.hardLink('/from/etc/shadow', '/from/etc/shadow-')
  await mounts.mount({ type: 'tmpfs', source: 'tmpfs', target: '/from/proc', options: [] })
  await files.writeText('/from/proc/x', 'x')
  expect(await files.copyTree('/from', '/to')).toEqual({ bytes: 8, files: 4 })
  expect(await files.status('/to/etc/shadow')).toMatchObject({ mode: 0o640, gid: 42 })
  expect(await files.readLink('/to/etc/link')).toBe('shadow')
  expect(await files.status('/to/dev/null')).toMatchObject({ kind: 'char', device: '1:3' })
  expect(await files.list('/to/proc')).toEqual([])
  expect(await files.readText('/to/etc/old')).toBe('stays')
  await files.writeText('/to/etc/shadow', 'new')
  expect(files.text('/to/etc/shadow-')).toBe('new')
})

test.each([
  ['/gone', '/to', 'ENOENT'],
  ['/file', '/to', 'ENOTDIR'],
  ['/dir', '/dir/below', 'EINVAL'],
  ['/dir', '/file', 'ENOTDIR'],
])('%s to %s is %s', async (from, to, code) => {
  const { files } = fakeMachine({ files: { '/file': 'x', '/dir/x': 'x' } })
  await expect(files.copyTree(from, to)).rejects.toMatchObject({ code })
})
