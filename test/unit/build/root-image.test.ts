import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { zstdDecompressSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { build, type RootImageRequest } from '../../../build/index.ts'
import { packageRoot } from '../../../build/paths.ts'
import { parse } from '../../../src/cli/build.ts'
import { kernelFiles, optionsIn, program, temporaryDirectory, writeFiles } from './synthetic.ts'

const busybox = join(packageRoot, 'node_modules/busybox-static/bin/busybox')

/** A super block with the length in it, and bytes that are no multiple of four. */
function squashfs(length = 5003): Buffer {
  const bytes = Buffer.alloc(length, 0x5a)
  bytes.write('hsqs', 0, 'latin1')
  bytes.writeBigUInt64LE(BigInt(length), 40)
  return bytes
}

function erofs(): Buffer {
  const bytes = Buffer.alloc(8192)
  bytes.writeUInt32LE(0xe0f5e1e2, 1024)
  bytes.writeUInt8(12, 1024 + 12)
  bytes.writeUInt32LE(2, 1024 + 36)
  return bytes
}

function workplace(image: Buffer = squashfs()) {
  const root = temporaryDirectory()
  writeFiles(join(root, 'tree'), kernelFiles())
  writeFiles(root, { init: program(1), 'live.img': image })
  const options = optionsIn(root)
  const request = (change: Partial<RootImageRequest> = {}): RootImageRequest => ({
    source: join(root, 'live.img'),
    destination: '/image.squashfs',
    placed: 'appended',
    ...change,
  })
  return { root, options, request, script: () => readFileSync(join(root, 'out/boot.ipxe'), 'utf8') }
}

/** The archive behind the compressed one, by its own place in the file. */
function second(initrd: string, compressed: number): { readonly at: number; readonly archive: Buffer } {
  const bytes = readFileSync(initrd)
  let at = compressed
  while (bytes[at] === 0) at++
  return { at, archive: bytes.subarray(at) }
}

describe('an image appended to the initrd', () => {
  it('is a cpio archive of its own, on a multiple of four, that cpio unpacks', async () => {
    const { root, options, request } = workplace()
    const result = await build({ ...options, rootImage: request({ destination: '/boot/live.squashfs' }) })
    const plain = await build({ ...options, out: join(root, 'plain') })
    const { compressed } = result.report
    const whole = readFileSync(result.initrd)
    expect(whole.subarray(0, compressed)).toEqual(readFileSync(plain.initrd))
    expect(zstdDecompressSync(whole.subarray(0, compressed)).toString('latin1', 0, 6)).toBe('070701')

    const { at, archive } = second(result.initrd, compressed)
    expect(at % 4).toBe(0)
    expect(at - compressed).toBeLessThan(4)
    expect(archive.length % 4).toBe(0)
    const unpacked = spawnSync(busybox, ['cpio', '-idv'], { input: archive, cwd: root, encoding: 'utf8' })
    expect(unpacked.status, unpacked.stderr).toBe(0)
    expect(unpacked.stdout.trim().split('\n').slice(0, 2)).toEqual(['boot', 'boot/live.squashfs'])
    expect(readFileSync(join(root, 'boot/live.squashfs'))).toEqual(squashfs())
  })

  it('is booted by the command line of the Gentoo PXE boot, unless told', async () => {
    const { options, request, script } = workplace()
    const result = await build({ ...options, rootImage: request() })
    expect(script()).toMatch(
      /^kernel vmlinuz initrd=initrd root=\/dev\/ram0 init=\/linuxrc looptype=squashfs loop=\/image.squashfs cdroot \|\|/m,
    )
    expect(script()).toMatch(/^# {3}initrd image.squashfs \/image.squashfs$/m)
    expect(result.warnings.join('\n')).not.toContain('rootfstype')
    const own = await build({ ...options, commandLine: 'quiet', rootImage: request() })
    expect(script()).toMatch(/^kernel vmlinuz initrd=initrd quiet \|\|/m)
    expect(own.warnings.join('\n')).toContain('the command line names no image: add root=/dev/ram0')
    expect(own.warnings.join('\n')).toContain('add rootfstype=ramfs')
  })

  it('is written again when it changed, and the archive not compressed again for it', async () => {
    const { root, options, request } = workplace()
    const told: string[] = []
    const again = () => build({ ...options, rootImage: request(), tell: (line) => told.push(line) })
    expect((await again()).changed).toBe(true)
    expect((await again()).changed).toBe(false)
    writeFileSync(join(root, 'live.img'), squashfs(6001))
    const result = await again()
    expect(result.changed).toBe(true)
    expect(told.filter((line) => line.startsWith('Compressing'))).toHaveLength(1)
    expect(second(result.initrd, result.report.compressed).archive.includes(squashfs(6001))).toBe(true)
    // Without the image the initrd is the archive alone.
    const plain = await build(options)
    expect(readFileSync(plain.initrd).length).toBe(plain.report.compressed)
  })
})

describe('an image beside the initrd', () => {
  it('is the second file that iPXE fetches, by the name of the magic initrd', async () => {
    const { root, options, request, script } = workplace()
    const result = await build({ ...options, rootImage: request({ placed: 'beside' }) })
    expect(readFileSync(join(root, 'out/image.squashfs'))).toEqual(squashfs())
    expect(readFileSync(result.initrd).length).toBe(result.report.compressed)
    const loads = script()
      .split('\n')
      .filter((line) => /^(kernel|initrd|boot)/.test(line))
    expect(loads).toEqual([
      'kernel vmlinuz initrd=initrd.magic root=/dev/ram0 init=/linuxrc looptype=squashfs loop=/image.squashfs cdroot || goto failed',
      'initrd initrd || goto failed',
      'initrd image.squashfs /image.squashfs || goto failed',
      'boot || goto failed',
    ])
  })

  it('lies at the top, as iPXE makes no directories', async () => {
    const { options, request } = workplace()
    const rootImage = request({ placed: 'beside', destination: '/boot/x' })
    await expect(build({ ...options, rootImage })).rejects.toThrow('iPXE makes no directories')
    const taken = request({ placed: 'beside', destination: '/initrd' })
    await expect(build({ ...options, rootImage: taken })).rejects.toThrow('cannot be called initrd')
  })
})

describe('a file that is no image', () => {
  it.each([
    ['text', Buffer.from('hello\n'), 'is neither a squashfs nor an erofs image'],
    ['empty', Buffer.alloc(0), 'is neither a squashfs nor an erofs image'],
    ['a squashfs that is cut off', squashfs().subarray(0, 4000), 'its first block says 5003'],
    ['an erofs that is cut off', erofs().subarray(0, 4096), 'its first block says 8192'],
  ])('is refused: %s', async (_, bytes, message) => {
    const { root, options, request } = workplace(bytes)
    await expect(build({ ...options, rootImage: request() })).rejects.toThrow(message)
    expect(existsSync(join(root, 'out'))).toBe(false)
  })

  it('is refused when it is larger than an initrd can hold, or not there', async () => {
    const { root, options, request } = workplace()
    truncateSync(join(root, 'live.img'), 4 * 2 ** 30)
    await expect(build({ ...options, rootImage: request() })).rejects.toThrow('4.00 GiB, and a file')
    const absent = request({ source: join(root, 'absent') })
    await expect(build({ ...options, rootImage: absent })).rejects.toThrow('could not be read')
  })

  it('needs a kernel that can mount it', async () => {
    const { options, request } = workplace(erofs())
    await expect(build({ ...options, rootImage: request() })).rejects.toThrow("called 'erofs'")
  })
})

describe("build's options for an image", () => {
  const least = ['--kernel', 'K', '--out', 'O']

  it.each([
    [['--image', 'a'], { source: 'a', destination: '/image.squashfs', placed: 'appended' }],
    [['--image', 'a=b=/x/y'], { source: 'a=b', destination: '/x/y', placed: 'appended' }],
    [['--image', 'a', '--image-beside'], { source: 'a', destination: '/image.squashfs', placed: 'beside' }],
  ])('read %j', (words, expected) => {
    expect(parse([...least, ...words]).rootImage).toEqual(expected)
  })

  it('refuse --image-beside without an image', () => {
    expect(() => parse([...least, '--image-beside'])).toThrow('needs --image')
  })
})
