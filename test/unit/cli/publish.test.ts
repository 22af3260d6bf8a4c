/** `diskless publish` itself, on files in a directory: its configuration, its options, what it says. */

import { spawnSync } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { CommandError } from '../../../build/error.ts'
import { packageRoot } from '../../../build/paths.ts'
import { UsageError } from '../../../src/cli/command.ts'
import { parse, publish } from '../../../src/cli/publish.ts'
import { chainOf } from '../../../src/sys/index.ts'

const directory = mkdtempSync(join(tmpdir(), 'diskless-publish-'))
const out = join(directory, 'www')
const program = join(packageRoot, 'src/cli/main.ts')

interface Said {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Run as a person runs it: a configuration is loaded with hooks of Node's own loader, which are not vitest's. */
function diskless(...words: string[]): Said {
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, 'publish', ...words], {
    cwd: directory,
    encoding: 'utf8',
    env: { ...process.env, NO_COLOR: '1' },
  })
  return { status, stdout, stderr }
}

/** The same in this process, without a configuration: files are below the directory. */
async function attempt(...words: string[]): Promise<Omit<Said, 'stdout'>> {
  const absolute = words.map((word) => word.replace(/^@/, `${directory}/`))
  try {
    await publish(out, parse([out, ...absolute]), {
      tell: () => {},
      progress: () => ({ update() {}, end() {} }),
    })
    return { status: 0, stderr: '' }
  } catch (error) {
    if (!(error instanceof CommandError || error instanceof UsageError)) throw error
    const stderr = [...chainOf(error), ...error.advice].join('\n')
    return { status: error instanceof UsageError ? 2 : 1, stderr }
  }
}

/** As one that is encrypted begins. */
const overlayOf = (text: string) => `Salted__${text}`

const published = (path: string) => readFileSync(join(out, path), 'utf8')

function configure(body: string): void {
  writeFileSync(
    join(directory, 'diskless.config.ts'),
    `import { defineConfig } from 'diskless'\nexport default defineConfig(${body})\n`,
  )
}

const network = `network: { server: '10.0.0.1/24' }`

beforeAll(() => {
  // Node has a warning for who says not whether his files are modules; nobody is to see it.
  writeFileSync(join(directory, 'package.json'), '{}')
  mkdirSync(join(directory, 'boot'))
  for (const name of ['vmlinuz', 'initrd']) writeFileSync(join(directory, 'boot', name), `the ${name}`)
  mkdirSync(join(directory, 'apks/x86_64'), { recursive: true })
  writeFileSync(join(directory, 'apks/x86_64/APKINDEX.tar.gz'), 'an index')
  writeFileSync(join(directory, 'apks/x86_64/musl-1.apk'), 'a package')
  mkdirSync(join(directory, 'overlays'))
  for (const name of ['52:54:00:12:34:56', 'README', '52-54-00-12-34-57'])
    writeFileSync(join(directory, 'overlays', `${name}.apkovl.tar.gz`), overlayOf(name))
  writeFileSync(join(directory, 'kiosk.apkovl.tar.gz'), overlayOf('of the kiosk'))
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  writeFileSync(join(directory, 'ops.rsa'), privateKey.export({ type: 'pkcs8', format: 'pem' }))
  writeFileSync(join(directory, 'ops.rsa.pub'), publicKey.export({ type: 'spki', format: 'pem' }))
})
beforeEach(() => {
  rmSync(out, { recursive: true, force: true })
  rmSync(join(directory, 'diskless.config.ts'), { force: true })
})
afterAll(() => rmSync(directory, { recursive: true }))

