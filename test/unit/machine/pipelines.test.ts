/** The fake machine's pipelines and packages refuse what the host refuses, and leave what apk would. */

import { generateKeyPairSync, sign } from 'node:crypto'
import { gunzipSync, gzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import {
  generateKey,
  indexText,
  loadKey,
  makePackage,
  type PackageSpec,
  signed,
  unsignedIndex,
} from '../../../scripts/repository/apk.ts'
import { file, symlink } from '../../../scripts/repository/tar.ts'
import type { Filter, Pipeline, Sink } from '../../../src/sys/index.ts'
import { encrypt, fakeMachine, makeTar, type TarSource } from '../../support/machine/index.ts'

const key = loadKey('demo.rsa.pub', generateKey())

function from<K extends Sink['kind']>(
  content: Uint8Array,
  sink: Extract<Sink, { kind: K }>,
  filters: readonly Filter[] = [],
  files: Record<string, string> = {},
) {
  const machine = fakeMachine({ files: { '/in': content, '/root/etc/passwd': 'root:x:0:0\n', ...files } })
  const pipeline: Pipeline<K> = { source: { kind: 'file', path: '/in' }, filters, sink }
  return { machine, result: machine.pipelines.run(pipeline) }
}

const text = { kind: 'text', bytes: 100 } as const
const tree = { kind: 'tree', root: '/root' } as const
const index = { kind: 'apk-index' } as const

describe('filters', () => {
  const gzip = gzipSync('hello')
  test('members of a gzip file, one after the other', async () => {
    const two = Buffer.concat([gzip, gzipSync(' there')])
    const { result } = from(two, text, [{ kind: 'gunzip' }])
    expect(await result).toEqual({ bytes: two.length, text: 'hello there' })
  })
  test.each<[string, Buffer, Filter[], string]>([
    ['not gzip', Buffer.from('<html>no</html>'), [{ kind: 'gunzip' }], 'FORMAT'],
    ['cut short', gzip.subarray(0, 12), [{ kind: 'gunzip' }], 'TRUNCATED'],
    ['a bomb', gzipSync(Buffer.alloc(1e6)), [{ kind: 'gunzip' }, { kind: 'limit', bytes: 1000 }], 'TOO_BIG'],
    ['a digest', gzip, [{ kind: 'digest', algorithm: 'sha256', expected: '00' }], 'DIGEST'],
    ['too long for the text', Buffer.alloc(101), [], 'TOO_BIG'],
  ])('%s', async (_what, content, filters, code) => {
    await expect(from(content, text, filters).result).rejects.toMatchObject({ code })
  })
})

describe('encrypted', () => {
  const encryption = { cipher: 'aes-256-cbc', keyDerivation: 'pbkdf2', password: 'secret' } as const
  // Made by `openssl enc -aes-256-cbc -pbkdf2 -pass pass:secret`, -S 73616c7473616c74, of `hello\n`.
  const byOpenssl = Buffer.from('U2FsdGVkX19zYWx0c2FsdMA7WojX99m3apt1DIcoYEo=', 'base64')
  const md5 = Buffer.from('U2FsdGVkX19zYWx0c2FsdCSpx7jdcma1tGRqnXxHKSs=', 'base64')
  test('as openssl does it', async () => {
    expect(await from(byOpenssl, text, [{ kind: 'decrypt', ...encryption }]).result).toMatchObject({
      text: 'hello\n',
    })
    const older = { ...encryption, cipher: 'aes-128-cbc', keyDerivation: 'md5' } as const
    expect(await from(md5, text, [{ kind: 'decrypt', ...older }]).result).toMatchObject({ text: 'hello\n' })
  })
  test.each(['aes-128-cbc', 'aes-192-cbc', 'aes-256-cbc'] as const)('%s, back again', async (cipher) => {
    for (const keyDerivation of ['pbkdf2', 'sha256', 'md5'] as const) {
      const own = { cipher, keyDerivation, password: 'secret' }
      const { result } = from(encrypt('overlay', own), text, [{ kind: 'decrypt', ...own }])
      expect(await result).toMatchObject({ text: 'overlay' })
    }
  })
  test('a wrong password, and what is not encrypted', async () => {
    const wrong = { kind: 'decrypt', ...encryption, password: 'wrong' } as const
    await expect(from(byOpenssl, text, [wrong]).result).rejects.toMatchObject({ code: 'FORMAT' })
    await expect(from(Buffer.alloc(64), text, [wrong]).result).rejects.toMatchObject({ code: 'FORMAT' })
  })
})

describe('a detached signature', () => {
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const ed25519 = generateKeyPairSync('ed25519')
  const pem = (pair: typeof rsa) => pair.publicKey.export({ type: 'spki', format: 'pem' }).toString()
  const content = Buffer.from('signed')
  const run = (signature: Uint8Array | undefined) => {
    const keys = { rsa: '/keys/rsa', ed25519: '/keys/ed25519' }
    const { machine } = from(content, text, [])
    machine.files.seed('/keys/rsa', pem(rsa))
    machine.files.seed('/keys/ed25519', pem(ed25519))
    if (signature !== undefined) machine.files.seed('/sig', signature)
    return machine.pipelines.run({
      source: { kind: 'file', path: '/in' },
      filters: [{ kind: 'signature', signature: '/sig', keys }],
      sink: { kind: 'file', path: '/out', mode: 0o644 },
    })
  }
  test.each([
    ['RSA and SHA-256', sign('sha256', content, rsa.privateKey)],
    ['RSA and SHA-512', sign('sha512', content, rsa.privateKey)],
    ['Ed25519', sign(null, content, ed25519.privateKey)],
  ])('by %s', async (_what, signature) => {
    expect(await run(signature)).toEqual({ bytes: 6 })
  })
  test.each<[string, Buffer | undefined]>([
    ['of something else', sign('sha256', Buffer.from('other'), rsa.privateKey)],
    ['by SHA-1', sign('sha1', content, rsa.privateKey)],
    ['that is not there', undefined],
  ])('%s is refused', async (_what, signature) => {
    await expect(run(signature)).rejects.toMatchObject({ code: 'SIGNATURE' })
  })
})

describe('a tree', () => {
  test('is unpacked with modes and links, and lists what it holds', async () => {
    const tar = makeTar([
      { name: 'etc/', type: 'directory' },
      { name: './etc/hostname', content: 'thin\n', mode: 0o600 },
      { name: 'etc/link', type: 'symlink', link: '/etc/hostname' },
      { name: `${'long/'.repeat(30)}name`, content: 'x' },
    ])
    const { machine, result } = from(tar, tree)
    expect((await result).paths.slice(0, 3)).toEqual(['etc/', 'etc/hostname', 'etc/link'])
    expect(await machine.files.status('/root/etc/hostname')).toMatchObject({ mode: 0o600, size: 5 })
    expect(await machine.files.resolveIn('/root', '/etc/link')).toBe('/root/etc/hostname')
    expect(await machine.files.readText(`/root/${'long/'.repeat(30)}name`)).toBe('x')
  })
  test.each<[string, TarSource[], string]>([
    ['a name that climbs', [{ name: 'a/../../etc/passwd', content: 'x' }], 'ESCAPE'],
    ['an absolute name', [{ name: '/etc/passwd', content: 'x' }], 'ESCAPE'],
    [
      'a link to what is only outside',
      [
        { name: 'door', type: 'symlink', link: '/outside' },
        { name: 'door/evil', content: 'x' },
      ],
      'ESCAPE',
    ],
    ['a hard link out', [{ name: 'door', type: 'hardlink', link: '../in' }], 'ESCAPE'],
  ])('refuses %s', async (_what, entries, code) => {
    await expect(from(makeTar(entries), tree).result).rejects.toMatchObject({ code })
  })
  test('what is no tar, and one that ends early', async () => {
    await expect(from(Buffer.from('x'.repeat(600)), tree).result).rejects.toMatchObject({ code: 'FORMAT' })
    const short = makeTar([{ name: 'a', content: 'x'.repeat(2000) }]).subarray(0, 1024)
    await expect(from(short, tree).result).rejects.toMatchObject({ code: 'TRUNCATED' })
  })
  test('a symlink in the archive leads nowhere outside', async () => {
    const tar = makeTar([
      { name: 'out', type: 'symlink', link: '../../..' },
      { name: 'out/evil', content: 'x' },
    ])
    const { machine, result } = from(tar, tree)
    await result
    expect(machine.files.text('/root/evil')).toBe('x')
    expect(machine.files.text('/evil')).toBeUndefined()
  })
})

function spec(name: string, part: Partial<PackageSpec>): PackageSpec {
  return {
    ...{ name, version: '1.0-r0', arch: 'x86_64', description: name, url: '', license: 'MIT', origin: name },
    ...{ built: 0, depends: [], provides: [], replaces: [], installIf: [], triggers: [], scripts: {} },
    entries: [],
    ...part,
  }
}

describe('apk', () => {
  const hello = makePackage(
    spec('hello', {
      provides: ['cmd:hello=1.0'],
      scripts: { 'post-install': '#!/bin/sh\n' },
      entries: [
        file('usr/bin/hello', '#!/bin/sh\n', 0o755),
        symlink('usr/bin/hi', 'hello'),
        file('etc/conf', 'new'),
      ],
    }),
    key,
  )
  const indexOf = (description: string) => unsignedIndex(indexText([hello]), description)

  test('an index is found by name and by what it provides, and its signature checked', async () => {
    const { machine, result } = from(signed(indexOf('demo'), key, 'RSA256'), index)
    const { index: handle } = await result
    expect(handle).toMatchObject({ packages: 1, description: 'demo' })
    expect(handle.signatures).toEqual([{ keyName: key.name, algorithm: 'RSA256' }])
    expect(await machine.packages.lookup(handle.id, ['cmd:hello'])).toHaveLength(1)
    expect(await machine.packages.lookup(handle.id, ['hell'])).toHaveLength(0)
    machine.files.seed('/keys/demo', key.publicPem)
    const keys = new Map([[key.name, '/keys/demo']])
    expect(await machine.packages.verifyIndex(handle.id, keys)).toBe(key.name)
    const stranger = machine.packages.verifyIndex(handle.id, new Map())
    await expect(stranger).rejects.toMatchObject({
      code: 'SIGNATURE',
      message: expect.stringContaining('not trusted'),
    })
  })

  test.each([
    ['unsigned', indexOf('demo')],
    [
      'tampered',
      Buffer.concat([
        signed(indexOf('demo'), key, 'RSA').subarray(0, -indexOf('demo').length),
        indexOf('other'),
      ]),
    ],
  ])('an %s index is refused', async (_what, bytes) => {
    const { machine, result } = from(bytes, index)
    const { index: handle } = await result
    machine.files.seed('/keys/demo', key.publicPem)
    const verified = machine.packages.verifyIndex(handle.id, new Map([[key.name, '/keys/demo']]))
    await expect(verified).rejects.toMatchObject({ code: 'SIGNATURE' })
  })

  test('a package is staged, committed and entered; a kept file stays', async () => {
    const stage = { kind: 'apk-stage', root: '/root', checksum: hello.checksum } as const
    const { machine, result } = from(hello.bytes, stage, [], { '/root/etc/conf': 'mine' })
    const { stage: staged } = await result
    expect(staged).toMatchObject({ scripts: ['post-install'], files: 2 })
    const { packages, files } = machine
    const database = await packages.openDatabase('/root', ['etc/conf'])
    const stanza = `C:${hello.checksum}\nP:hello\nV:1.0-r0`
    const done = await packages.commit(database.id, {
      stage: staged.id,
      name: 'hello',
      stanza,
      takes: [],
      yields: [],
    })
    expect(done.conflicts).toEqual([])
    expect([...done.directories].sort()).toEqual(['etc', 'usr', 'usr/bin'])
    await packages.writeDatabase(database.id, [], [])
    expect(await files.status('/root/usr/bin/hello')).toMatchObject({ mode: 0o755 })
    expect(files.text('/root/etc/conf')).toBe('mine')
    expect(files.text('/root/lib/apk/db/installed')).toContain('F:usr/bin\nR:hello\na:0:0:755\nZ:Q1')
    expect((await packages.openDatabase('/root', [])).installed).toEqual([stanza])
    expect(packages.held).toEqual({ indexes: 0, stages: 0 })
  })

  test('a package that is not the one in the index, or whose files were changed, is refused', async () => {
    const stage = (checksum: string) => ({ kind: 'apk-stage', root: '/root', checksum }) as const
    const other = from(hello.bytes, stage('Q1AAAAAAAAAAAAAAAAAAAAAAAAAAA=')).result
    await expect(other).rejects.toMatchObject({ code: 'DIGEST', operation: 'pipeline.apk-stage' })
    const evil = makePackage(spec('hello', { entries: [file('usr/bin/hello', 'evil')] }), key)
    const data = (bytes: Buffer) => bytes.lastIndexOf(Buffer.from([0x1f, 0x8b, 8]))
    const mixed = Buffer.concat([
      hello.bytes.subarray(0, data(hello.bytes)),
      evil.bytes.subarray(data(evil.bytes)),
    ])
    expect(gunzipSync(mixed).includes('evil')).toBe(true)
    await expect(from(mixed, stage(hello.checksum)).result).rejects.toMatchObject({ code: 'DIGEST' })
  })
})
