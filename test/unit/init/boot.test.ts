import { describe, expect, it } from 'vitest'
import { makeOverlay } from '../../../scripts/repository/overlay.ts'
import { file } from '../../../scripts/repository/tar.ts'
import { run } from '../../../src/init/run.ts'
import type { Timeline } from '../../../src/init/timeline.ts'
import {
  type FakeMachine,
  fakeMachine,
  type MachineOptions,
  type Server,
} from '../../support/machine/index.ts'
import {
  commandLine,
  indexUrl,
  makeIndex,
  networkBoot,
  overlay,
  overlayUrl,
  packageOf,
  packages,
  packageUrl,
  servers,
  stranger,
  tamperedIndex,
} from '../../support/scenario.ts'

/** Until init hands over or reboots. */
async function bootOn(options: MachineOptions) {
  const machine = fakeMachine(options)
  void run(machine)
  const ending = await machine.run(machine.supervisor.ended)
  return { machine, ending, console: machine.consoles.text() }
}

/** Resolves when the emergency shell is open. */
async function shellOf(machine: FakeMachine): Promise<void> {
  const ended = machine.supervisor.ended.then(({ kind }) => {
    throw new Error(`it ended: ${kind}`)
  })
  const opened = async () => {
    while (machine.processes.sessions.length === 0) await machine.clock.sleep(100)
  }
  await Promise.race([opened(), ended])
}

/** Until the emergency shell is open; what the console says until then. */
async function failOn(change: MachineOptions): Promise<{ machine: FakeMachine; console: string }> {
  const machine = fakeMachine(networkBoot(change))
  void run(machine)
  await machine.run(shellOf(machine))
  return { machine, console: machine.consoles.text() }
}

const read = async (machine: FakeMachine, path: string) => {
  const place = await machine.files.resolveIn('/sysroot', path)
  return place === undefined ? undefined : machine.files.readText(place)
}

describe('a boot into RAM', () => {
  it('hands over a system with its overlay, packages, keys and logins', async () => {
    const { machine, ending, console } = await bootOn(networkBoot())
    expect(ending).toEqual({
      kind: 'handoff',
      handoff: {
        ...{ root: '/sysroot', init: '/sbin/init', arguments: [], console: '/dev/ttyS0' },
        keeper: expect.stringContaining('"whenLost":"remove"'),
      },
    })
    expect(await read(machine, '/etc/hostname')).toBe('guest\n')
    expect(await read(machine, '/etc/motd')).toContain('lives in memory')
    expect(await read(machine, '/etc/apk/world')).toBe('alpine-base\nbusybox\n')
    expect(await read(machine, '/etc/apk/repositories')).toBe('http://10.0.2.2/apks\n')
    expect(await read(machine, '/etc/apk/keys/test@diskless-1.rsa.pub')).toContain('PUBLIC KEY')
    expect(await read(machine, '/etc/inittab')).toContain('ttyS0::respawn:/sbin/getty -L 0 ttyS0 vt100')
    expect(await read(machine, '/etc/resolv.conf')).toContain('nameserver 10.0.2.3')
    expect(await read(machine, '/lib/apk/db/installed')).toContain('P:busybox')
    // sha1('http://10.0.2.2/apks')
    expect(await machine.files.resolveIn('/sysroot', '/var/cache/apk/APKINDEX.e62ba318.tar.gz')).toBeDefined()
    expect(machine.processes.ran.map(({ argv }) => argv[0])).toEqual([
      'lib/apk/exec/busybox-1.0-r0.post-install',
    ])
    for (const phase of [
      'machine',
      'drivers',
      'network',
      'root',
      'overlay',
      'index',
      'packages',
      'handoff',
    ]) {
      expect(console).toMatch(new RegExp(`^  ${phase} +[0-9.]+ s`, 'm'))
    }
  })

  it('leaves its timeline in the new root’s /run/diskless', async () => {
    const { machine } = await bootOn(networkBoot())
    const timeline: Timeline = JSON.parse((await read(machine, '/run/diskless/timeline.json')) ?? '')
    expect(timeline.phases.map(({ name, state }) => `${name} ${state}`)).toContain('packages done')
    expect(timeline.attempts).toBe(1)
  })

  it('fetches the index while the overlay still comes', async () => {
    const { machine } = await bootOn(networkBoot())
    const timeline: Timeline = JSON.parse((await read(machine, '/run/diskless/timeline.json')) ?? '')
    const span = (name: string) => timeline.phases.find((phase) => phase.name === name)
    expect(span('index')?.start).toBeLessThanOrEqual(span('overlay')?.start ?? 0)
  })

  it('says nothing with quiet', async () => {
    const { console } = await bootOn(networkBoot({ commandLine: `${commandLine} quiet` }))
    expect(console).toBe('')
  })

  it('never lets a password be seen', async () => {
    const { machine, console } = await bootOn(
      networkBoot({ commandLine: commandLine.replace('http://10', 'http://joe:geheim@10') }),
    )
    expect(console).not.toContain('geheim')
    expect(await read(machine, '/run/diskless/timeline.json')).not.toContain('geheim')
    expect(await read(machine, '/run/diskless/log')).not.toContain('geheim')
  })
})

