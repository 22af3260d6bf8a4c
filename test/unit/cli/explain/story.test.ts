/** `diskless explain` without asking anybody: the story, and whose each word is. */

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { packageRoot } from '../../../../build/paths.ts'
import { parameterRows } from '../../../../src/boot/parameters.ts'
import { fails } from '../../../../src/cli/explain.ts'
import { randomNumbers } from '../../../support/random.ts'
import { explain, netboot, phases, shown, step } from './told.ts'

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

  it('tells who has to know the names of servers', () => {
    const asks = (text: string) => step(text, 'network').asks.map(({ whom, what }) => `${whom}: ${what}`)
    expect(asks('apkovl=http://boot.lan/x|http://10.0.0.1/x alpine_repo=http://mirror/x')).toContain(
      'resolvers of the lease: the addresses of boot.lan and mirror',
    )
    expect(asks('apkovl=http://127.0.0.1/x').join()).not.toMatch(/resolvers of/)
    expect(explain('apkovl=http://127.0.0.1/x').findings[0]?.text).toMatch(/127.0.0.1 is the machine itself/)
    expect(asks('root=nfs:10.0.0.1:/x').join()).not.toMatch(/resolvers of/)
    expect(asks('root=nfs:files:/x ip=10.0.0.5::10.0.0.1:24').join()).toMatch(
      /nameserver=: the address of files/,
    )
  })

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
