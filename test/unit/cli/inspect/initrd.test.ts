/** `diskless inspect` on initrds: ours, others', packed in each way, cut short. */

import { randomBytes } from 'node:crypto'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { frameFile, writeCpio } from '../../../../build/cpio.ts'
import { bytesOf } from '../../../../src/cli/inspect/bytes.ts'
import type { Inspection } from '../../../../src/cli/inspect/report.ts'
import { unpack } from '../../../../src/cli/inspect/segments.ts'
import { key } from '../../../support/scenario.ts'
import { archive, look, microcode, padded, plain, refusal, shown, squashfs, xz } from './samples.ts'

describe('an initrd', () => {
  it('of ours: whose init, modules by what they drive, firmware, keys', () => {
    const { data, kind, sheet } = look(zstdCompressSync(archive))
    expect(kind).toBe('initrd')
    expect(data).toMatchObject({
      init: {
        kind: 'diskless',
        version: '0.1.0',
        built: '2025-10-09T08:53:20Z',
        shell: 'open',
        hooks: ['hooks/light.ts'],
        host: 5000,
        bytecode: 1000,
      },
      kernels: ['6.1.0'],
      modules: [
        { name: 'drivers/net', files: 2, bytes: 5000 },
        { name: 'fs', files: 1, bytes: 1000 },
      ],
      moduleNames: ['e1000', 'overlay', 'virtio_net'],
      firmware: [{ name: 'rtl_nic', files: 1 }],
      keys: [{ name: key.name, type: 'RSA 2048' }],
      segments: [{ offset: 0, packing: 'zstd', holds: 'files' }],
    })
    expect(sheet.title).toMatch(/^it: an initrd, /)
  })

  it.each([
    ['plain', (bytes: Buffer) => bytes, 'none'],
    ['gzip', (bytes: Buffer) => gzipSync(bytes), 'gzip'],
    ['zstd', (bytes: Buffer) => zstdCompressSync(bytes), 'zstd'],
    ['xz', xz, 'xz'],
  ] as const)('behind microcode, before an image, %s', (_, pack, packing) => {
    const image = squashfs()
    const frame = frameFile('image.squashfs', 0o644, image.length)
    const whole = Buffer.concat([
      padded(microcode),
      padded(pack(archive)),
      frame.before,
      image,
      frame.after,
      Buffer.alloc(512),
    ])
    const { data } = look(whole)
    expect(data).toMatchObject({
      segments: [
        { offset: 0, packing: 'none', holds: 'microcode' },
        { packing, holds: 'files' },
        { packing: 'none' },
      ],
      kernels: ['6.1.0'],
      images: [{ path: '/image.squashfs', type: 'squashfs', bytes: 8192 }],
    })
    expect(data.moduleNames).toHaveLength(3)
  })

  it('of dracut begins with microcode and a mark', () => {
    const early = writeCpio(
      new Map([
        ['early_cpio', plain('1\n')],
        ['kernel/x86/microcode/AuthenticAMD.bin', plain('code')],
      ]),
    )
    const { data } = look(Buffer.concat([padded(early), zstdCompressSync(archive)]))
    expect(data.segments).toMatchObject([{ holds: 'microcode' }, { holds: 'files' }])
    expect(data.files).toBe(8)
  })

  it('whose first bytes do not get smaller, so that zstd’s first block is as large as a block can be', () => {
    const { kind } = look(
      zstdCompressSync(writeCpio(new Map([['bin/busybox', plain(randomBytes(300_000))]]))),
    )
    expect(kind).toBe('initrd')
  })

  it('of Alpine, of dracut and of nobody known', () => {
    const initrd = (files: Readonly<Record<string, string>>) =>
      look(gzipSync(writeCpio(new Map(Object.entries(files).map(([name, text]) => [name, plain(text)])))))
    const nameOf = (inspection: Inspection) => inspection.data.init
    expect(nameOf(initrd({ init: '#!/bin/sh\n# Alpine\nVERSION=3.9.0-r0\n' }))).toEqual({
      kind: 'other',
      name: 'Alpine’s mkinitfs 3.9.0-r0',
    })
    expect(nameOf(initrd({ init: 'x', 'usr/lib/dracut/x': '' }))).toMatchObject({ name: 'dracut' })
    expect(shown(initrd({ 'etc/x': '' }))).toMatch(/none: the kernel would find nothing to start/)
  })

  it('cut short is told with where, and with what is lost', () => {
    const inside = archive.indexOf('e1000.ko') + 200
    expect(refusal(archive.subarray(0, inside)).message).toMatch(
      new RegExp(
        `it is cut short: it ends at byte ${inside}, inside 'lib/modules/.*e1000.ko' \\(\\d+ of its 3000`,
      ),
    )
    const packed = zstdCompressSync(archive)
    expect(refusal(packed.subarray(0, -20)).message).toMatch(
      /cut short: the file ends at byte .* inside zstd/,
    )
    expect(refusal(padded(gzipSync(archive)).subarray(0, 900)).message).toMatch(/cut short.*inside gzip data/)
    expect(refusal(Buffer.concat([padded(archive), Buffer.from('junk')])).message).toMatch(
      new RegExp(`it, at byte ${padded(archive).length}, is neither a cpio archive nor a compressed one`),
    )
  })

  it('compressed in a way that is not unpacked here is told with what to do', () => {
    const refused = refusal(Buffer.concat([Buffer.from('02214c18', 'hex'), Buffer.alloc(100, 1)]))
    expect(refused.message).toMatch(/it is compressed with lz4, which is not unpacked here/)
    expect(refused.advice.join()).toMatch(/lz4 -d/)
  })

  it.each([
    ['gzip', gzipSync],
    ['zstd', zstdCompressSync],
    ['xz', xz],
  ] as const)('that unpacks to more than is allowed is given up, %s', (packing, pack) => {
    const bomb = pack(Buffer.alloc(3 << 20))
    expect(bomb.length).toBeLessThan(10_000)
    expect(unpack[packing](bytesOf(bomb), 0, 'it', 4 << 20).content).toHaveLength(3 << 20)
    expect(() => unpack[packing](bytesOf(bomb), 0, 'it', 1 << 20)).toThrow(/it unpacks to more than 1 MiB/)
  })

  it('draws nothing on a terminal that a name in it says', () => {
    const evil = writeCpio(new Map([['lib/modules/\x1b[2Jx/kernel/fs/\x1b]0;owned\x07.ko', plain('')]]))
    const text = shown(look(evil, undefined, true))
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
    expect(text).not.toMatch(/[\x00-\x09\x0b-\x1f]/)
  })
})