describe('where the system comes from', () => {
  it('several repositories, each asked', async () => {
    const second = 'http://10.0.2.9/more'
    const extra = packageOf({ name: 'extra' })
    const { machine, ending } = await bootOn(
      networkBoot({
        commandLine: `${commandLine},${second}/x86_64/ pkgs=extra`,
        servers: servers({
          [`${second}/x86_64/APKINDEX.tar.gz`]: { body: makeIndex([extra]) },
          [`${second}/x86_64/extra-1.0-r0.apk`]: { body: extra.bytes },
        }),
      }),
    )
    expect(ending.kind).toBe('handoff')
    expect(await read(machine, '/lib/apk/db/installed')).toContain('P:extra')
    expect(await read(machine, '/etc/apk/repositories')).toBe(`http://10.0.2.2/apks\n${second}/x86_64/\n`)
  })

  it('local media with .boot_repository, without any network', async () => {
    const files = Object.fromEntries(
      packages.map(({ spec, bytes }) => [`/boot/apks/x86_64/${spec.name}-1.0-r0.apk`, bytes]),
    )
    const { machine, ending } = await bootOn(
      networkBoot({
        commandLine: 'console=ttyS0',
        devices: [
          { path: 'devices/pci0000:00/0000:00:05.0/virtio1/block/vda', subsystem: 'block', devname: 'vda' },
        ],
        media: {
          '/dev/vda': {
            type: 'ext4',
            files: {
              ...files,
              '/boot/apks/.boot_repository': '',
              '/boot/apks/x86_64/APKINDEX.tar.gz': makeIndex(),
            },
          },
        },
      }),
    )
    expect(ending.kind).toBe('handoff')
    expect(await read(machine, '/etc/apk/repositories')).toBe('/media/vda/boot/apks\n')
    // No overlay: Alpine's default services.
    expect(await machine.files.readLink('/sysroot/etc/runlevels/default/firstboot')).toBe(
      '/etc/init.d/firstboot',
    )
    expect(machine.servers.requests).toHaveLength(0)
  })

  it('no repository at all is said, with what to do', async () => {
    const { console } = await failOn({ commandLine: 'console=ttyS0' })
    expect(console).toMatch(/there is no repository to install packages from/)
    expect(console).toMatch(/alpine_repo=/)
  })

  it('an overlay whose fstab says how large the root may be', async () => {
    const sized = makeOverlay({
      hostname: 'guest',
      world: [],
      runlevels: {},
      entries: [file('etc/fstab', 'tmpfs / tmpfs size=64M,mode=0755 0 0\n')],
    })
    const { machine } = await bootOn(networkBoot({ servers: servers({ [overlayUrl]: { body: sized } }) }))
    const root = (await machine.mounts.list()).find(({ target }) => target === '/sysroot')
    expect(root?.options).toContain('size=64M')
  })

  it('an overlay marked optional may be missing', async () => {
    const { ending, console } = await bootOn(
      networkBoot({
        commandLine: `${commandLine} diskless.apkovl=optional`,
        servers: servers({ [overlayUrl]: { status: 404 } }),
      }),
    )
    expect(ending.kind).toBe('handoff')
    expect(console).toMatch(/warning: the overlay, marked optional, is missing: .*404/)
  })

  it('an overlay with another digest than the command line’s is refused', async () => {
    const { console } = await failOn({
      commandLine: `${commandLine} diskless.apkovl_sha256=${'0'.repeat(64)}`,
    })
    expect(console).toMatch(/its sha256 is [0-9a-f]{64}, not 0{64}/)
  })
})