describe('a configuration', () => {
  it('is typed, needs no installation, and says all that is published', () => {
    configure(`{
      boot: './boot',
      commandLine: 'console=ttyS0',
      ${network},
      overlay: './overlays/{MAC}.apkovl.tar.gz',
      repositories: ['./apks', 'https://mirror.example.org/alpine/main'],
      machines: { '52-54-00-12-34-57': { hostname: 'kiosk', overlay: 'kiosk.apkovl.tar.gz', commandLine: 'quiet' } },
      sign: 'ops.rsa',
    }`)
    const { status, stdout, stderr } = diskless(out)
    expect(stderr).toBe('')
    expect(status).toBe(0)
    expect(stdout).toMatch(/: wrote \d+ files .*, signed with ops\.rsa\.pub\n/)
    const line = published('pxelinux.cfg/default')
    expect(line).toContain(
      'append ip=dhcp console=ttyS0 apkovl=http://10.0.0.1/overlays/{MAC}.apkovl.tar.gz alpine_repo=http://10.0.0.1/repositories/apks,https://mirror.example.org/alpine/main\n',
    )
    expect(published('overlays/52:54:00:12:34:56.apkovl.tar.gz')).toBe(overlayOf('52:54:00:12:34:56'))
    expect(existsSync(join(out, 'overlays/README.apkovl.tar.gz'))).toBe(false)
    // By its digest, which init then demands.
    const kiosk = published('pxelinux.cfg/01-52-54-00-12-34-57')
    const [, path = '', digest = ''] =
      /apkovl=http:\/\/10\.0\.0\.1\/(\S+) diskless\.apkovl_sha256=([0-9a-f]{64}) quiet$/m.exec(
        kiosk.replace(/ alpine_repo=\S+/, ''),
      ) ?? []
    expect(path).toBe(`files/${digest.slice(0, 32)}/kiosk.apkovl.tar.gz`)
    expect(published(path)).toBe(overlayOf('of the kiosk'))

    const check = diskless(out, '--check', '--key', 'ops.rsa.pub')
    expect(check.stdout).toMatch(/whole; signed with ops\.rsa\.pub, verified\n$/)
    writeFileSync(join(out, 'boot.ipxe'), 'of somebody')
    const other = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey
    writeFileSync(join(directory, 'other.pub'), other.export({ type: 'spki', format: 'pem' }))
    writeFileSync(join(directory, 'junk.pub'), 'junk')
    // No answer is no "no".
    const junk = diskless(out, '--check', '--key', 'junk.pub')
    expect(junk).toMatchObject({ status: 3 })
    expect(junk.stderr).toContain('junk.pub is no public key in PEM')
    const wrong = diskless(out, '--check', '--key', 'other.pub')
    expect(wrong.status).toBe(1)
    expect(wrong.stdout).toContain('  manifest is not signed with other.pub\n  boot.ipxe has ')
  })

  it('is of no use with mistakes: all are told, with their keys, and nothing is published', () => {
    configure(`{
      boot: './boot',
      comandLine: 'quiet',
      ip: 'leased',
      repositories: './apks',
      network: { server: '10.0.0.1', ranges: [] },
      machines: { kiosk: {}, '52:54:00:12:34:56': { hostName: 'a', address: 7 } },
    } as never`)
    const { status, stderr } = diskless(out)
    expect(status).toBe(1)
    for (const problem of [
      'comandLine is unknown: did you mean commandLine?',
      "ip is 'leased', and not one of dhcp, lease: did you mean 'lease'?",
      'repositories is "./apks", and not a list of texts',
      "network.server is '10.0.0.1', and not an address with its prefix length (8 to 30): 10.0.0.1/24",
      'network.ranges is unknown: did you mean range?',
      "machines['kiosk'] is no MAC address: 52:54:00:12:34:56 is one",
      "machines['52:54:00:12:34:56'].hostName is unknown: did you mean hostname?",
      "machines['52:54:00:12:34:56'].address is 7, and not a text",
    ])
      expect(stderr).toContain(`  ${problem}\n`)
    expect(stderr).toMatch(/^diskless: diskless\.config\.ts has 8 mistakes:/)
    expect(existsSync(out)).toBe(false)
  })

  it('says which loader hands over less of a lease than was asked for', () => {
    configure(`{ boot: './boot', ip: 'lease', ${network} }`)
    const { stdout } = diskless(out)
    const has = (file: string) => existsSync(join(out, file))
    expect(stdout.includes('GRUB cannot hand its lease over without network: { router }')).toBe(
      has('grub/bios.0') || has('grub/x64.efi'),
    )
    expect(stdout.includes('pxelinux hands over no name servers')).toBe(has('pxelinux.0'))
    configure(
      `{ boot: './boot', ip: 'lease', network: { server: '10.0.0.1/24', router: '10.0.0.2', dns: ['10.0.0.3'] } }`,
    )
    expect(diskless(out).stdout).not.toMatch(/lease/)
  })

  it.each([
    ['export const config = {}', /exports nothing by default\n.*export default defineConfig/],
    ['throw new Error("my own")', /could not be run\n {2}my own\nAt .*diskless\.config\.ts:1/],
    ['export default {', /could not be run\n {2}.*\nAt .*diskless\.config\.ts:1/],
    ["export default {\n  boot: 'a'\n  ip: 'b' }", /could not be run\n {2}.*\nAt .*diskless\.config\.ts:3/],
    ["import './nowhere.ts'", /could not be run\n {2}Cannot find module[\s\S]*relative and end in \.ts/],
  ])('that is no program says so: %s', (text, message) => {
    writeFileSync(join(directory, 'diskless.config.ts'), text)
    const { status, stderr } = diskless(out)
    expect(stderr).toMatch(message)
    expect(status).toBe(1)
  })

  it('that never ends is not waited for without end', () => {
    writeFileSync(join(directory, 'stuck.ts'), 'await new Promise(() => {})\nexport default {}\n')
    const module = join(packageRoot, 'src/cli/publish/load-config.ts')
    const script = `import { loadConfig } from ${JSON.stringify(module)}
await loadConfig(${JSON.stringify(join(directory, 'stuck.ts'))}, 50).catch((error) => console.log(error.cause.message))`
    const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
      encoding: 'utf8',
    })
    expect(stdout).toBe('it did not end within 0.05 s\n')
  })

  it('may import files beside it, and is given way to by options', () => {
    writeFileSync(join(directory, 'words.ts'), "export const words: string = 'quiet'\n")
    writeFileSync(
      join(directory, 'other.ts'),
      "import { defineConfig } from 'diskless'\nimport { words } from './words.ts'\nexport default defineConfig({ boot: './nowhere', commandLine: words, loaders: ['ipxe', 'grub'] })\n",
    )
    const words = [
      '--config',
      'other.ts',
      '--boot',
      'boot',
      '--loaders',
      'pxelinux',
      '--server',
      '10.0.0.1/24',
    ]
    const { status, stderr } = diskless(out, ...words)
    if (!existsSync('/usr/lib/PXELINUX/pxelinux.0') && !existsSync('/usr/share/syslinux/pxelinux.0')) {
      expect(stderr).toMatch(/pxelinux\.0: install pxelinux/)
      return
    }
    expect(stderr).toBe('')
    expect(status).toBe(0)
    expect(published('pxelinux.cfg/default')).toContain('append ip=dhcp quiet\n')
    expect(existsSync(join(out, 'boot.ipxe'))).toBe(false)
  })
})

