/** `diskless inspect` on files that the builder, the repository’s maker and a distribution’s tools write. */

import { spawnSync } from 'node:child_process'
import { createCipheriv } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { deflateRawSync, gzipSync, zstdCompressSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { type Entry, frameFile, paddingAfter, writeCpio } from '../../../build/cpio.ts'
import { BuildError } from '../../../build/error.ts'
import { makeOverlay } from '../../../scripts/repository/overlay.ts'
import { file, symlink } from '../../../scripts/repository/tar.ts'
import { bytesOf, withFile } from '../../../src/cli/inspect/bytes.ts'
import { inspectBytes } from '../../../src/cli/inspect/recognise.ts'
import type { Inspection } from '../../../src/cli/inspect/report.ts'
import { unpack } from '../../../src/cli/inspect/segments.ts'
import { inspectCommand } from '../../../src/cli/inspect.ts'
import { formatManifest } from '../../../src/cli/publish/manifest.ts'
import { printSheet } from '../../../src/cli/sheet.ts'
import { damaged, inputs } from '../../support/fuzz.ts'
import { inOrder, signedLock } from '../../support/lock.ts'
import { key, makeIndex, packageOf, packages, stranger, tamperedIndex } from '../../support/scenario.ts'
import { kernelImage, temporaryDirectory } from '../build/synthetic.ts'

const given = new Map([[key.name, Buffer.from(key.publicPem)]])
const look = (bytes: Buffer, keys = new Map<string, Buffer>(), all = false): Inspection =>
  inspectBytes(bytesOf(bytes), { subject: 'it', keys, all })
const shown = ({ sheet }: Inspection) => printSheet(sheet, { width: 100, style: (_, text) => text })
const refusal = (bytes: Buffer): BuildError => {
  try {
    look(bytes)
  } catch (error) {
    if (error instanceof BuildError) return error
    throw error
  }
  throw new Error('it was inspected')
}

const plain = (text: string | Buffer): Entry => ({ kind: 'file', mode: 0o644, bytes: Buffer.from(text) })
const bytecode = Buffer.alloc(1000, 7)
const length = Buffer.alloc(8)
length.writeBigUInt64LE(BigInt(bytecode.length))
const init = Buffer.concat([Buffer.alloc(5000, 1), bytecode, length, Buffer.from('DISKLSBC')])
const tree = new Map<string, Entry>([
  ['init', { kind: 'file', mode: 0o755, bytes: init }],
  [
    'etc/diskless/config.json',
    plain(JSON.stringify({ buildTime: 1_760_000_000, version: '0.1.0', shell: { kind: 'open' } })),
  ],
  ['etc/diskless/hooks.json', plain('{"sources":["hooks/light.ts"],"files":{}}')],
  [`etc/apk/keys/${key.name}`, plain(key.publicPem)],
  ['lib/modules/6.1.0/kernel/drivers/net/ethernet/intel/e1000.ko', plain(Buffer.alloc(3000))],
  ['lib/modules/6.1.0/kernel/drivers/net/virtio_net.ko', plain(Buffer.alloc(2000))],
  ['lib/modules/6.1.0/kernel/fs/overlayfs/overlay.ko', plain(Buffer.alloc(1000))],
  ['lib/firmware/rtl_nic/a.fw', plain('firmware')],
])
const archive = writeCpio(tree)
const padded = (bytes: Buffer) => Buffer.concat([bytes, Buffer.alloc(paddingAfter(bytes.length))])
const microcode = writeCpio(
  new Map([['kernel/x86/microcode/GenuineIntel.bin', plain(Buffer.alloc(2048, 9))]]),
)

function squashfs(): Buffer {
  const image = Buffer.alloc(8192)
  image.write('hsqs', 0, 'latin1')
  image.writeUInt32LE(42, 4)
  image.writeUInt32LE(1_700_000_000, 8)
  image.writeUInt32LE(131_072, 12)
  image.writeUInt16LE(6, 20)
  image.writeBigUInt64LE(8000n, 40)
  return image
}

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

function xz(bytes: Buffer): Buffer {
  const { stdout, status } = spawnSync('xz', ['--check=crc32', '--stdout'], { input: bytes })
  if (status !== 0) throw new Error('xz is not installed')
  return stdout
}

describe('an overlay', () => {
  const overlay = makeOverlay({
    hostname: 'kiosk-7',
    world: ['busybox', 'openssh'],
    runlevels: { boot: ['hostname'], default: ['sshd', 'chronyd'] },
    entries: [
      file(
        'etc/apk/repositories',
        'http://user:secret@mirror.example/v3.19/main\n#http://no\n/media/usb/apks\n',
      ),
      file(`etc/apk/keys/${key.name}`, key.publicPem),
      file(
        'etc/passwd',
        'root:x:0:0:root:/root:/bin/ash\nkiosk:x:1000:1000::/home/kiosk:/bin/sh\nbin:x:1:1::/:/no\n',
      ),
      file('root/.ssh/authorized_keys', `ssh-ed25519 ${'A'.repeat(68)} anna@desk\n# ssh-rsa no\n`),
      file('etc/ssh/ssh_host_ed25519_key', 'secret', 0o644),
      file('etc/fstab', '/dev/sda1 /media/usb vfat ro 0 0\n'),
      symlink('etc/apk/cache', '/media/usb/cache'),
      {
        ...file('home/kiosk/x', 'x', 0o4755),
        owner: { user: 'kiosk', group: 'kiosk', uid: 1000, gid: 1000 },
      },
    ],
  })

  it('is what it makes of a machine', () => {
    const inspection = look(overlay)
    expect(inspection.data).toMatchObject({
      hostname: 'kiosk-7',
      world: ['busybox', 'openssh'],
      repositories: ['http://user:***@mirror.example/v3.19/main', '/media/usb/apks'],
      services: { boot: ['hostname'], default: ['chronyd', 'sshd'] },
      keys: [{ name: key.name, type: 'RSA 2048' }],
      cache: '/media/usb/cache',
      fstab: ['/dev/sda1 at /media/usb, vfat, ro'],
      setuid: ['/home/kiosk/x'],
    })
    expect(inspection.data.users).toMatchObject([
      { name: 'root', uid: 0, password: 'set', shell: '/bin/ash', sshKeys: ['ssh-ed25519 anna@desk'] },
      { name: 'kiosk', uid: 1000, password: 'not told' },
      { name: 'bin', password: 'locked' },
    ])
    const text = shown(inspection)
    expect(text).not.toContain('secret')
    expect(text).not.toContain('$6$')
    expect(text).toMatch(/ssh_host_ed25519_key can be read by everybody/)
    expect(text).toMatch(/owners +.*kiosk:kiosk \(1000:1000\): 1/)
    expect(text).toMatch(/and 1 other who cannot log in/)
    for (const line of text.split('\n')) expect([...line].length).toBeLessThanOrEqual(100)
  })

  it('of zstd is one too, and an encrypted one is told as such', () => {
    const [start] = [look(zstdCompressSync(Buffer.from(gunzip(overlay))))]
    expect(start).toMatchObject({ kind: 'overlay', data: { packing: 'zstd', hostname: 'kiosk-7' } })
    const cipher = createCipheriv('aes-256-cbc', Buffer.alloc(32, 1), Buffer.alloc(16, 2))
    const secret = Buffer.concat([Buffer.from('Salted__saltsalt'), cipher.update(overlay), cipher.final()])
    expect(shown(look(secret))).toMatch(/encrypted by openssl enc.*\n(.*\n)*.*openssl enc -d -aes-256-cbc/)
    expect(refusal(secret.subarray(0, 101)).message).toMatch(
      /cut short or damaged: openssl enc writes blocks/,
    )
  })

  it('that is cut short, or leads out of its root, is told', () => {
    expect(refusal(overlay.subarray(0, 400)).message).toMatch(/^it is cut short/)
    expect(refusal(gzipSync(gunzip(overlay).subarray(0, 3000))).message).toMatch(/ends inside/)
    const hostile = makeOverlay({
      hostname: 'x',
      world: [],
      runlevels: {},
      entries: [file('etc/../../x', '')],
    })
    expect(refusal(hostile).message).toMatch(/leads out of it/)
  })
})

function gunzip(bytes: Buffer): Buffer {
  return spawnSync('gzip', ['-dc'], { input: bytes, maxBuffer: 1 << 26 }).stdout
}

describe('an index', () => {
  it('is counted, and its signature checked by the key', () => {
    const { data, failed } = look(makeIndex(), given)
    expect(data).toMatchObject({
      description: 'test',
      architectures: ['x86_64'],
      signatures: [{ key: key.name, algorithm: 'sha256', state: 'good' }],
      newest: '2023-11-14T22:13:20Z',
    })
    expect(data.packages).toHaveLength(3)
    expect(failed).toBe(false)
  })

  it('by a stranger, and one that somebody changed', () => {
    expect(look(makeIndex(packages, stranger)).failed).toBe(false)
    expect(look(makeIndex(packages, stranger), given)).toMatchObject({
      failed: true,
      data: { signatures: [{ state: 'unchecked' }] },
    })
    const tampered = look(tamperedIndex(), given)
    expect(tampered.failed).toBe(true)
    expect(shown(tampered)).toMatch(/signed +test@diskless-1.rsa.pub \(RSA, SHA256\): WRONG/)
  })
})

describe('a package', () => {
  const pkg = packageOf({
    name: 'tool',
    version: '2.0-r1',
    depends: ['busybox', 'so:libc.musl-x86_64.so.1'],
    provides: ['cmd:tool=2.0-r1'],
    triggers: ['/usr/share/tool'],
    scripts: { 'post-install': '#!/bin/sh\n', trigger: '#!/bin/sh\ntrue\n' },
    entries: [file('usr/bin/tool', 'x'.repeat(5000), 0o4755), symlink('usr/bin/t', 'tool')],
  })

  it('is its fields, scripts, triggers and contents', () => {
    const inspection = look(pkg.bytes, given)
    expect(inspection).toMatchObject({ kind: 'package', failed: false })
    expect(inspection.data).toMatchObject({
      name: 'tool',
      version: '2.0-r1',
      checksum: pkg.checksum,
      dataIsRight: true,
      signatures: [{ algorithm: 'sha1', state: 'good' }],
      scripts: [
        { name: 'post-install', bytes: 10 },
        { name: 'trigger', bytes: 15 },
      ],
      files: 1,
      links: 1,
      bytes: 5000,
      setuid: ['/usr/bin/tool'],
    })
    expect(shown(inspection)).toMatch(/depends +busybox so:libc/)
    expect(shown(inspection)).toMatch(/triggers on +\/usr\/share\/tool/)
  })

  it('with other files than it was made with fails', () => {
    const other = packageOf({ name: 'tool', entries: [file('usr/bin/tool', 'evil')] })
    const data = (bytes: Buffer) => bytes.lastIndexOf(Buffer.from('1f8b08', 'hex'))
    const mixed = Buffer.concat([
      pkg.bytes.subarray(0, data(pkg.bytes)),
      other.bytes.subarray(data(other.bytes)),
    ])
    const inspection = look(mixed, given)
    expect(inspection).toMatchObject({ failed: true, data: { dataIsRight: false } })
    expect(shown(inspection)).toMatch(/its files are not those that it was made with/)
  })

  it('of apk-tools 3 is known by name', () => {
    const adb = (schema: string) =>
      Buffer.concat([Buffer.from('ADBd'), deflateRawSync(Buffer.from(`ADB.${schema}${'\0'.repeat(64)}`))])
    expect(look(adb('pckg'))).toMatchObject({ kind: 'package', data: { format: 'apk 3', schema: 'package' } })
    expect(look(Buffer.from('ADB.indx'))).toMatchObject({ kind: 'index', data: { schema: 'index' } })
    expect(shown(look(Buffer.from('ADBc??')))).toMatch(/a file of apk-tools 3/)
  })
})

describe('a lock', () => {
  it('is its world, packages and signer', () => {
    const { data, failed } = look(Buffer.from(signedLock()), given)
    expect(failed).toBe(false)
    expect(data).toMatchObject({
      architecture: 'x86_64',
      world: ['alpine-base', 'busybox'],
      repositories: ['../apks'],
      signatures: [{ key: key.name, state: 'good' }],
    })
    expect(data.packages).toHaveLength(inOrder.length)
    expect(look(Buffer.from(signedLock().replace('world: alpine', 'world: belpine')), given).failed).toBe(
      true,
    )
    expect(refusal(Buffer.from(signedLock().slice(0, -300))).message).toMatch(/no signature at its end/)
  })
})

describe('a manifest', () => {
  const files = new Map([['vmlinuz', { sha256: 'a'.repeat(64), size: 7_000_000 }]])
  const former = new Map([['old', { sha256: 'b'.repeat(64), size: 1 }]])
  const signed = formatManifest({ files, former }, { name: key.name, key: key.privateKey })

  it('is what was published, and by whom', () => {
    const inspection = look(Buffer.from(signed), given)
    expect(inspection).toMatchObject({
      kind: 'manifest',
      failed: false,
      data: { files: [{ path: 'vmlinuz', bytes: 7_000_000 }], former: 1, signatures: [{ state: 'good' }] },
    })
    expect(shown(inspection)).toMatch(/7\.0 MB {2}vmlinuz {2}SHA-256 aaaa/)
    expect(look(Buffer.from(signed.replace('7000000', '7000001')), given).failed).toBe(true)
    expect(look(Buffer.from(formatManifest({ files, former }, undefined)))).toMatchObject({ failed: false })
    expect(refusal(Buffer.from(signed.slice(0, 60))).message).toMatch(/damaged/)
  })
})

describe('a kernel and an image', () => {
  it('say what they are', () => {
    expect(look(kernelImage('6.1.0-test')).data).toMatchObject({ architecture: 'x86', version: '6.1.0-test' })
    expect(look(squashfs()).data).toMatchObject({ type: 'squashfs', compression: 'zstd', inodes: 42 })
    expect(refusal(squashfs().subarray(0, 4096)).message).toMatch(
      /it has 4096 bytes, and its first block says 8000/,
    )
  })
})

describe('anything else', () => {
  it.each([
    [Buffer.alloc(0), /it is empty/],
    [Buffer.from('hello'), /nothing that diskless boots from/],
    [gzipSync(Buffer.from('hello')), /nothing that diskless boots from \(gzip data of something else\)/],
    [Buffer.from('!<arch>\ndebian'), /nothing that diskless boots from/],
    [Buffer.alloc(3000), /nothing that diskless boots from/],
  ])('is refused with what would be understood', (bytes, message) => {
    const { message: said, advice } = refusal(bytes)
    expect(said).toMatch(message)
    if (bytes.length > 0) expect(advice.join('\n')).toMatch(/an initrd: cpio archives/)
  })

  it('cut short or damaged anywhere ends in words: never in a stack trace, never in silence', () => {
    const samples = {
      cpio: archive,
      initrd: padded(zstdCompressSync(archive)),
      overlay: makeOverlay({ hostname: 'x', world: ['a'], runlevels: { boot: ['b'] } }),
      index: makeIndex(),
      package: packageOf({ name: 'tool', entries: [file('usr/bin/tool', 'x')] }).bytes,
      lock: Buffer.from(signedLock()),
      manifest: Buffer.from(
        formatManifest(
          { files: new Map([['a', { sha256: 'a'.repeat(64), size: 1 }]]), former: new Map() },
          { name: key.name, key: key.privateKey },
        ),
      ),
      kernel: kernelImage('6.1.0'),
      image: squashfs(),
    }
    for (const bytes of Object.values(samples)) {
      const step = Math.max(1, Math.floor(bytes.length / inputs(60)))
      for (let end = 1; end < bytes.length; end += step) tryOut(bytes.subarray(0, end))
      for (const hex of damaged(bytes.toString('hex'), inputs(80))) tryOut(Buffer.from(hex, 'hex'))
    }
  }, 60_000)
})

/** It is inspected, or refused in words. */
function tryOut(bytes: Buffer): void {
  try {
    shown(look(bytes, given, true))
  } catch (error) {
    if (!(error instanceof BuildError)) throw error
    expect(error.message).not.toBe('')
  }
}

describe('diskless inspect', () => {
  it('reads files of any name, fails for a wrong signature, and says which file could not be read', async () => {
    const directory = temporaryDirectory()
    const path = join(directory, 'whatever')
    writeFileSync(path, tamperedIndex())
    const keys = join(directory, key.name)
    writeFileSync(keys, key.publicPem)
    expect(await inspectCommand.run([path, '--quiet', '--json'])).toBe(0)
    expect(await inspectCommand.run([path, '--keys', keys, '--json'])).toBe(1)
    expect(await inspectCommand.run([path, join(directory, 'absent'), '--json'])).toBe(1)
    await expect(inspectCommand.run([join(directory, 'absent')])).rejects.toThrow(/absent could not be read/)
    await expect(withFile(directory, () => 1)).rejects.toThrow(/is no file/)
  })
})
