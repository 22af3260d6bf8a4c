/** `diskless explain` without asking anybody: the story, the words, what Alpine's init does otherwise. */

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { zstdCompressSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { type Entry, writeCpio } from '../../../build/cpio.ts'
import { packageRoot } from '../../../build/paths.ts'
import { parameterRows } from '../../../src/boot/parameters.ts'
import { UsageError } from '../../../src/cli/command.ts'
import { readings } from '../../../src/cli/explain/alpine.ts'
import { readBootInitrd } from '../../../src/cli/explain/boot-initrd.ts'
import { explainCommandLine } from '../../../src/cli/explain/explanation.ts'
import type { MachineFacts } from '../../../src/cli/explain/facts.ts'
import { explanationSheet } from '../../../src/cli/explain/sheet.ts'
import { asOneLine, explainCommand, fails, machineOf } from '../../../src/cli/explain.ts'
import { printSheet } from '../../../src/cli/sheet.ts'
import { randomNumbers } from '../../support/random.ts'
import { key } from '../../support/scenario.ts'
import { temporaryDirectory } from '../build/synthetic.ts'

const nobody: MachineFacts = {
  mac: undefined,
  uuid: undefined,
  cards: [],
  memory: undefined,
  architecture: 'x86_64',
  initrd: undefined,
}
const plainPen = { width: 100, style: (_: string, text: string) => text }
const explain = (text: string, machine: Partial<MachineFacts> = {}) =>
  explainCommandLine(text, { ...nobody, ...machine })
const shown = (text: string, machine: Partial<MachineFacts> = {}) =>
  printSheet(
    explanationSheet(explain(text, machine), undefined, { ...nobody, ...machine }, plainPen),
    plainPen,
  )
const phases = (text: string) => explain(text).steps.map(({ phase }) => phase)
const step = (text: string, phase: string, machine: Partial<MachineFacts> = {}) => {
  const { steps, onFailure } = explain(text, machine)
  const found = [...steps, ...(onFailure === undefined ? [] : [onFailure])].find(
    (each) => each.phase === phase,
  )
  if (found === undefined) throw new Error(`${text} has no ${phase}`)
  return { ...found, text: found.says.join(' ') }
}

const netboot =
  'modules=loop,squashfs quiet nomodeset console=tty0 console=ttyS0,115200 ip=dhcp apkovl=http://boot/{MAC}.apkovl.tar.gz alpine_repo=http://a/v3.19/main pkgs=chrony modloop=http://boot/modloop'

describe('the story', () => {
  it('is that of main.ts, in its order', () => {
    expect(phases(netboot)).toEqual([
      ...[
        'machine',
        'drivers',
        'network',
        'clock',
        'root',
        'overlay',
        'index',
        'packages',
        'modloop',
        'handoff',
      ],
    ])
    expect(phases('apkovl=/dev/sda1:/x.apkovl.tar.gz diskless.cache=LABEL=cache keymap=de')).toEqual([
      ...[
        'machine',
        'drivers',
        'keymap',
        'network',
        'cache',
        'root',
        'media',
        'overlay',
        'index',
        'packages',
      ],
      ...['modloop', 'commit', 'handoff'],
    ])
    expect(phases('root=nfs:10.0.0.1:/srv')).toEqual([
      'machine',
      'drivers',
      'network',
      'clock',
      'root',
      'handoff',
    ])
  })

  it('names no phase that init does not have', () => {
    const main = readFileSync(join(packageRoot, 'src/init/main.ts'), 'utf8')
    const known = new Set([...main.matchAll(/(?:phase|once)\(\s*'(\w+)'/g)].map(([, name]) => name))
    const lines = [
      netboot,
      'diskless.cache=sda1 keymap=de diskless.lock=http://a/l',
      'diskless.modules=keep',
      'root=sda1',
    ]
    for (const line of lines) {
      const { steps } = explain(line)
      for (const { phase, after } of steps) {
        expect(known).toContain(phase)
        for (const before of after) expect(steps.map((each) => each.phase)).toContain(before)
      }
    }
  })

  it('says which parameter decides, and which default was taken', () => {
    const { because } = step('ip=dhcp diskless.carrier_timeout=90', 'network')
    expect(because).toContainEqual({ parameter: 'ip', given: ['dhcp'] })
    expect(because).toContainEqual({ parameter: 'diskless.carrier_timeout', given: ['90'] })
    expect(because).toContainEqual({ parameter: 'diskless.dhcp_timeout', taken: '120' })
    expect(shown('ip=dhcp')).toMatch(/diskless\.dhcp_timeout= not given: 120/)
  })

  it.each([
    [
      'ip=10.0.0.5::10.0.0.1:255.255.255.0::eth0',
      /Takes eth0: sets 10.0.0.5\/24, by the gateway 10.0.0.1; nobody/,
    ],
    [
      'ip=dhcp BOOTIF=01-52-54-00-12-34-56',
      /Takes the card 52:54:00:12:34:56, which the firmware booted from/,
    ],
    ['ip=auto6', /does what IPv6 routers advertise/],
    ['ip=dhcp vlan=vlan5:eth0', /Makes the VLAN vlan5, number 5, on eth0\. Takes vlan5:/],
    [
      'ip=dhcp bond=bond0:eth0,eth1:mode=active-backup',
      /Makes the bond bond0 of eth0 and eth1 \(mode=active-backup.*Takes bond0/,
    ],
    [
      'ip=dhcp alpine_repo=http://mirror:8080/x',
      /Of several cards the first counts through which mirror:8080/,
    ],
    [
      'ip=dhcp rd.route=10.9.0.0/16:10.0.0.2 nameserver=10.0.0.3',
      /Adds the route 10.9.0.0\/16 by 10.0.0.2.*Asks 10.0.0.3/,
    ],
    [
      'ip=dhcp diskless.report=http://u:p@boot:8080/',
      /posts what happens.*to http:\/\/u:\*\*\*@boot:8080\/; nothing waits/,
    ],
    ['ip=off', /Leaves the network alone/],
  ])('of a network: %s', (text, says) => expect(step(text, 'network').text).toMatch(says))

  it.each([
    ['root=nfs:10.0.0.1:/srv/root,nolock', /Mounts 10.0.0.1:\/srv\/root read-only by NFS .*overlayfs/],
    ['root=dhcp', /Mounts the root path that the lease names/],
    ['root=nfs:10.0.0.1:/srv diskless.nfsroot=links', /tmpfs of symlinks/],
    ['root=live:http://a/img', /Takes the image by the network: http:\/\/a\/img/],
    [
      'root=/dev/ram0 loop=/image.squashfs',
      /Takes the image \/image.squashfs of the initrd, else of the first medium/,
    ],
    ['root=live:/image.squashfs', /of the initrd\. It is in memory already/],
    ['root=LABEL=sys rw rootwait', /Waits for LABEL=sys, for ever.*, rw/],
    ['root=/dev/sda1 overlaytmpfs', /up to 30 s.*with a tmpfs above it/],
    ['rootflags=size=2G', /a tmpfs with size=2G/],
    ['single', /Opens a shell first/],
  ])('of a root: %s', (text, says) => expect(step(text, 'root').text).toMatch(says))

  it.each([
    ['apkovl=http://a/x.tar.gz|http://b/x.tar.gz', /http:\/\/a\/x.tar.gz or, failing that, http:\/\/b/],
    [
      'apkovl=http://a/x.apkovl.tar.gz.aes-256-cbc',
      /It is encrypted: its password is asked for on the console/,
    ],
    ['apkovl=http://a/x diskless.apkovl=optional', /the boot goes on without/],
    ['apkovl=sda1:/x.apkovl.tar.gz', /Unpacks the overlay \/x.apkovl.tar.gz of \/dev\/sda1/],
    ['quiet', /Unpacks the overlay that a medium has/],
  ])('of an overlay: %s', (text, says) => expect(step(text, 'overlay').text).toMatch(says))

  it.each([
    ['quiet', /Then a shell, and where nobody types for 2 minutes, another try/],
    ['panic=5', /Then a reboot after 5 s/],
    ['diskless.onfail=retry', /Then another try after 10 s/],
    ['diskless.idle=0', /it stays until somebody leaves it/],
  ])('of a failure: %s', (text, says) => expect(step(text, 'on failure').text).toMatch(says))

  it('fills in what is known of the machine, and says what is not', () => {
    const text = 'apkovl=http://a/{MAC}/{UUID}.tar.gz'
    expect(step(text, 'overlay', { mac: '52:54:00:12:34:56' }).text).toContain(
      'http://a/52:54:00:12:34:56/{UUID}.tar.gz',
    )
    expect(
      explain(text)
        .findings.map((finding) => finding.text)
        .join(),
    ).toMatch(/--mac.*--uuid/)
    expect(
      explain(text, { mac: 'a', uuid: 'b' })
        .findings.map(({ text }) => text)
        .join(),
    ).not.toMatch(/--mac/)
  })

  it('tells no password, neither in words nor in data', () => {
    const text =
      'apkovl=http://u:hunter2@a/x?token=hunter2 alpine_repo=http://u:hunter2@a/r|http://u:hunter2@b/r http_proxy=http://u:hunter2@p:3128 modloop=http://u:hunter2@m/m diskless.lock=http://u:hunter2@l/l ssh_key=http://u:hunter2@k/k'
    expect(shown(text)).not.toContain('hunter2')
    const { plan, ...rest } = explain(text)
    expect(plan).toBeDefined()
    expect(JSON.stringify(rest)).not.toContain('hunter2')
  })

  it('fits a hundred columns', () => {
    for (const line of [netboot, 'root=nfs:10.0.0.1:/srv', 'nbd=1:2', `apkovl=http://a/${'x'.repeat(30)}`]) {
      for (const text of shown(line).split('\n')) expect([...text].length).toBeLessThanOrEqual(100)
    }
  })
})

describe('the words of the command line', () => {
  const states = (text: string) => explain(text).words.map(({ word, state }) => `${word} ${state}`)

  it('are obeyed, given again, passed on, unknown or refused', () => {
    expect(
      states('ip=off ip=dhcp init=/a init=/b s nomodeset usbdelay=5 apkvol=http://x/y diskless.colour=1'),
    ).toEqual([
      ...[
        'ip=off obeyed',
        'ip=dhcp obeyed',
        'init=/a overridden',
        'init=/b obeyed',
        's obeyed',
        'nomodeset passed',
      ],
      ...['usbdelay=5 passed', 'apkvol=http://x/y unknown', 'diskless.colour=1 unknown'],
    ])
    expect(explain('apkvol=http://x/y').words[0]?.note).toBe('did you mean apkovl=?')
    expect(shown('apkvol=http://x/y')).toMatch(/\? {2}apkvol=http:\/\/x\/y {2}did you mean apkovl=\?/)
  })

  it('that init refuses stop it there, and the exit status says so', () => {
    const refused = explain('nbd=10.0.0.1:1 cryptroot=/dev/sda2 quiet')
    expect(refused.words.map(({ state }) => state)).toEqual(['refused', 'refused', 'obeyed'])
    expect(refused.refused?.advice).toHaveLength(2)
    expect(fails(refused, undefined)).toBe(true)
    expect(shown('nbd=10.0.0.1:1')).toMatch(/^This command line is refused\n/)
    expect(shown('nbd=10.0.0.1:1')).toMatch(/What Alpine’s own init would do otherwise\n +nbd +Attaches/)
    expect(fails(explain('diskless.idle=soon'), undefined)).toBe(true)
    expect(fails(explain(netboot), undefined)).toBe(false)
  })

  it('that contradict each other fail', () => {
    const off = explain('ip=off apkovl=http://a/x')
    expect(off.findings).toContainEqual({
      state: 'fails',
      text: 'ip=off leaves the network alone, and http://a/x comes by it',
    })
    expect(fails(off, undefined)).toBe(true)
    expect(explain('apkovl=ftp://a/x').findings[0]).toMatchObject({
      state: 'fails',
      text: expect.stringMatching(/ftp:\/\/ is refused/),
    })
  })
})

describe('any command line', () => {
  it('is explained or refused in words', () => {
    const chance = randomNumbers(7)
    const pick = <T>(from: readonly T[], other: T): T => from[Math.floor(chance() * from.length)] ?? other
    const names = [...parameterRows().map(([name]) => name), 'apkvol', 'nomodeset', 's', 'initrd', '', '"']
    const values = [
      ...[
        '',
        'yes',
        'no',
        'dhcp',
        '/x',
        '/dev/sda1',
        'LABEL=a',
        'http://a/x',
        'https://u:p@[::1]:8/{MAC}',
        'nfs:a:/b',
      ],
      ...[
        'live:nfs:a:/b/c',
        'a:b:c:d:e:f:g',
        'eth0:dhcp',
        '10.0.0.5::10.0.0.1:24::eth0',
        '"a b"',
        '|',
        ',,',
        '-1',
        '9e9',
      ],
      ...[
        'bond0:eth0,eth1',
        'vlan5:eth0',
        '10.0.0.0/8:10.0.0.1',
        'http://',
        'tftp://a/b|http://c/d',
        '\u001b[2J',
      ],
    ]
    for (let n = 0; n < 3000; n++) {
      const words = Array.from(
        { length: 1 + Math.floor(chance() * 6) },
        () => `${pick(names, 'ip')}=${pick(values, '')}`,
      )
      const text = words.join(' ')
      const { refused, steps } = explain(text)
      expect([text, refused === undefined ? steps.length > 3 : refused.why.length > 5]).toEqual([text, true])
      if (n % 10 === 0) expect(shown(text)).not.toContain('\u001b')
    }
  })
})

describe('what Alpine’s init does otherwise', () => {
  // The words that initramfs-init reads, of mkinitfs 3.13.
  const read =
    `BOOTIF alpine_repo aoe aoe_iflist aoe_mtu apkovl autodetect_serial blacklist bootstrap_usr_merged chart console
    cryptdiscards cryptdm cryptheader cryptkey cryptoffset cryptroot dasd debug_init ds init init_args ip keep_apk_new
    memdisk modules nbd overlaytmpfs overlaytmpfsflags panic pkgs quiet resume resume_offset root root_size rootflags
    rootfstype s390x_net single splash ssh_key tinycloud uevent_buf_size usbdelay usrflags wireguard zfcp`.split(
      /\s+/,
    )
  const rows = new Map<string, unknown>(Object.entries(readings))

  it('is told for each parameter that is not ours alone', () => {
    const others = parameterRows().flatMap(([name]) => (name.startsWith('diskless.') ? [] : [name]))
    expect([...rows.keys()].sort()).toEqual([...others].sort())
  })

  it('passes over none that Alpine’s init reads, and reads none that it passes over', () => {
    for (const name of read) expect([name, rows.get(name)]).not.toEqual([name, 'unread'])
    const elsewhere = [
      'http_proxy',
      'https_proxy',
      'no_proxy',
      'modloop',
      'modloop_verify',
      'alpine_dev',
      'ovl_dev',
      'rw',
      'keymap',
      'zfs_force',
    ]
    for (const [name, reading] of rows) {
      if (!read.includes(name) && !elsewhere.includes(name)) expect([name, reading]).toEqual([name, 'unread'])
    }
  })

  it('has words for what diskless refuses, as Alpine’s init does something with it', () => {
    for (const [name, { verdict }] of parameterRows()) {
      if (typeof verdict === 'object' && 'refused' in verdict)
        expect([name, typeof rows.get(name)]).toEqual([name, 'function'])
    }
  })

  it.each([
    ['ip=on', 'ip', /no network comes up/],
    ['ip=auto6', 'ip', /no network comes up/],
    ['BOOTIF=01-AA-bb-cc-dd-ee-ff ip=dhcp', 'BOOTIF', /capital letters/],
    ['apkovl=http://a/{MAC}-{MAC}', 'apkovl', /only the first \{MAC\}/],
    ['apkovl=tftp://a/x', 'apkovl', /no URL to it/],
    ['apkovl=http://a/x|http://b/x', 'apkovl', /one URL to wget/],
    ['root=nfs:1:/x', 'root', /waited for as a disk/],
    ['root=sda1 rootflags=noatime', 'rootflags', undefined],
    ['root=/dev/sda1 rootflags=noatime', 'rootflags', /in place of ro/],
    ['vlan=vlan5:eth0 ip=dhcp', 'vlan', /Passes over it/],
    ['diskless.idle=5', 'diskless.idle', /Passes over it/],
    ['quiet', 'quiet', undefined],
    ['root=/dev/sda1 rw', 'rw', /mounted read-only/],
    ['root=nfs:1:/x rw', 'rw', undefined],
    ['root=nfs:1:/x BOOTIF=01-AA-bb-cc-dd-ee-ff', 'BOOTIF', /as with any root=/],
    ['root=nfs:1:/x', 'the lease', undefined],
    ['ip=dhcp', 'ip', undefined],
    ['ip=dhcp', 'the lease', /Nobody renews it/],
    ['ip=1.2.3.4::1.2.3.1:24', 'the lease', undefined],
    ['apkovl=https://a/x', 'the clock', /a clock that may be wrong/],
    ['apkovl=http://a/x', 'the clock', undefined],
  ] as const)('with %s, about %s', (text, about, says) => {
    const found = explain(text).alpine.find((difference) => difference.about === about)
    if (says === undefined) expect(found).toBeUndefined()
    else expect(found?.alpine).toMatch(says)
  })
})

describe('an initrd', () => {
  const file = (text: string): Entry => ({ kind: 'file', mode: 0o644, bytes: Buffer.from(text) })
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(4n)
  const init = Buffer.concat([Buffer.from('hostcode'), length, Buffer.from('DISKLSBC')])
  const write = (name: string, more: Readonly<Record<string, Entry>>) => {
    const path = join(temporaryDirectory(), name)
    const tree = new Map<string, Entry>([
      ['init', { kind: 'file', mode: 0o755, bytes: init }],
      [
        'etc/diskless/config.json',
        file('{"buildTime":1760000000,"version":"1","modloop":{"sha256":"a","size":7}}'),
      ],
      ...Object.entries(more),
    ])
    writeFileSync(path, zstdCompressSync(writeCpio(tree)))
    return path
  }

  it('says which driver a card gets, which firmware it lacks, and what cannot be trusted', async () => {
    const initrd = await readBootInitrd(
      write('initrd', {
        [`etc/apk/keys/${key.name}`]: file(key.publicPem),
        'lib/modules/6.1.0/kernel/net/e1000.ko': file(''),
        'lib/modules/6.1.0/modules.alias': file('alias pci:v00008086d0000100E* e1000\nalias [ x\n'),
        'etc/diskless/missing-firmware': file('e1000 e1000/fw.bin\n'),
      }),
    )
    expect(initrd).toMatchObject({ kernel: '6.1.0', builtAt: 1_760_000_000_000, modloop: { size: 7 } })
    const cards = ['pci:v00008086d0000100Esv0', 'e1000', 'r8169']
    const text = step('apkovl=https://a/x', 'drivers', { initrd, cards }).text
    expect(text).toMatch(
      /pci:v00008086d0000100Esv0: by e1000, which may ask for firmware that the initrd lacks \(e1000\/fw.bin\)/,
    )
    expect(text).toMatch(/r8169: no module of the initrd drives it/)
    const findings = explain('apkovl=https://a/x keymap=de modules=zz', { initrd, cards }).findings
    const of = (state: string) =>
      findings.flatMap((each) => (each.state === state ? [each.text] : [])).join('\n')
    expect(of('fails')).toMatch(/trusts no certificate/)
    expect(of('doubt')).toMatch(/no keymap de[\s\S]*modules=zz[\s\S]*drives r8169/)
    expect(of('good')).toMatch(/may be signed by test@diskless/)
    expect(explain('root=nfs:1.2.3.4:/x', { initrd }).findings).toContainEqual(
      expect.objectContaining({ state: 'fails', text: expect.stringMatching(/no driver of NFS/) }),
    )
    expect(explain('root=live:/i.squashfs', { initrd }).findings).toContainEqual(
      expect.objectContaining({ state: 'fails', text: expect.stringMatching(/has no \/i.squashfs/) }),
    )
  })

  it('of somebody else is refused', async () => {
    const path = write('other', { init: file('#!/bin/sh\nVERSION=3.13\n# Alpine Init\n') })
    await expect(readBootInitrd(path)).rejects.toThrow(
      /no initrd of diskless: its init is Alpine’s mkinitfs 3.13/,
    )
  })
})

describe('the command', () => {
  it('takes what people write of a machine, and refuses what is none', async () => {
    expect(
      await machineOf({ mac: '52-54-00-AB-CD-EF', cards: ['e1000,r8169', 'pci:v1d2'], memory: '2G' }),
    ).toMatchObject({
      mac: '52:54:00:ab:cd:ef',
      cards: ['e1000', 'r8169', 'pci:v1d2'],
      memory: 2 ** 31,
    })
    for (const wrong of [{ mac: 'eth0' }, { uuid: '1' }, { memory: 'much' }]) {
      await expect(machineOf(wrong)).rejects.toThrow(UsageError)
    }
  })

  it('ends with 1 for what init would refuse', async () => {
    expect(await explainCommand.run(['--json', 'ip=dhcp', 'quiet'])).toBe(0)
    expect(await explainCommand.run(['--json', 'nbd=1:2'])).toBe(1)
    expect(asOneLine(['ip=dhcp', 'init_args=a b'])).toBe('ip=dhcp "init_args=a b"')
    expect(asOneLine(['ip=dhcp init_args="a b"'])).toBe('ip=dhcp init_args="a b"')
    await expect(explainCommand.run([])).rejects.toThrow(/WORD is missing/)
  })
})