describe('options alone', () => {
  it('publish, and say as JSON what was done', () => {
    const first = diskless(out, '--boot', 'boot', '--append', 'console=ttyS0 ip=off', '--json')
    const result: unknown = JSON.parse(first.stdout)
    expect(result).toMatchObject({ directory: out, done: true, unchanged: [], removed: [] })
    expect(published('boot.ipxe')).toMatch(/BOOTIF=\S+ console=ttyS0 ip=off \|\|/)
    const again = diskless(out, '--boot', 'boot', '--append', 'console=ttyS0 ip=off')
    expect(again.stdout).toContain('nothing changed')
    const dry = diskless(out, '--boot', 'boot', '--append', 'quiet', '--dry-run')
    expect(dry.stdout).toMatch(/would write \d+ files/)
    expect(published('boot.ipxe')).toContain('ip=off')
  })

  it('leave what is published, and what is below it, to publishing alone', async () => {
    expect((await attempt('--boot', '@boot', '--server', '10.0.0.1/24')).status).toBe(0)
    const before = published('boot.ipxe')
    const below = diskless(join(out, 'below'), '--boot', 'boot', '--server', '10.0.0.1/24')
    expect(below.stderr).toMatch(/below is inside of .*, which is published already\n.*beside it/)
    expect([below.status, existsSync(join(out, 'below'))]).toEqual([1, false])
    const built = spawnSync(process.execPath, [program, 'build', '--kernel', '/nowhere', '--out', out])
    expect([built.status, built.stderr.toString()]).toEqual([
      1,
      expect.stringContaining('is what diskless publish made: nothing is built into it'),
    ])
    expect(published('boot.ipxe')).toBe(before)
  })

  it('leave what is published as it is where a file is empty, or is none', async () => {
    expect((await attempt('--boot', '@boot')).status).toBe(0)
    const before = published('manifest')
    mkdirSync(join(directory, 'torn'))
    writeFileSync(join(directory, 'torn/vmlinuz'), 'a kernel')
    writeFileSync(join(directory, 'torn/initrd'), '')
    writeFileSync(join(directory, 'empty.apkovl.tar.gz'), '')
    mkdirSync(join(directory, 'page'))
    writeFileSync(join(directory, 'page/52:54:00:12:34:56.apkovl.tar.gz'), '<html>')
    for (const [words, message] of [
      [['--boot', '@torn'], /torn\/initrd is empty: nothing boots from it\ndiskless build/],
      [
        ['--boot', '@boot', '--overlay', '@empty.apkovl.tar.gz', '--url', 'http://a/'],
        /is no overlay: neither/,
      ],
      [['--boot', '@boot', '--overlay', '@page/{MAC}.apkovl.tar.gz', '--url', 'http://a/'], /is no overlay/],
    ] as const) {
      const { status, stderr } = await attempt(...words)
      expect([status, stderr]).toEqual([1, expect.stringMatching(message)])
    }
    expect(published('manifest')).toBe(before)
  })

  it.each([
    [[], 2, /there is no diskless\.config\.ts here, and neither --boot nor --kernel/],
    [['--boot', '@nowhere'], 1, /nowhere has no vmlinuz\n.*diskless build/],
    [
      ['--boot', '@boot', '--overlay', '@nowhere'],
      1,
      /the overlay, .*nowhere, could not be read[\s\S]*ENOENT/,
    ],
    [
      ['--boot', '@boot', '--overlay', '@kiosk.apkovl.tar.gz'],
      1,
      /an overlay is to be published, and nothing says where[\s\S]*--url/,
    ],
    [['--boot', '@boot', '--sign', '@ops.rsa.pub'], 1, /ops\.rsa\.pub is no private key/],
    [['--boot', '@boot', '--sign', '@nowhere.rsa'], 1, /nowhere\.rsa could not be read/],
    [['--boot', '@boot', '--loaders', 'ipxe,grup'], 1, /loaders\[1\] is 'grup', .*: did you mean 'grub'\?/],
    [['--boot', '@boot', '--repo', '@boot', '--url', 'http://a/'], 1, /is no repository of packages/],
    [['--boot', '@boot', '--url', 'ftp://a/'], 1, /url is 'ftp:\/\/a\/', and not the http: or https: URL/],
    [
      ['--boot', '@boot', '--image', '@boot/initrd', '--url', 'http://a/'],
      1,
      /is neither a squashfs nor an erofs/,
    ],
    [['--boot', '@boot', '--servr', 'x'], 2, /Did you mean '--server'\?/],
    [
      ['--boot', '@boot', '--server', '10.0.0.1/24', '--range', '10.0.1.2-10.0.1.9'],
      1,
      /network\.range is \[/,
    ],
    [
      ['--boot', '@boot', '--append', 'apkovl=http://a/b', '--overlay', 'http://c/d'],
      1,
      /overlay is given, and commandLine has apkovl= too/,
    ],
  ])('that do not fit are told, with the remedy: %s', async (words, status, message) => {
    const said = await attempt(...words)
    expect(said.stderr).toMatch(message)
    expect(said.status).toBe(status)
    expect(existsSync(out)).toBe(false)
  })
})
