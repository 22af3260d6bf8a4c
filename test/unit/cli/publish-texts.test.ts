/** What loaders and servers are told by a published directory; where their own checkers are here, they are asked. */

import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { parseCommandLine } from '../../../src/boot/command-line.ts'
import { parseBootInterface, parseIpParameter } from '../../../src/boot/ip-parameter.ts'
import type { Site } from '../../../src/cli/publish/site.ts'
import { textsOf } from '../../../src/cli/publish/texts.ts'
import { quoteForKernel, wordsOf } from '../../../src/cli/publish/words.ts'
import { site } from '../../support/site.ts'

const scratch = mkdtempSync(join(tmpdir(), 'diskless-texts-'))
afterAll(() => rmSync(scratch, { recursive: true }))

function text(path: string, changes: Partial<Site> = {}): string {
  return textsOf({ ...site, ...changes }).get(path) ?? `there is no ${path}`
}

const lineOf = (of: string, word: string) =>
  of.split('\n').find((line) => line.trim().startsWith(`${word} `)) ?? ''

describe('iPXE', () => {
  it('hands over the card that it booted from, and the command line as the kernel reads it', () => {
    const line = lineOf(text('boot.ipxe'), 'kernel')
    expect(line).toContain(`kernel ${site.boot.kernel} initrd=initrd BOOTIF=01-\${netX/mac:hexhyp} ip=dhcp `)
    expect(parseCommandLine(line).words).toContainEqual({ name: 'greeting', value: 'a b' })
    expect(parseBootInterface('01-52-54-00-12-34-56')).toBe('52:54:00:12:34:56')
  })

  it('hands over its own lease where that is wanted', () => {
    const [, ip = ''] = / ip=(\S+)/.exec(text('boot.ipxe', { ip: 'lease' })) ?? []
    const lease: Readonly<Record<string, string>> = {
      ip: '10.0.0.130',
      'next-server': '10.0.0.1',
      gateway: '10.0.0.254',
      netmask: '255.255.255.0',
      hostname: 'kiosk',
      dns: '10.0.0.1',
    }
    const filled = (values: typeof lease) =>
      ip.replace(/\$\{netX\/([\w-]+)\}/g, (_, name) => values[name] ?? '')
    expect(parseIpParameter(filled(lease))).toMatchObject({
      kind: 'static',
      address: '10.0.0.130',
      prefixLength: 24,
      gateway: '10.0.0.254',
      hostname: 'kiosk',
      dns: ['10.0.0.1'],
    })
    // What a server does not say is empty then.
    expect(parseIpParameter(filled({ ip: '10.0.0.130', netmask: '255.255.255.0' }))).toMatchObject({
      kind: 'static',
      gateway: undefined,
      dns: [],
    })
  })

  it('sends a machine to its own script, and nowhere else when that does not come', () => {
    const lines = text('boot.ipxe').split('\n')
    const at = (start: string) => lines.findIndex((line) => line.startsWith(start))
    const mac = `iseq \${netX/mac:hexhyp} 52-54-00-12-34-57`
    expect(at(`${mac} && chain --autofree machines/52-54-00-12-34-57.ipxe`)).toBeGreaterThan(0)
    expect(at(`${mac} && goto failed`)).toBeGreaterThan(at(`${mac} && chain`))
    expect(at('kernel')).toBeGreaterThan(at(`${mac} && goto failed`))
    const own = text('machines/52-54-00-12-34-57.ipxe')
    expect(lineOf(own, 'kernel')).toMatch(/^kernel \.\.\/files\/1+\/vmlinuz .* quiet \|\| goto failed$/)
  })

  it('leaves ip= to the command line that has one', () => {
    const line = lineOf(text('boot.ipxe', { ip: 'as the command line says', words: ['ip=off'] }), 'kernel')
    expect(line.match(/ip=/g)).toHaveLength(1)
  })
})

describe('pxelinux', () => {
  it.each([
    ['dhcp', 2],
    ['lease', 3],
  ] as const)('with ip: %s hands over what sysappend %i does', (ip, sysappend) => {
    const file = text('pxelinux.cfg/default', { ip })
    expect(file).toMatch(new RegExp(`^ {2}sysappend ${sysappend}$`, 'm'))
    expect(/\bip=dhcp\b/.test(file)).toBe(ip === 'dhcp')
    expect(lineOf(file, 'append')).toContain(' greeting="a b" ')
  })

  it('hands over a lease that init reads, and the name servers that pxelinux does not tell', () => {
    const line = lineOf(text('pxelinux.cfg/default', { ip: 'lease' }), 'append')
    expect(line).toContain('append nameserver=10.0.0.1 nameserver=9.9.9.9 ')
    const own = { ip: 'lease', words: ['nameserver=1.1.1.1'] } as const
    expect(lineOf(text('pxelinux.cfg/default', own), 'append').match(/nameserver/g)).toHaveLength(1)
    // As core/fs/pxe/pxe.c makes it, with and without a gateway.
    expect(parseIpParameter('10.0.0.20:10.0.0.1:10.0.0.254:255.255.255.0')).toMatchObject({
      ...{
        kind: 'static',
        address: '10.0.0.20',
        prefixLength: 24,
        gateway: '10.0.0.254',
        server: '10.0.0.1',
      },
    })
    expect(parseIpParameter('10.0.0.20:10.0.0.1:0.0.0.0:255.255.255.0')).toMatchObject({
      ...{ kind: 'static', gateway: undefined },
    })
  })

  it('has a file a machine, as it looks for it', () => {
    expect(lineOf(text('pxelinux.cfg/01-52-54-00-12-34-57'), 'append').trim()).toBe('append ip=dhcp quiet')
  })
})

