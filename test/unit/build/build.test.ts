import { pbkdf2Sync } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { zstdDecompressSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { checkBusybox } from '../../../build/busybox.ts'
import { type BuildOptions, build } from '../../../build/index.ts'
import { shellWithPassword } from '../../../build/shell.ts'
import { kernelFiles, optionsIn, program, temporaryDirectory, version, writeFiles } from './synthetic.ts'

const publicKey = '-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----\n'

/** A whole build, but for /init, which is a stand-in. */
function workplace() {
  const root = temporaryDirectory()
  writeFiles(join(root, 'tree'), kernelFiles())
  writeFiles(root, { init: program(1), 'keys/site.rsa.pub': publicKey, 'keys/readme': 'no key' })
  const options: BuildOptions = { ...optionsIn(root), keys: [join(root, 'keys')] }
  return { root, options }
}

/** Names and contents of a newc archive's files. */
function unpack(initrd: string): Map<string, string> {
  const archive = zstdDecompressSync(readFileSync(initrd))
  const files = new Map<string, string>()
  const aligned = (offset: number) => Math.ceil(offset / 4) * 4
  for (let at = 0; at < archive.length; ) {
    const field = (index: number) =>
      Number.parseInt(archive.toString('latin1', at + 6 + index * 8, at + 14 + index * 8), 16)
    const content = aligned(at + 110 + field(11))
    files.set(
      archive.toString('utf8', at + 110, at + 109 + field(11)),
      archive.toString('utf8', content, content + field(6)),
    )
    at = aligned(content + field(6))
  }
  return files
}

describe('build', () => {
  it('lays out the initrd that init and the kernel expect', async () => {
    const { root, options } = workplace()
    const motd = join(root, 'motd')
    writeFileSync(motd, 'hello\n')
    const result = await build({
      ...options,
      commandLine: 'console=ttyS0 ip=dhcp',
      files: [{ source: motd, destination: '/etc/motd' }],
    })
    const files = unpack(result.initrd)
    expect(JSON.parse(files.get('etc/diskless/config.json') ?? '')).toEqual({
      buildTime: 1_700_000_000,
      version: expect.stringMatching(/^\d+\.\d+\.\d+/),
      shell: { kind: 'open' },
    })
    expect(files.get('bin/sh')).toBe('busybox')
    for (const link of ['bin/retry', 'bin/log', 'bin/plan', 'bin/timeline', 'sbin/modprobe']) {
      expect(files.get(link), link).toBe('/init')
    }
    expect([...files.keys()].filter((name) => name.startsWith('etc/apk/keys/'))).toEqual([
      'etc/apk/keys/site.rsa.pub',
    ])
    expect(files.get('etc/motd')).toBe('hello\n')
    expect(files.get('lib/firmware/acme/net.bin')).toBe('firmware of the card')
    // For init's message when the card does not work (grml#160).
    expect(files.get('etc/diskless/missing-firmware')).toBe('acme_net acme/absent.bin\n')
    expect(files.has(`lib/modules/${version}/kernel/drivers/net/ethernet/acme/acme-net.ko`)).toBe(true)
    expect(files.get(`lib/modules/${version}/modules.dep`)).toContain('acme-net.ko:')
    expect(result.missingFirmware).toEqual([{ name: 'acme/absent.bin', module: 'acme_net' }])
    expect(readFileSync(result.script, 'utf8')).toMatch(/^#!ipxe\n/)
    expect(readFileSync(result.script, 'utf8')).toMatch(
      /^kernel vmlinuz initrd=initrd console=ttyS0 ip=dhcp /m,
    )
    expect(readFileSync(result.image)).toEqual(readFileSync(join(root, 'tree/boot', `vmlinuz-${version}`)))
    const sum = result.report.rows.reduce((total, row) => total + row.compressed, 0)
    expect(Math.abs(sum - result.report.compressed)).toBeLessThanOrEqual(result.report.rows.length)
    expect(result.report.compressed).toBe(readFileSync(result.initrd).length)
  })

  it('puts in what a site adds: keymaps, the keys of overlays, what is known of the modloop', async () => {
    const { root, options } = workplace()
    const modloop = Buffer.alloc(4096)
    modloop.write('hsqs')
    writeFiles(root, {
      'de.bmap': Buffer.concat([Buffer.from('bkeymap'), Buffer.alloc(512)]),
      'admin.pem': publicKey,
      'modloop-lts': modloop,
      'modloop-lts.SIGN.RSA.site': Buffer.alloc(128, 1),
    })
    const result = await build({
      ...options,
      keymaps: [join(root, 'de.bmap')],
      overlayKeys: [join(root, 'admin.pem')],
      modloop: join(root, 'modloop-lts'),
      modloopSignatures: [join(root, 'modloop-lts.SIGN.RSA.site')],
    })
    const files = unpack(result.initrd)
    expect(files.get('lib/keymaps/de.bmap')).toMatch(/^bkeymap/)
    expect(files.get('etc/diskless/overlay-keys/admin.pem')).toBe(publicKey)
    expect(files.has('var/cache/misc/modloop-lts.SIGN.RSA.site')).toBe(true)
    expect(JSON.parse(files.get('etc/diskless/config.json') ?? '')).toMatchObject({
      modloop: { sha256: expect.stringMatching(/^[0-9a-f]{64}$/), size: 4096 },
    })
  })

  it('gives the same bytes for the same input, elsewhere and later', async () => {
    const one = workplace()
    const two = workplace()
    const first = await build(one.options)
    const second = await build(two.options)
    expect(readFileSync(second.initrd)).toEqual(readFileSync(first.initrd))
  })

  it('makes the initrd anew only when something in it changed, or somebody else changed it', async () => {
    const { root, options } = workplace()
    expect((await build(options)).changed).toBe(true)
    const again = await build(options)
    expect(again.changed).toBe(false)
    expect(again.report.rows.length).toBeGreaterThan(3)
    writeFileSync(join(root, 'keys/site.rsa.pub'), publicKey.replace('MIIB', 'MIIC'))
    expect((await build(options)).changed).toBe(true)
    writeFileSync(again.initrd, 'not an initrd')
    expect((await build(options)).changed).toBe(true)
    writeFileSync(join(root, 'out/.initrd.json'), '{"input": "cut sh')
    expect((await build(options)).changed).toBe(true)
  })

  it('leaves busybox out with the shell', async () => {
    const { options } = workplace()
    const files = unpack((await build({ ...options, shell: 'none' })).initrd)
    expect(JSON.parse(files.get('etc/diskless/config.json') ?? '')).toMatchObject({ shell: { kind: 'none' } })
    expect([...files.keys()].filter((name) => name.startsWith('bin/'))).toEqual([])
  })

  it('refuses a private key, a key that is none, and a directory without one', async () => {
    const { root, options } = workplace()
    writeFiles(root, { 'a.rsa': '-----BEGIN RSA PRIVATE KEY-----\n', 'b.rsa.pub': 'hello', 'none/x': '' })
    const withKeys = (name: string) => build({ ...options, keys: [join(root, name)] })
    await expect(withKeys('a.rsa')).rejects.toThrow('is a private key')
    await expect(withKeys('b.rsa.pub')).rejects.toThrow('is no public key')
    await expect(withKeys('none')).rejects.toThrow('holds no key')
    await expect(withKeys('absent')).rejects.toThrow('could not be read')
  })

  it('refuses an /init that needs a dynamic loader', async () => {
    const { options } = workplace()
    writeFileSync(options.init ?? '', program(3))
    await expect(build(options)).rejects.toThrow('needs a dynamic loader')
  })

  it.each([`x=$\{net0/mac}`, 'a || b', 'a #b'])(
    'refuses the command line %j, which iPXE would read',
    async (line) => {
      const { options } = workplace()
      await expect(build({ ...options, commandLine: line })).rejects.toThrow(
        'which iPXE would take for its own',
      )
    },
  )
})

describe('busybox', () => {
  it('is refused when it is not the one that was tested', () => {
    expect(() => checkBusybox(Buffer.from('another'), '/x/busybox')).toThrow(
      '/x/busybox is not the busybox that diskless was tested with',
    )
  })
})

describe("the shell's password", () => {
  it('is stored as a hash that it alone gives', () => {
    const shell = shellWithPassword('correct horse\n', 'site')
    if (shell.kind !== 'password') throw new Error('no password')
    const [scheme, iterations, salt, hash] = shell.hash.split('$')
    expect(scheme).toBe('pbkdf2-sha256')
    const check = (password: string) =>
      pbkdf2Sync(password, Buffer.from(salt ?? '', 'hex'), Number(iterations), 32, 'sha256').toString('hex')
    expect(check('correct horse')).toBe(hash)
    expect(check('correct horse\n')).not.toBe(hash)
    expect(shellWithPassword('correct horse', 'site')).toEqual(shell)
    expect(shellWithPassword('correct horse', 'another site')).not.toEqual(shell)
  })

  it('may be given as a hash, and never as a damaged one or as nothing', () => {
    const hash = `pbkdf2-sha256$1000$00112233445566778899aabbccddeeff$${'ab'.repeat(32)}`
    expect(shellWithPassword(`${hash}\n`, 'site')).toEqual({ kind: 'password', hash })
    expect(() => shellWithPassword(hash.slice(0, -2), 'site')).toThrow('a damaged hash')
    expect(() => shellWithPassword('\nsecond line', 'site')).toThrow('no password')
  })
})
