/** `diskless inspect` on overlays, indexes, packages, locks, manifests, kernels and images. */

import { createCipheriv } from 'node:crypto'
import { deflateRawSync, gzipSync, zstdCompressSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { makeOverlay } from '../../../../scripts/repository/overlay.ts'
import { file, symlink } from '../../../../scripts/repository/tar.ts'
import { formatManifest } from '../../../../src/cli/publish/manifest.ts'
import { inOrder, signedLock } from '../../../support/lock.ts'
import { key, makeIndex, packageOf, packages, stranger, tamperedIndex } from '../../../support/scenario.ts'
import { kernelImage } from '../../build/synthetic.ts'
import { given, gunzip, look, refusal, shown, squashfs } from './samples.ts'

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
    const arm = Buffer.alloc(4096)
    arm.write('ARMd', 0x38, 'latin1')
    arm.write('Linux version 6.6.1-arm64 (x@y)', 0x400, 'latin1')
    expect(look(gzipSync(arm)).data).toMatchObject({ architecture: 'arm64', version: '6.6.1-arm64' })
    expect(look(squashfs()).data).toMatchObject({ type: 'squashfs', compression: 'zstd', inodes: 42 })
    expect(refusal(squashfs().subarray(0, 4096)).message).toMatch(
      /it has 4096 bytes, and its first block says 8000/,
    )
  })
})
