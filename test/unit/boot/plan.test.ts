import { describe, expect, it } from 'vitest'
import { parseCommandLine } from '../../../src/boot/command-line.ts'
import { fillIn, type Identity } from '../../../src/boot/identity.ts'
import { parameterRows } from '../../../src/boot/parameters.ts'
import { makePlan } from '../../../src/boot/plan.ts'
import { BootError } from '../../../src/sys/index.ts'

const machine: Identity = {
  uuid: '6c1f3f4e-0000-4000-8000-525400123456',
  product: 'Test Machine',
  kernel: '6.1.0',
  architecture: 'x86_64',
  memoryAvailable: 512 << 20,
  clock: undefined,
}
const plan = (text: string) => makePlan(parseCommandLine(text), machine)
const failure = (text: string): BootError => {
  try {
    plan(text)
  } catch (error) {
    if (error instanceof BootError) return error
    throw error
  }
  throw new Error(`${text} made a plan`)
}

describe('the plan', () => {
  it('of Alpine’s netboot command line', () => {
    const made = plan(
      'modules=loop,squashfs quiet nomodeset console=tty0 console=ttyS0,115200 ip=dhcp ' +
        'apkovl=http://boot/{MAC}.apkovl.tar.gz alpine_repo=http://a/v3.19/main,http://b/v3.19/main pkgs=chrony,openssh',
    )
    expect(made).toMatchObject({
      quiet: true,
      consoles: ['tty0', 'ttyS0'],
      modules: ['loop', 'squashfs'],
      network: { kind: 'join', bootInterface: undefined },
      root: {
        overlay: { kind: 'url', urls: ['http://boot/{MAC}.apkovl.tar.gz'], optional: false },
        repositories: ['http://a/v3.19/main', 'http://b/v3.19/main'],
        packages: ['chrony', 'openssh'],
      },
      init: { path: '/sbin/init', arguments: [] },
      onFailure: { action: 'shell', idleMs: 120_000 },
      warnings: [],
    })
  })
  it('joins the network when a source needs it, and not otherwise', () => {
    expect(plan('apkovl=http://a/b.tar.gz').network.kind).toBe('join')
    expect(plan('alpine_repo=https://a/b').network.kind).toBe('join')
    expect(plan('quiet').network.kind).toBe('none')
    expect(plan('ip=off apkovl=http://a/b.tar.gz').network.kind).toBe('none')
  })
  it('reboots with panic=, unless told otherwise', () => {
    expect(plan('panic=5').onFailure).toMatchObject({ action: 'reboot', delayMs: 5000 })
    expect(plan('panic=5 diskless.onfail=shell').onFailure.action).toBe('shell')
    expect(plan('panic=-1').onFailure).toMatchObject({ action: 'reboot', delayMs: 0 })
  })
  it('takes Gentoo’s init=/linuxrc with root=/dev/ram0 for /sbin/init, and only that', () => {
    expect(plan('root=/dev/ram0 init=/linuxrc').init.path).toBe('/sbin/init')
    expect(plan('init=/linuxrc').init.path).toBe('/linuxrc')
  })
  it('reads BOOTIF in either case and with either separator', () => {
    const network = { bootInterface: '52:54:00:ab:cd:ef' }
    expect(plan('ip=dhcp BOOTIF=01-52-54-00-AB-CD-EF').network).toMatchObject(network)
    expect(plan('ip=dhcp bootif=01:52:54:00:ab:cd:ef').network).toMatchObject(network)
    expect(failure('ip=dhcp BOOTIF=eth0').message).toContain('BOOTIF=eth0')
  })
  it('says aloud what is a typo', () => {
    expect(plan('apkvol=http://a/b quiet initrd=initrd root=/dev/ram0').warnings).toEqual([
      'apkvol is not a parameter: did you mean apkovl?',
    ])
    expect(plan('diskless.onfial=retry').warnings).toEqual([
      'diskless.onfial is not a parameter: did you mean diskless.onfail?',
    ])
    expect(plan('diskless.colour=blue').warnings).toEqual(['diskless.colour is not a parameter of diskless'])
  })
  it('names every refused parameter at once, each with its reason', () => {
    const error = failure('nbd=10.0.0.1:1 cryptroot=/dev/sda2 quiet')
    expect(error.message).toContain('nbd=10.0.0.1:1, cryptroot=/dev/sda2')
    expect(error.advice).toHaveLength(2)
  })
  it.each(['diskless.idle=soon', 'apkovl=overlay.tar.gz', 'apkovl=http://a/b diskless.apkovl_sha256=abc'])(
    'refuses %s with words',
    (text) => expect(failure(text).message.length).toBeGreaterThan(20),
  )
})

describe('the verdicts', () => {
  // Every word that initramfs-init of mkinitfs 3.13 and OpenRC's modloop service read, and those the seeds use.
  const alpines =
    `BOOTIF alpine_repo aoe aoe_iflist aoe_mtu apkovl autodetect_serial blacklist bootstrap_usr_merged chart console
    cryptdiscards cryptdm cryptheader cryptkey cryptoffset cryptroot dasd debug_init ds init init_args ip keep_apk_new
    memdisk modules nbd overlaytmpfs overlaytmpfsflags panic pkgs quiet resume resume_offset root root_size rootflags
    rootfstype s390x_net single splash ssh_key tinycloud uevent_buf_size usbdelay usrflags wireguard zfcp
    modloop modloop_verify alpine_dev ovl_dev http_proxy https_proxy no_proxy`.split(/\s+/)
  const rows = new Map(parameterRows())
  const known = new Map([...rows].map(([name, parameter]): [string, typeof parameter] => [name, parameter]))

  it.each(alpines)('%s has one', (name) => expect(known.has(name)).toBe(true))
  it.each(
    [...known]
      .filter(([, { verdict }]) => typeof verdict === 'object' && 'refused' in verdict)
      .map(([name]) => name),
  )('%s=x is refused by name', (name) => expect(failure(`${name}=x`).message).toContain(`${name}=x`))
})

describe('{MAC} and {UUID}', () => {
  it('are replaced wherever they stand', () => {
    expect(fillIn('http://a/{MAC}/{UUID}/{MAC}', { mac: '52:54:00:12:34:56', uuid: 'u' })).toBe(
      'http://a/52:54:00:12:34:56/u/52:54:00:12:34:56',
    )
  })
  it('are an error where the machine has none', () => {
    expect(() => fillIn('http://a/{UUID}', { mac: undefined, uuid: undefined })).toThrow(/asks for \{UUID\}/)
  })
})
