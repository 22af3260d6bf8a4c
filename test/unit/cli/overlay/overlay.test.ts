/** `diskless overlay new`, `edit` and `diff` on real files. */

import { execFileSync, spawnSync } from 'node:child_process'
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { gunzipSync, gzipSync } from 'node:zlib'
import { beforeEach, describe, expect, it } from 'vitest'
import { demoOverlay } from '../../../../scripts/repository/overlay.ts'
import { writeTar } from '../../../../src/cli/overlay/tar-write.ts'
import { at, contentsOf, hash, lineOf, out, overlay, scratch, textIn, useSite, whole } from './site.ts'

useSite()

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
    expect((await overlay('edit', out)).failure).toMatch(/what is to be changed in .*box\.apkovl\.tar\.gz\?/)
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