describe('a failed boot', () => {
  const gone = servers({ [overlayUrl]: { status: 404 } })

  /** An overlay that is not there for so many requests. */
  function missing(times: number): Record<string, Server> {
    return { [overlayUrl]: ({ attempt }) => (attempt <= times ? { status: 404 } : { body: overlay }) }
  }

  it('says what was tried, what came back and what to do, then offers a shell', async () => {
    const { machine, console } = await failOn({ servers: gone })
    expect(console).toMatch(/The boot failed in the phase "overlay"\./)
    expect(console).toMatch(/What was tried: .*overlay could not be fetched/)
    expect(console).toMatch(/What came back: .*404/)
    expect(console).toMatch(/What to do: /)
    expect(machine.processes.sessions).toMatchObject([
      { device: '/dev/ttyS0', argv: ['/init', 'shell'], closed: false },
    ])
    expect(machine.supervisor.policies.at(-1)).toMatchObject({ action: 'shell', consoles: ['/dev/ttyS0'] })
  })

  it('has a shell on every console of the command line', async () => {
    const { machine } = await failOn({
      commandLine: commandLine.replace('console=ttyS0', 'console=tty0 console=ttyS0'),
      consoles: [
        { device: '/dev/tty0', screen: true, preferred: false },
        { device: '/dev/ttyS0', screen: false, preferred: true },
        { device: '/dev/ttyS1', screen: false, preferred: false },
      ],
      servers: gone,
    })
    expect(machine.processes.sessions.map(({ device }) => device)).toEqual(['/dev/tty0', '/dev/ttyS0'])
    expect(machine.consoles.text('/dev/tty0')).toContain('What to do:')
  })

  it('has one, and its story, on a line that the kernel does not write on', async () => {
    const { machine } = await failOn({
      commandLine: `console=ttyS0 console=ttyS1,115200 ${commandLine}`,
      lines: ['ttyS1'],
      servers: gone,
    })
    expect(machine.processes.sessions.map(({ device }) => device)).toEqual(['/dev/ttyS0', '/dev/ttyS1'])
    expect(machine.consoles.text('/dev/ttyS1')).toBe(machine.consoles.text('/dev/ttyS0'))
    expect(machine.consoles.text('/dev/ttyS1')).toMatch(/^diskless .*on Linux[\s\S]*What to do:/)
    expect(machine.consoles.speeds).toEqual(new Map([['/dev/ttyS1', 115_200]]))
  })

  it('is tried again with retry, from the failed phase on', async () => {
    const { machine } = await failOn({ servers: servers(missing(1)) })
    const plan = await machine.run(machine.supervisor.type('plan'))
    expect(plan.text).toContain('"kind": "ram"')
    const log = await machine.run(machine.supervisor.type('log'))
    expect(log.text).toMatch(/overlay failed: .*404/)
    const table = await machine.run(machine.supervisor.type('timeline'))
    expect(table.text).toMatch(/network +[0-9.]+ s/)
    expect((await machine.run(machine.supervisor.type('rerty'))).status).toBe(2)
    await machine.run(machine.supervisor.type('retry'))
    expect(await machine.run(machine.supervisor.ended)).toMatchObject({ kind: 'handoff' })
    expect(machine.processes.sessions[0]?.closed).toBe(true)
    const timeline: Timeline = JSON.parse((await read(machine, '/run/diskless/timeline.json')) ?? '')
    expect(timeline.attempts).toBe(2)
    expect(timeline.phases.filter(({ name }) => name === 'network')).toHaveLength(1)
    expect(timeline.phases.filter(({ name }) => name === 'overlay').map(({ state }) => state)).toEqual([
      'failed',
      'done',
    ])
  })

  it('is tried again when the shell is left, and when nobody types in it', async () => {
    const { machine } = await failOn({ servers: servers(missing(2)) })
    const before = machine.clock.now()
    machine.processes.sessions[0]?.end()
    expect(await machine.run(machine.supervisor.ended)).toMatchObject({ kind: 'handoff' })
    expect(machine.processes.sessions).toHaveLength(2)
    expect(machine.clock.now() - before).toBeGreaterThanOrEqual(120_000)
    expect(machine.consoles.text()).toContain('Trying again: the shell on /dev/ttyS0 was left')
    expect(machine.consoles.text()).toContain('Trying again: nobody typed for 2 min 00 s')
  })

  it('is tried again where nobody can get into a shell, even with diskless.idle=0', async () => {
    const { machine } = await failOn({
      commandLine: `${commandLine} diskless.idle=0`,
      servers: servers(missing(1)),
    })
    // What `/init shell` says in a build without a shell, and after three wrong passwords.
    machine.processes.sessions[0]?.end(77)
    expect(await machine.run(machine.supervisor.ended)).toMatchObject({ kind: 'handoff' })
    expect(machine.consoles.text()).toContain('Trying again: nobody could get into a shell')
  })

  it('reboots with panic=, without a shell', async () => {
    const { machine, ending } = await bootOn(
      networkBoot({ commandLine: `${commandLine} panic=7`, servers: gone }),
    )
    expect(ending.kind).toBe('reboot')
    expect(machine.processes.sessions).toHaveLength(0)
    expect(machine.consoles.text()).toContain('Rebooting in 7.00 s')
  })

  it('just goes on trying with diskless.onfail=retry', async () => {
    const { ending, machine } = await bootOn(
      networkBoot({ commandLine: `${commandLine} diskless.onfail=retry`, servers: servers(missing(3)) }),
    )
    expect(ending.kind).toBe('handoff')
    expect(machine.processes.sessions).toHaveLength(0)
  })

  it('has its mounts back when PID 1 refuses to hand over, and can be tried again', async () => {
    const machine = fakeMachine(networkBoot())
    machine.faults.order({ operation: 'supervisor.handoff', code: 'EXDEV', times: 1 })
    void run(machine)
    await machine.run(shellOf(machine))
    expect((await machine.mounts.list()).map(({ target }) => target)).toContain('/proc')
    expect(machine.consoles.text()).toMatch(/The boot failed in the phase "handoff"/)
    await machine.run(machine.supervisor.type('retry'))
    expect(await machine.run(machine.supervisor.ended)).toMatchObject({ kind: 'handoff' })
  })

  it('has a shell even when what a failed boot should do cannot be read', async () => {
    const { machine, console } = await failOn({ commandLine: `${commandLine} diskless.idle=soon` })
    expect(console).toMatch(/diskless\.idle=soon is not a number of seconds/)
    expect(machine.processes.sessions).toHaveLength(1)
  })

  it('says so when a parameter is refused, before anything is done', async () => {
    const { machine, console } = await failOn({ commandLine: `${commandLine} nbd=10.0.0.1:9000` })
    expect(console).toContain('nbd=10.0.0.1:9000')
    expect(console).toContain('not supported')
    expect(machine.servers.requests).toHaveLength(0)
  })
})

