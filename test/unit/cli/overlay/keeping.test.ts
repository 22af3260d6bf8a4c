/** `diskless overlay` keeps secrets and owners: encrypted, signed, and as a directory that anybody can edit. */

import { execFileSync } from 'node:child_process'
import { createVerify } from 'node:crypto'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { gunzipSync, gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { readTar } from '../../../../src/cli/overlay/tar-read.ts'
import { at, contentsOf, out, overlay, scratch, useSite, whole } from './site.ts'

useSite()

describe('an encrypted and a signed overlay', () => {
  const locked = `${out}.aes-256-cbc`
  const passphrase = ['--passphrase-file', at('secret')]

  it.each([
    ['sha256', []],
    ['pbkdf2', ['-pbkdf2']],
    ['md5', ['-md', 'md5']],
  ])('by %s is what the program openssl reads and writes', async (derivation, options) => {
    expect(
      (await overlay('new', locked, '--hostname', 'a', ...passphrase, '--key-derivation', derivation))
        .failure,
    ).toBe('')
    const openssl = ['enc', '-aes-256-cbc', ...options, '-pass', 'pass:open sesame']
    const plain = execFileSync('openssl', [...openssl, '-d', '-in', locked], {
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    expect(readTar(gunzipSync(plain), 'it').has('etc/hostname')).toBe(true)
    writeFileSync(
      locked,
      execFileSync('openssl', [...openssl, '-salt'], { input: plain, stdio: ['pipe', 'pipe', 'ignore'] }),
    )
    // As it was: whoever reads it reads it still.
    await overlay('edit', locked, '--hostname', 'b', ...passphrase)
    expect(
      execFileSync('openssl', [...openssl, '-d', '-in', locked], { stdio: ['ignore', 'pipe', 'ignore'] })
        .length,
    ).toBeGreaterThan(0)
  })

  it('says of a wrong password that it is that or damage, and of none who could be asked', async () => {
    await overlay('new', locked, ...passphrase)
    expect((await overlay('edit', locked, '--passphrase-file', at('motd'))).failure).toMatch(
      /the password does not open .*damaged/,
    )
    expect((await overlay('edit', locked)).failure).toMatch(
      /nobody is there to be asked for it\n.*--passphrase-file/,
    )
    writeFileSync(out, readFileSync(locked))
    expect((await overlay('diff', out, out)).failure).toMatch(/is encrypted, and its name does not say how/)
    writeFileSync(locked, 'no')
    expect((await overlay('edit', locked, ...passphrase)).failure).toMatch(/is not what openssl enc writes/)
  })

  it('has a signature beside it as init checks it, which no change leaves stale', async () => {
    expect((await overlay('new', out, '--sign', at('sign.rsa'))).stdout).toMatch(/signed with sign\.rsa/)
    const verified = () =>
      createVerify('sha256')
        .update(readFileSync(out))
        .verify(readFileSync(at('sign.rsa')), readFileSync(`${out}.sig`))
    expect(verified()).toBe(true)
    expect((await overlay('edit', out, '--hostname', 'x')).failure).toMatch(/\.sig would no longer fit/)
    expect(verified()).toBe(true)
    expect((await overlay('edit', out, '--hostname', 'x', '--sign', at('sign.rsa'))).failure).toBe('')
    expect(verified()).toBe(true)
  })
})

describe('diskless overlay unpack and pack', () => {
  it('makes no overlay of an empty directory', async () => {
    mkdirSync(at('nothing'))
    expect((await overlay('pack', at('nothing'), at('c.apkovl.tar.gz'))).failure).toMatch(
      /nothing is empty: there is nothing to pack/,
    )
    expect(existsSync(at('c.apkovl.tar.gz'))).toBe(false)
  })

  const tree = at('tree')

  it('go there and back without being root, devices and attributes too', async () => {
    await overlay('new', out, ...whole)
    const bare = contentsOf(out)
    expect((await overlay('unpack', out, tree)).failure).toBe('')
    expect(statSync(join(tree, 'etc/shadow')).mode & 0o777).toBe(0o640)
    expect((await overlay('pack', tree, at('b.apkovl.tar.gz'))).failure).toBe('')
    expect(readFileSync(at('b.apkovl.tar.gz')).equals(readFileSync(out))).toBe(true)

    const manifest = join(tree, '.diskless-owners')
    const xattr = 'pax.SCHILY.xattr.user.note=aG0='
    writeFileSync(
      manifest,
      `${readFileSync(manifest, 'utf8').replace(/^\.\/etc\/motd .*$/m, `$& ${xattr}`)}./dev/tty9 type=char mode=0620 uid=0 gid=5 device=native,4,9\n`,
    )
    writeFileSync(join(tree, 'etc/with space'), 'mine\n', { mode: 0o600 })
    symlinkSync('motd', join(tree, 'etc/link'))
    rmSync(join(tree, 'etc/hostname'))
    mkdirSync(join(tree, 'var/empty'), { recursive: true })
    await overlay('pack', tree, out, '--force')
    const made = contentsOf(out)
    expect(made.get('dev/tty9')).toMatchObject({ kind: 'character', major: 4, minor: 9, mode: 0o620, gid: 5 })
    expect(made.get('etc/motd')?.records.get('SCHILY.xattr.user.note')).toEqual(Buffer.from('hm'))
    expect(made.get('etc/with space')).toMatchObject({ uid: 0, gid: 0, mode: 0o600 })
    expect(made.get('etc/link')).toMatchObject({ kind: 'symlink', target: 'motd', uid: 0 })
    expect(made.has('etc/hostname')).toBe(false)
    expect([made.has('var'), made.has('var/empty')]).toEqual([false, true])
    expect(made.get('home/ada')).toEqual(bare.get('home/ada'))
    rmSync(tree, { recursive: true })
    expect((await overlay('unpack', out, tree)).stderr).toMatch(/dev\/tty9 is in the manifest only/)
    expect(existsSync(join(tree, 'dev/tty9'))).toBe(false)
    await overlay('pack', tree, at('b.apkovl.tar.gz'), '--force')
    expect(readFileSync(at('b.apkovl.tar.gz')).equals(readFileSync(out))).toBe(true)
  })

  it('write nowhere else: not through a symlink of the overlay, not into what is there', async () => {
    mkdirSync(at('tree-out'))
    const archive = execFileSync(
      'tar',
      ['-c', '-C', scratch, '--transform', 's,^tree-link,d,', 'tree-link', 'motd'],
      {
        stdio: ['ignore', 'pipe', 'ignore'],
        ...(symlinkSync(at('tree-out'), at('tree-link')) ?? {}),
      },
    )
    const evil = Buffer.from(archive)
    evil.write('d/motd\0', 512, 'latin1')
    evil.fill(' ', 512 + 148, 512 + 156)
    const sum = evil.subarray(512, 1024).reduce((total, byte) => total + byte, 0)
    evil.write(`${sum.toString(8).padStart(6, '0')}\0 `, 512 + 148)
    writeFileSync(out, gzipSync(evil))
    expect((await overlay('unpack', out, tree)).failure).toMatch(/\/d in it is a symlink: it leads elsewhere/)
    expect(readdirSync(at('tree-out'))).toEqual([])
    await overlay('new', out, '--force')
    mkdirSync(join(tree, 'x'), { recursive: true })
    expect((await overlay('unpack', out, tree)).failure).toMatch(/is not empty/)
  })

  it.each([
    ['./etc type=dir mode=0755 uid=0', /line 2: gid= is no number/],
    ['./etc type=thing', /type=thing is none of/],
    ['./../x type=file mode=0644 uid=0 gid=0', /leads out of it/],
    ['./dev/x type=char mode=0644 uid=0 gid=0', /line 2: a device needs device=native/],
    ['./x mode', /line 2: mode is not KEYWORD=VALUE/],
  ])('refuses a manifest with %s', async (line, why) => {
    mkdirSync(tree)
    writeFileSync(at('manifest'), `#mtree\n${line}\n`)
    expect((await overlay('pack', tree, out, '--owners', at('manifest'))).failure).toMatch(why)
    expect(existsSync(out)).toBe(false)
  })
})