describe('GRUB', () => {
  const grub = 'grub/grub.cfg'

  it('hands over the card, and words that it would take for its own', () => {
    const line = lineOf(text(grub), 'linux')
    expect(line).toContain('"BOOTIF=01-$net_default_mac" ip=dhcp')
    expect(line).toContain("'greeting=a b'")
    expect(line).toContain("'apkovl=http://10.0.0.1/overlays/{MAC}.apkovl.tar.gz'")
    expect(parseBootInterface('01-52:54:00:12:34:56')).toBe('52:54:00:12:34:56')
  })

  it('hands over a lease of the configured network, whose mask and router it can tell, and no other', () => {
    const file = text(grub, { ip: 'lease' })
    expect(lineOf(file, 'linux')).toContain('"BOOTIF=01-$net_default_mac" "ip=$address" ')
    expect(file).toContain(`if [ "$mask $router" = 'ffffff00 0a0000fe' ]; then\n`)
    expect(file).toMatch(/^set address=dhcp$/m)
    const [, words = ''] = /set address="\$net_default_ip(.*)"/.exec(file) ?? []
    expect(parseIpParameter(`10.0.0.20${words}`)).toEqual({
      ...{
        kind: 'static',
        address: '10.0.0.20',
        prefixLength: 24,
        gateway: '10.0.0.254',
        server: '10.0.0.1',
      },
      ...{
        dns: ['10.0.0.1', '9.9.9.9'],
        device: undefined,
        hostname: undefined,
        mac: undefined,
        mtu: undefined,
      },
      ntp: undefined,
    })
    // Before the menu: an error within would be waited for.
    expect(file.indexOf('set address=')).toBeLessThan(file.indexOf('menuentry'))
    const network = site.network === undefined ? undefined : { ...site.network, router: undefined }
    for (const changes of [{ network }, { network: undefined }])
      expect(lineOf(text(grub, { ip: 'lease', ...changes }), 'linux')).toContain('" ip=dhcp ')
  })

  it('sends a machine to its own file', () => {
    expect(text(grub)).toContain(
      `elif [ "$net_default_mac" = '52:54:00:12:34:58' ]; then set own="$base/grub/grub.cfg-01-52-54-00-12-34-58"`,
    )
    expect(lineOf(text('grub/grub.cfg-01-52-54-00-12-34-58'), 'linux')).toMatch(/ 'debug_init'$/)
  })
})

describe('what a loader cannot say', () => {
  it.each([
    ['ipxe', `a=\${mac}`, /which iPXE would take for its own/],
    ['grub', "a='b'", /which GRUB cannot hand to a kernel as it is/],
    ['pxelinux', 'a=b\nkernel evil', /'a=b↵kernel evil', which has no place in a line of pxelinux/],
    ['pxelinux', '--', /holds '--', which has no place in a line of pxelinux/],
  ] as const)('is refused for %s by name', (loader, word, message) => {
    expect(() => textsOf({ ...site, words: [word] })).toThrow(message)
    const others = site.loaders.filter((each) => each !== loader)
    if (loader !== 'pxelinux')
      expect(() => textsOf({ ...site, loaders: others, words: [word] })).not.toThrow()
  })

  it('is a line longer than a kernel takes, with the numbers', () => {
    const words = Array.from({ length: 200 }, (_, at) => `word${at}=value`)
    expect(() => textsOf({ ...site, words })).toThrow(/comes to \d{4} characters, and a kernel takes 2047/)
  })
})

describe('words', () => {
  it('come out of a command line and go back into it as the kernel has them', () => {
    const line = 'quiet a="b c" "d e=f" -- single'
    expect(wordsOf(line)).toEqual(['quiet', 'a=b c', 'd e=f', '--', 'single'])
    expect(wordsOf(line).map(quoteForKernel).join(' ')).toBe(line)
  })
})

