/** `diskless overlay` on real files: what it makes, changes, tells apart, encrypts and signs. */

import { execFileSync, spawnSync } from 'node:child_process'
import { createVerify, generateKeyPairSync } from 'node:crypto'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync, gzipSync } from 'node:zlib'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { demoOverlay } from '../../../../scripts/repository/overlay.ts'
import { readTar } from '../../../../src/cli/overlay/tar-read.ts'
import { writeTar } from '../../../../src/cli/overlay/tar-write.ts'
import { overlayCommand } from '../../../../src/cli/overlay.ts'
import { runCommand, type Said } from './run.ts'

const scratch = mkdtempSync(join(tmpdir(), 'diskless-overlay-'))
const at = (name: string) => join(scratch, name)
const out = at('box.apkovl.tar.gz')
const key = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGuBRVsnlmPX2Ia4B2eGGYP0jBMXuiO7m+QYi1Y3oTiL'
const hash = '$6$salt$hashhashhash'

const overlay = (...words: string[]): Promise<Said> => runCommand(overlayCommand, ...words)
const contentsOf = (path: string) => readTar(gunzipSync(readFileSync(path)), path)
const textIn = (path: string, name: string) => {
  const entry = contentsOf(path).get(name)
  return entry?.kind === 'file' ? entry.bytes.toString('utf8') : undefined
}
const lineOf = (path: string, name: string, start: string) =>
  textIn(path, name)
    ?.split('\n')
    .find((line) => line.startsWith(start))

const former = process.env.SOURCE_DATE_EPOCH

beforeAll(() => {
  process.env.SOURCE_DATE_EPOCH = '1700000000'
  writeFileSync(at('motd'), 'hello\n')
  writeFileSync(at('key.pub'), `${key} me\n`)
  writeFileSync(at('password'), `${hash}\n`)
  writeFileSync(at('secret'), 'open sesame\nnot this\n')
  writeFileSync(
    at('sign.rsa'),
    generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ type: 'pkcs8', format: 'pem' }),
  )
})
beforeEach(() => {
  for (const name of readdirSync(scratch).filter((each) => /apkovl|^tree/.test(each))) {
    rmSync(at(name), { recursive: true })
  }
})
afterAll(() => {
  if (former === undefined) delete process.env.SOURCE_DATE_EPOCH
  else process.env.SOURCE_DATE_EPOCH = former
  rmSync(scratch, { recursive: true })
})

const whole = [
  ...[
    '--hostname',
    'box',
    '--world',
    'openssh,htop',
    '--service',
    'sshd,boot:networking',
    '--interface',
    'dhcp',
  ],
  ...[
    '--user',
    'ada::wheel,audio',
    '--password-file',
    `${at('password')}=ada`,
    '--ssh-key',
    `${at('key.pub')}=ada`,
  ],
  ...['--file', `${at('motd')}=/etc/motd`, '--file', `${at('motd')}=/srv/note:0640:ada:shadow`],
  ...['--repository', 'https://mirror.example/v3.19/main'],
]