describe('bad input', () => {
  const [base, , busybox] = packages
  if (base === undefined || busybox === undefined) throw new Error('the scenario has three packages')
  const changed = (bytes: Buffer, at: number) => {
    const copy = Buffer.from(bytes)
    copy.writeUInt8(copy.readUInt8(at) ^ 1, at)
    return copy
  }
  // Inside of the last gzip member, before its CRC and length.
  const tampered = (bytes: Buffer) => changed(bytes, bytes.length - 12)

  it.each([
    [
      'an index signed by a stranger',
      { [indexUrl]: { body: makeIndex(packages, stranger) } },
      /a key that is not trusted/,
    ],
    ['a tampered index', { [indexUrl]: { body: tamperedIndex() } }, /does not match its signature/],
    ['a package that is not the index’s', { [packageUrl(busybox)]: { body: base.bytes } }, /busybox-1\.0-r0/],
    ['a tampered package', { [packageUrl(busybox)]: { body: tampered(busybox.bytes) } }, /busybox-1\.0-r0/],
    ['a missing package', { [packageUrl(busybox)]: { status: 404 } }, /404/],
    [
      'a repository that stops mid-file',
      { [packageUrl(busybox)]: { body: busybox.bytes, truncateAt: 100 } },
      /busybox-1\.0-r0/,
    ],
    [
      'a repository that stalls for ever',
      { [packageUrl(busybox)]: { body: busybox.bytes, stallAt: 100 } },
      /stall|TIMEOUT|no byte/i,
    ],
    [
      'an overlay that is no tar',
      { [overlayUrl]: { body: '<html>not found</html>' } },
      /damaged, or is no tar\.gz/,
    ],
    [
      'a truncated overlay',
      { [overlayUrl]: { body: overlay.subarray(0, 200) } },
      /damaged, or is no tar\.gz/,
    ],
  ])('%s stops the boot with words', async (_, change, words) => {
    const { machine, console } = await failOn({ servers: servers(change) })
    expect(console).toMatch(words)
    expect(console).toMatch(/What to do: +\S/)
    expect(await read(machine, '/run/diskless/timeline.json')).toBeUndefined()
  })

  it('in the world does not stop it, and is said loudly', async () => {
    const { ending, console, machine } = await bootOn(
      networkBoot({ commandLine: `${commandLine} pkgs=bussybox quiet` }),
    )
    expect(ending.kind).toBe('handoff')
    expect(console).toMatch(/warning: the system comes up incomplete: bussybox cannot be had/)
    const timeline: Timeline = JSON.parse((await read(machine, '/run/diskless/timeline.json')) ?? '')
    expect(timeline.warnings.join()).toContain('bussybox')
    const { missing } = JSON.parse((await read(machine, '/run/diskless/world.json')) ?? '')
    expect(missing).toEqual([
      { entry: 'bussybox', chain: ['nothing provides bussybox'], nearMisses: ['busybox'] },
    ])
    expect(await read(machine, '/etc/motd')).toMatch(
      /^ {2}bussybox cannot be had: nothing provides bussybox \(there is busybox\)$/m,
    )
  })

  it('in the world stops it with diskless.world=strict', async () => {
    const { console } = await failOn({ commandLine: `${commandLine} pkgs=bussybox diskless.world=strict` })
    expect(console).toMatch(/bussybox cannot be had/)
    const { console: both } = await failOn({
      commandLine: `${commandLine} pkgs=bussybox,gone diskless.world=strict`,
    })
    expect(both).toMatch(/2 packages of the world cannot be had/)
    expect(both).toMatch(/bussybox cannot be had.*; gone cannot be had/)
  })

  it('an init= that is not there stops it before the hand-over', async () => {
    const { console } = await failOn({ commandLine: `${commandLine} init=/sbin/systemd` })
    expect(console).toMatch(/\/sbin\/systemd is not there in the new root/)
  })

  it('no network card, no carrier and no answer each say which', async () => {
    const none = await failOn({ links: [], devices: [] })
    expect(none.console).toMatch(/no network card/i)
    const dark = await failOn({ links: [{ name: 'eth0', module: 'virtio_net', carrierAfterMs: 'never' }] })
    expect(dark.console).toMatch(/no carrier/i)
    const silent = await failOn({ links: [{ name: 'eth0', module: 'virtio_net' }] })
    expect(silent.console).toMatch(/no answer|no DHCP/i)
  })
})
