import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { findKernel } from '../../../build/kernel.ts'
import { ar, kernelFiles, kernelImage, tar, temporaryDirectory, version, writeFiles } from './synthetic.ts'

const find = (root: string, source: string, image?: string) =>
  findKernel(join(root, source), image, [], join(root, 'cache'))

describe('finding a kernel', () => {
  it('reads a tree, its modules directory, and what lies in a Debian or an Alpine package alike', async () => {
    const root = temporaryDirectory()
    const data = gzipSync(tar(kernelFiles()))
    const debian = { 'debian-binary': Buffer.from('2.0\n'), 'data.tar.gz': data }
    writeFiles(join(root, 'tree'), kernelFiles())
    writeFiles(root, {
      'linux.deb': ar(debian),
      // An apk's control member comes first, as a gzip member of its own and without a tar's end.
      'linux.apk': Buffer.concat([gzipSync(tar({ '.PKGINFO': 'pkgname = linux' }).subarray(0, 1024)), data]),
    })
    for (const source of ['tree', `tree/lib/modules/${version}`, 'linux.deb', 'linux.apk']) {
      const kernel = await find(root, source)
      expect(kernel.version, source).toBe(version)
      expect(kernel.image, source).toMatch(/boot\/vmlinuz-6\.1\.0-test$/)
      expect(existsSync(join(kernel.modules, 'kernel/fs/ext4/ext4.ko')), source).toBe(true)
      expect(kernel.firmware.length, source).toBeGreaterThan(0)
    }
  })

  it('says where it looked when there is no kernel', async () => {
    const root = temporaryDirectory()
    await expect(find(root, 'nowhere')).rejects.toThrow(`there is no kernel at ${join(root, 'nowhere')}`)
    writeFiles(root, { 'empty/readme': '' })
    await expect(find(root, 'empty')).rejects.toThrow('holds no kernel modules')
    writeFiles(root, { text: 'no kernel' })
    await expect(find(root, 'text')).rejects.toThrow('is no kernel that diskless can read')
  })

  it('refuses a kernel and modules of two builds', async () => {
    const root = temporaryDirectory()
    writeFiles(root, { ...kernelFiles(), other: kernelImage('6.6.1-other') })
    await expect(find(root, '.', join(root, 'other'))).rejects.toThrow(
      /is 6\.6\.1-other, and the modules are of 6\.1\.0-test/,
    )
  })

  it('refuses a choice between several kernels', async () => {
    const root = temporaryDirectory()
    writeFiles(root, { ...kernelFiles(), 'lib/modules/6.2.0-other/kernel/x.ko': '' })
    await expect(find(root, '.')).rejects.toThrow('modules of several kernels: 6.1.0-test, 6.2.0-other')
  })

  it('refuses a kernel older than 5.10', async () => {
    const root = temporaryDirectory()
    writeFiles(root, { 'lib/modules/5.9.16/kernel/x.ko': '', 'boot/vmlinuz-5.9.16': kernelImage('5.9.16') })
    await expect(find(root, '.')).rejects.toThrow('Linux 5.9.16 is too old')
  })

  it.each(['../escaped', 'lib/modules/../../../escaped'])(
    'writes nothing for a package with %s',
    async (name) => {
      const root = temporaryDirectory()
      writeFiles(root, { 'linux.apk': gzipSync(tar({ ...kernelFiles(), [name]: 'x' })) })
      await expect(find(root, 'linux.apk')).rejects.toThrow('which leads out of it')
      expect(readdirSync(join(root, 'cache'))).toEqual([])
    },
  )

  it('tells a package that is cut off', async () => {
    const root = temporaryDirectory()
    const whole = gzipSync(tar(kernelFiles()))
    writeFiles(root, { 'linux.apk': whole.subarray(0, whole.length / 2) })
    await expect(find(root, 'linux.apk')).rejects.toThrow('could not be decompressed')
  })
})
