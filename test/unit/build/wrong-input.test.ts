/** What a build gets that it cannot use: it is named, with what to do, and nothing that was there is touched. */

import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { build } from '../../../build/index.ts'
import { makeDirectory } from '../../../build/make-directory.ts'
import { kernelFiles, optionsIn, program, temporaryDirectory, writeFiles } from './synthetic.ts'

function workplace() {
  const root = temporaryDirectory()
  writeFiles(join(root, 'tree'), kernelFiles())
  writeFiles(root, { init: program(1), empty: '', note: 'a note' })
  const options = optionsIn(root)
  return { root, options }
}

describe('a kernel image', () => {
  it.each([
    ['empty', /empty is no kernel image: it is empty/],
    ['note', /note is no kernel image/],
    ['init', /init is no kernel image/],
    ['tree', /there is no kernel image at .*tree/],
    ['nowhere', /there is no kernel image at .*nowhere/],
  ])('that is none is refused: %s', async (image, message) => {
    const { root, options } = workplace()
    await expect(build({ ...options, image: join(root, image) })).rejects.toThrow(message)
    expect(existsSync(options.out)).toBe(false)
  })
})

describe('a directory', () => {
  it('to write that is a file, or leads nowhere, is told before the work', async () => {
    const { root, options } = workplace()
    symlinkSync('nothing/there', join(root, 'broken'))
    const told: string[] = []
    for (const out of ['note', 'note/below', 'broken']) {
      await expect(
        build({ ...options, out: join(root, out), tell: (line) => void told.push(line) }),
      ).rejects.toMatchObject({
        message: expect.stringMatching(/(note|below|broken) is no directory, and cannot be made one \(E/),
        advice: [expect.stringContaining('another place')],
      })
    }
    expect(told).toEqual([])
    expect(readFileSync(join(root, 'note'), 'utf8')).toBe('a note')
    await expect(build({ ...options, cache: join(root, 'note') })).rejects.toThrow('note is no directory')
  })

  // Node's own recursive mkdir never ends there.
  it.skipIf(!existsSync('/proc/self'))('below /proc is told, too', () => {
    expect(() => makeDirectory('/proc/diskless/boot')).toThrow('cannot be made one (ENOENT)')
  })

  it('of firmware that is not there is no directory without firmware', async () => {
    const { root, options } = workplace()
    await expect(build({ ...options, firmware: [join(root, 'nowhere')] })).rejects.toThrow(
      /--firmware .*nowhere: there is no such directory/,
    )
  })
})

describe('a file of the site’s own', () => {
  it.each(['/init', '/init/x', '/sbin/modprobe', '/etc', '/dev/null', '/etc/diskless/config.json'])(
    'does not take the place of %s',
    async (destination) => {
      const { root, options } = workplace()
      const files = [{ source: join(root, 'note'), destination }]
      await expect(build({ ...options, files })).rejects.toThrow(/note=\/.*: the initrd has its own \//)
    },
  )

  it('may go into a directory that is there, one over the other, and not out of the initrd', async () => {
    const { root, options } = workplace()
    mkdirSync(join(root, 'site'))
    writeFileSync(join(root, 'site/motd'), 'one')
    const files = [
      { source: join(root, 'site'), destination: '/etc' },
      { source: join(root, 'note'), destination: '/etc/motd' },
    ]
    expect((await build({ ...options, files })).changed).toBe(true)
    const outside = [{ source: join(root, 'note'), destination: '/../../note' }]
    await expect(build({ ...options, files: outside })).rejects.toThrow('no absolute path inside the initrd')
  })

  it('that is a FIFO is not waited for', async () => {
    const { root, options } = workplace()
    execFileSync('mkfifo', [join(root, 'fifo')])
    const files = [{ source: join(root, 'fifo'), destination: '/fifo' }]
    await expect(build({ ...options, files })).rejects.toThrow('fifo is neither a file nor a directory')
  })
})

describe('a word in the environment', () => {
  it('that is no time is told before the work', async () => {
    const { options } = workplace()
    const { buildTime: _, ...rest } = options
    const before = process.env.SOURCE_DATE_EPOCH
    process.env.SOURCE_DATE_EPOCH = 'yesterday'
    try {
      await expect(build(rest)).rejects.toThrow("SOURCE_DATE_EPOCH is 'yesterday'")
      expect(existsSync(rest.out)).toBe(false)
    } finally {
      if (before === undefined) delete process.env.SOURCE_DATE_EPOCH
      else process.env.SOURCE_DATE_EPOCH = before
    }
  })
})