describe('DHCP', () => {
  const files = ['servers/dnsmasq.conf', 'servers/dhcpd.conf', 'servers/kea-dhcp4.json'] as const

  it.each(files)('%s names the script for iPXE, a loader for each firmware, and the machines', (path) => {
    const file = text(path)
    for (const said of ['http://10.0.0.1/boot.ipxe', 'pxelinux.0', 'grub/x64.efi', '10.0.0.20', 'kiosk'])
      expect(file).toContain(said)
    expect(file).toContain('10.0.0.128')
    expect(file).not.toContain('52:54:00:12:34:58')
  })

  it('gives iPXE in a card another loader where its script is not published', () => {
    const only = { loaders: ['pxelinux'], firmware: { bios: 'pxelinux.0', efi: undefined } } as const
    expect(text('servers/dnsmasq.conf', only)).toMatch(/^dhcp-boot=tag:bios,pxelinux\.0,,10\.0\.0\.1$/m)
    expect(text('servers/dnsmasq.conf', only)).not.toContain('boot.ipxe')
    expect(text('servers/dnsmasq.conf')).toMatch(/^dhcp-boot=tag:!ipxe,tag:bios,pxelinux\.0,,10\.0\.0\.1$/m)
  })

  it('names boot.ipxe by TFTP where there is no HTTP', () => {
    expect(text('servers/dnsmasq.conf', { url: undefined })).toMatch(/^dhcp-boot=tag:ipxe,boot\.ipxe,,/m)
  })

  it('is left out where no network is known', () => {
    const names = [...textsOf({ ...site, network: undefined }).keys()].filter((path) =>
      path.startsWith('servers/'),
    )
    const ofServers = names.filter((name) => !name.startsWith('servers/command-line'))
    expect(ofServers.sort()).toEqual(['servers/exports', 'servers/nginx.conf'])
  })
})

describe('nginx and exports', () => {
  it('serve the directory where its URL says', () => {
    const file = text('servers/nginx.conf', { url: 'http://10.0.0.1:8080/boot/' })
    expect(file).toContain('listen 8080;')
    expect(file).toMatch(/location \/boot\/ \{\s+alias "\/srv\/diskless\/";/)
    expect(file).toMatch(/location \/boot\/files\/ \{\s+alias "\/srv\/diskless\/files\/";/)
  })

  it('export read-only, to the network alone, and quote a path with a space', () => {
    const file = text('servers/exports')
    expect(file).toContain('/srv/nfs\\040root 10.0.0.0/24(ro,')
    expect(file).not.toMatch(/\brw\b/)
  })
})

/** Each by the server's or loader's own reader, where that is here; kea and dhcpd are looked for, too. */
const checkers: readonly { file: string; program: string; words: (path: string) => readonly string[] }[] = [
  ...['servers/dnsmasq.conf', 'servers/dnsmasq-proxy.conf'].map((file) => ({
    file,
    program: 'dnsmasq',
    words: (path: string) => ['--test', `--conf-file=${path}`],
  })),
  ...['grub/grub.cfg', 'grub/grub.cfg-01-52-54-00-12-34-57'].map((file) => ({
    file,
    program: 'grub-script-check',
    words: (path: string) => [path],
  })),
  {
    file: 'servers/nginx.conf',
    program: 'nginx',
    words: (path) => ['-t', '-c', path, '-g', `pid ${scratch}/nginx.pid; error_log stderr;`],
  },
  { file: 'servers/dhcpd.conf', program: 'dhcpd', words: (path) => ['-t', '-cf', path] },
  { file: 'servers/kea-dhcp4.json', program: 'kea-dhcp4', words: (path) => ['-t', path] },
]

const environment = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` }
const isHere = (program: string) =>
  (environment.PATH ?? '').split(':').some((directory) => existsSync(join(directory, program)))

describe.each(checkers)('$file', ({ file, program, words }) => {
  it.runIf(isHere(program)).each([
    ['all that there is', {}],
    ['the lease handed over', { ip: 'lease' } as const],
    ['next to nothing', { machines: [], url: undefined, nfs: undefined, words: [], ip: 'lease' } as const],
    ['a path with a space', { directory: '/srv/a b' } as const],
  ])(`is read by ${program} with %s`, (_, changes) => {
    const written = text(file, changes)
    // Next to nothing has no machine.
    if (written.startsWith('there is no ')) return
    const path = join(scratch, file.replaceAll('/', '-'))
    writeFileSync(path, written)
    const { status, stderr } = spawnSync(program, words(path), { encoding: 'utf8', env: environment })
    expect(status, stderr).toBe(0)
  })
})

describe('the command lines for explain', () => {
  it('are what the loaders hand over, of each machine', () => {
    expect(text('servers/command-line')).toMatch(/^ip=dhcp .*\n$/)
    expect(text('pxelinux.cfg/default')).toContain(`append ${text('servers/command-line').trim()}\n`)
  })
})