describe('diskless overlay new', () => {
  it('makes what a machine needs, with owners that it takes no root for; the same input is the same bytes', async () => {
    expect(await overlay('new', out, ...whole)).toMatchObject({ status: 0, failure: '', stderr: '' })
    const made = contentsOf(out)
    expect([...made.keys()][0]).toBe('etc')
    expect(textIn(out, 'etc/apk/world')).toBe('alpine-base\nhtop\nopenssh\n')
    expect(made.get('etc/runlevels/default/sshd')).toMatchObject({
      kind: 'symlink',
      target: '/etc/init.d/sshd',
    })
    expect(made.get('etc/runlevels/boot/networking')).toMatchObject({ kind: 'symlink' })
    expect(made.has('etc/.default_boot_services')).toBe(true)
    expect(lineOf(out, 'etc/passwd', 'ada:')).toBe('ada:x:1000:1000:ada:/home/ada:/bin/sh')
    expect(lineOf(out, 'etc/shadow', 'ada:')).toBe(`ada:${hash}:::::::`)
    expect(lineOf(out, 'etc/group', 'wheel:')).toBe('wheel:x:10:root,ada')
    expect(made.get('etc/shadow')).toMatchObject({ mode: 0o640, uid: 0, gid: 42 })
    expect(made.get('home/ada/.ssh')).toMatchObject({ mode: 0o700, uid: 1000, gid: 1000, user: 'ada' })
    expect(made.get('home/ada/.ssh/authorized_keys')).toMatchObject({ mode: 0o600, uid: 1000 })
    // Their modes are the packages' that bring them.
    for (const path of ['etc/apk', 'etc/network', 'srv', 'home']) expect(made.has(path)).toBe(false)
    expect(made.get('srv/note')).toMatchObject({ mode: 0o640, uid: 1000, gid: 42, group: 'shadow' })
    // What lbu would leave out of the machine's next commit.
    expect(textIn(out, 'etc/apk/protected_paths.d/lbu.list')).toBe(
      '+home/ada/.ssh/authorized_keys\n+srv/note\n+home/ada\n',
    )
    const first = readFileSync(out)
    await overlay('new', out, '--force', ...whole)
    expect(readFileSync(out).equals(first)).toBe(true)
  })

  it('hashes a password by openssl, and says what is missing for a key to be of use', async () => {
    const { stderr, failure } = await overlay(
      'new',
      out,
      '--password-file',
      at('secret'),
      '--ssh-key',
      at('key.pub'),
    )
    expect(failure).toBe('')
    expect(stderr).toMatch(/Nothing in it starts an SSH server/)
    const [, salt = ''] = /^root:\$6\$([^$]+)\$/.exec(textIn(out, 'etc/shadow') ?? '') ?? []
    const again = execFileSync('openssl', ['passwd', '-6', '-salt', salt, 'open sesame'], {
      encoding: 'utf8',
    })
    expect(textIn(out, 'etc/shadow')).toContain(`root:${again.trim()}:`)
  })

  it.each([
    [['--ssh-key', at('sign.rsa')], /is a private key, which must never be in an overlay/],
    [['--ssh-key', at('motd')], /is no public SSH key/],
    [['--ssh-key', `${at('key.pub')}=bob`], /has no user bob\nAdd one: --user bob/],
    [['--user', 'sshd:1234'], /has a user sshd already, whose number is not 1234/],
    [['--user', 'ada:22'], /the number 22 for ada is sshd's already/],
    [['--user', 'ada::nogroups'], /has no group nogroups for ada/],
    [['--file', `${at('nothing')}=/etc/x`], /nothing could not be read/],
    [['--file', `${at('motd')}=/../x`], /leads out of it/],
    [['--file', at('motd')], /write it as FILE=\/PATH/],
    [
      ['--file', `${at('motd')}=/etc/hostname/x`, '--hostname', 'x'],
      /cannot lie in \/etc\/hostname, which is a file/,
    ],
    [['--world', 'a,=1'], /no package can be called =1/],
    [['--hostname=-x'], /a name has letters, digits and dashes/],
    [['--remove', '/etc'], /does not go with overlay new\nIt is for overlay edit/],
    [['--service', '../x'], /write it as \[RUNLEVEL:\]NAME/],
    [['--sign', at('motd')], /is no private key in PEM/],
  ])('says of %j what is wrong, and writes nothing', async (words, why) => {
    const { failure } = await overlay('new', out, ...words)
    expect(failure).toMatch(why)
    expect(readdirSync(scratch).filter((name) => name.includes('apkovl'))).toEqual([])
  })

  it('leaves what is there, and takes only names that init takes for an overlay', async () => {
    await overlay('new', out)
    expect((await overlay('new', out)).failure).toMatch(/is there already\n--force/)
    expect((await overlay('new', at('box.tar.gz'))).failure).toMatch(/NAME\.apkovl\.tar\.gz/)
    expect((await overlay('new', at('x.apkovl.tar.gz.bf-cbc'))).failure).toMatch(/cannot be decrypted here/)
    expect((await overlay('new', at('no/x.apkovl.tar.gz'))).failure).toMatch(/is no directory/)
  })
})

describe('diskless overlay edit', () => {
  beforeEach(async () => {
    await overlay('new', out, ...whole)
  })

  it('changes and removes, and leaves everything else as it is, times included', async () => {
    process.env.SOURCE_DATE_EPOCH = '1800000000'
    const said = await overlay(
      ...['edit', out, '--world', 'nginx', '--remove-world', 'htop', '--remove-service', 'boot:networking'],
      ...[
        '--remove',
        '/srv',
        '--remove-user',
        'ada',
        '--hostname',
        'other',
        '--file',
        `${at('motd')}=/etc/issue`,
      ],
    )
    process.env.SOURCE_DATE_EPOCH = '1700000000'
    expect(said).toMatchObject({ status: 0, failure: '' })
    const made = contentsOf(out)
    expect(textIn(out, 'etc/apk/world')).toBe('alpine-base\nnginx\nopenssh\n')
    expect([...made.keys()].filter((path) => path.startsWith('srv') || path.endsWith('networking'))).toEqual(
      [],
    )
    expect(lineOf(out, 'etc/passwd', 'ada:')).toBeUndefined()
    expect(lineOf(out, 'etc/shadow', 'ada:')).toBeUndefined()
    expect(lineOf(out, 'etc/group', 'wheel:')).toBe('wheel:x:10:root')
    expect(lineOf(out, 'etc/group', 'ada:')).toBeUndefined()
    expect(made.get('etc/hostname')).toMatchObject({ mtime: 1_800_000_000 })
    expect(made.get('etc/motd')).toMatchObject({ mtime: 1_700_000_000 })
  })

  it('writes nothing where all is so already, and elsewhere with --out', async () => {
    const before = statSync(out).mtimeMs
    expect((await overlay('edit', out, '--hostname', 'box')).stdout).toMatch(/all that is so already/)
    expect(statSync(out).mtimeMs).toBe(before)
    await overlay('edit', out, '--world', 'nginx', '--out', at('b.apkovl.tar.zst'))
    expect(textIn(out, 'etc/apk/world')).not.toMatch(/nginx/)
    expect((await overlay('diff', out, at('b.apkovl.tar.zst'))).stdout).toBe('world +nginx\n')
  })

  it.each([
    [['--remove', '/etc/mtod'], /has no \/etc\/mtod to be removed\nDid you mean \/etc\/motd\?/],
    [['--remove-world', 'vim'], /has no vim to be removed/],
    [['--remove-service', 'networking'], /starts no networking in the runlevel default/],
    [['--remove-user', 'bob'], /has no user bob/],
    [['--remove-ssh-key', at('key.pub')], /does not let the key .* in as root/],
  ])('says of %j what is wrong, and leaves the file', async (words, why) => {
    const before = readFileSync(out)
    expect((await overlay('edit', out, ...words)).failure).toMatch(why)
    expect(readFileSync(out).equals(before)).toBe(true)
  })

  it('reads what lbu wrote with other owners, and says where a file is cut or none', async () => {
    writeFileSync(out, demoOverlay())
    expect(
      (await overlay('edit', out, '--user', 'ada:1000', '--file', `${at('motd')}=/etc/x:0600:ada:ada`))
        .failure,
    ).toBe('')
    expect(contentsOf(out).get('etc/x')).toMatchObject({ uid: 1000, gid: 1000, mode: 0o600 })
    writeFileSync(out, readFileSync(out).subarray(0, 500))
    expect((await overlay('edit', out, '--hostname', 'x')).failure).toMatch(
      /box.* could not be decompressed \(gz\)\nunexpected end of file/,
    )
    writeFileSync(out, gzipSync(gunzipSync(demoOverlay()).subarray(0, 3000)))
    expect((await overlay('edit', out, '--hostname', 'x')).failure).toMatch(/a damaged one: it ends inside/)
    expect((await overlay('edit', at('none.apkovl.tar.gz'))).failure).toMatch(/could not be read/)
  })
})

describe('diskless overlay diff', () => {
  const b = at('b.apkovl.tar.gz')
  beforeEach(async () => {
    await overlay('new', out, ...whole)
  })

  it('says nothing of what is the same, and 0', async () => {
    expect(await overlay('diff', out, out)).toMatchObject({ status: 0, stdout: '' })
    // lbu leaves out the directories that packages bring.
    const bare = [...contentsOf(out)].filter(([path]) => !/^etc$|^etc\/(apk|network)$/.test(path))
    writeFileSync(b, gzipSync(writeTar(new Map(bare))))
    expect(await overlay('diff', out, b)).toMatchObject({ status: 0, stdout: '' })
  })

  it('tells packages, services, users and passwords by word, texts by line, and 1', async () => {
    writeFileSync(at('motd2'), 'hello\nworld\n')
    writeFileSync(at('binary'), Buffer.from([0, 1, 2]))
    const words = [
      ...[
        '--world',
        'vim',
        '--service',
        'chronyd',
        '--user',
        'bob:1010',
        '--file',
        `${at('motd2')}=/etc/motd:0600`,
      ],
      ...['--file', `${at('binary')}=/etc/b`, '--password-file', `${at('password')}=root`],
    ]
    await overlay('edit', out, ...words, '--out', b)
    const { status, stdout } = await overlay('diff', out, b)
    expect(status).toBe(1)
    const lines = stdout.split('\n')
    expect(lines.slice(0, 4)).toEqual([
      'world +vim',
      'services +default:chronyd',
      'users +bob (1010)',
      'password of root changed',
    ])
    expect(stdout).toContain('changed /etc/motd: mode 0644 → 0600\n  @@ -1 +1,2 @@\n   hello\n  +world\n')
    expect(stdout).toContain('added   /etc/b: file, 0644 0:0, 3 bytes\n')
    expect(stdout).toMatch(/changed \/etc\/passwd\n {2}@@ .*\n[\s\S]*\+bob:x:1010/)
    // Hashes are for whoever opens the file.
    expect(stdout).not.toContain(hash)
    const { stdout: json } = await overlay('diff', out, b, '--json')
    expect(JSON.parse(json)).toMatchObject({ world: { added: ['vim'], removed: [] }, passwords: ['root'] })
  })

  it('is what patch(1) understands', async () => {
    const lines = Array.from({ length: 60 }, (_, index) => `line ${index}`)
    writeFileSync(at('long'), lines.map((line) => `${line}\n`).join(''))
    lines.splice(50, 3, 'other')
    lines.splice(10, 0, 'new', 'newer')
    lines.splice(3, 1)
    const wanted = lines.map((line) => `${line}\n`).join('')
    writeFileSync(at('long2'), wanted)
    await overlay('edit', out, '--file', `${at('long')}=/etc/long`)
    await overlay('edit', out, '--file', `${at('long2')}=/etc/long`, '--out', b)
    const { files } = JSON.parse((await overlay('diff', out, b, '--json')).stdout)
    const own = `${['--- a', '+++ b', ...files[0].hunks].join('\n')}\n`
    const { stdout } = spawnSync('diff', ['-u', '--label', 'a', '--label', 'b', at('long'), at('long2')], {
      encoding: 'utf8',
    })
    expect(own).toBe(stdout)
  })
})

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
