/** Boots with diskless.lock=: exactly what the lock has, no index and no solver; and all that is refused. */

import { describe, expect, it } from 'vitest'
import type { Package } from '../../../scripts/repository/apk.ts'
import { makeOverlay } from '../../../scripts/repository/overlay.ts'
import { file, symlink } from '../../../scripts/repository/tar.ts'
import type { Lock } from '../../../src/apk/lock.ts'
import { makeWorld } from '../../../src/apk/world.ts'
import { inOrder, lockOf, lockUrl, signedLock } from '../../support/lock.ts'
import type { Answer, MachineOptions, Server } from '../../support/machine/index.ts'
import {
  key,
  networkBoot,
  overlayUrl,
  packageOf,
  packages,
  packageUrl,
  repositoryUrl,
  servers,
  stranger,
} from '../../support/scenario.ts'
import { asked, bootOn, emptyDisk, read, withCache } from '../cache/scenario.ts'

const commandLine = `console=ttyS0 ip=dhcp apkovl=http://10.0.2.2/{MAC}.apkovl.tar.gz diskless.lock=${lockUrl}`

/** No server has an index. */
function served(change: Readonly<Record<string, Answer | Server>> = {}) {
  const all = servers({ [lockUrl]: { body: signedLock() }, ...change })
  return Object.fromEntries(Object.entries(all).filter(([url]) => !url.includes('APKINDEX')))
}

const boot = (answers: Record<string, Answer | Server> = served(), change: MachineOptions = {}) =>
  bootOn(networkBoot({ commandLine, servers: answers, ...change }))

/** Until the shell: what the console says. */
async function refused(change: Readonly<Record<string, Answer | Server>>, more: MachineOptions = {}) {
  const { ending, console, machine } = await boot(served(change), more)
  expect(ending, console).toBe('shell')
  expect(machine.packages.held).toEqual({ indexes: 0, stages: 0 })
  return console
}

const withLock = (lock: Partial<Lock>, of: readonly Package[] = inOrder) => ({
  [lockUrl]: { body: signedLock(lockOf(of, lock)) },
})

describe('a boot by lock', () => {
  it('installs its packages in its order, and asks for no index', async () => {
    const { machine, ending, console } = await boot()
    expect(ending, console).toBe('handoff')
    const installed = (await read(machine, '/lib/apk/db/installed')) ?? ''
    expect(installed.match(/^P:.*/gm)).toEqual(['P:busybox', 'P:baselayout', 'P:alpine-base'])
    expect(await read(machine, '/etc/apk/world')).toBe('alpine-base\nbusybox\n')
    expect(await read(machine, '/etc/apk/repositories')).toBe(`${repositoryUrl}\n`)
    expect(asked(machine).filter((name) => name.includes('INDEX'))).toEqual([])
    expect(console).toMatch(/^ {2}lock .*3 packages, 2026-11-21T20:15:03Z by diskless/m)
    expect(console).not.toMatch(/^ {2}index /m)
  })

  it('leaves the same system as one from the index', async () => {
    const { machine: byLock } = await boot()
    const { machine: byIndex } = await bootOn(networkBoot())
    for (const path of ['/lib/apk/db/installed', '/lib/apk/db/triggers', '/etc/motd', '/etc/apk/world']) {
      const stanzas = async (machine: typeof byLock) => (await read(machine, path))?.split('\n\n').sort()
      expect(await stanzas(byLock), path).toEqual(await stanzas(byIndex))
    }
  })

  it('goes by the index’s checksum where the digest of a file is not known', async () => {
    const lock = lockOf(inOrder)
    const unread = lock.packages.map(({ sha256: _, ...pkg }) => pkg)
    expect((await boot(served(withLock({ packages: unread })))).ending).toBe('handoff')
  })

  it('finds packages at the mirrors of the lock, and relative to those that it may have come from', async () => {
    const elsewhere = 'http://10.0.2.7/deep/guests.lock'
    const { machine, ending } = await boot(
      {
        ...served({ [lockUrl]: { status: 404 } }),
        [elsewhere]: { body: signedLock() },
        ...Object.fromEntries(packages.map((pkg) => [packageUrl(pkg), { status: 404 }])),
        ...Object.fromEntries(
          packages.map((pkg) => [packageUrl(pkg).replace('10.0.2.2', '10.0.2.7'), { body: pkg.bytes }]),
        ),
      },
      { commandLine: `${commandLine}|${elsewhere}` },
    )
    expect(ending).toBe('handoff')
    expect(await read(machine, '/etc/apk/repositories')).toBe(`${repositoryUrl}\nhttp://10.0.2.7/apks\n`)
  })

  it('writes alpine_repo= into etc/apk/repositories, tags as the lock has them, and no password', async () => {
    const first = await boot(served(), { commandLine: `${commandLine} alpine_repo=http://10.0.2.9/more` })
    expect(await read(first.machine, '/etc/apk/repositories')).toBe('http://10.0.2.9/more\n')
    const repositories = [
      { urls: ['../apks'], tag: undefined },
      { urls: ['http://joe:geheim@10.0.2.3/edge'], tag: 'edge' },
    ]
    const second = await boot(served(withLock({ repositories })))
    expect(await read(second.machine, '/etc/apk/repositories')).toBe(
      `${repositoryUrl}\n@edge http://10.0.2.3/edge\n`,
    )
  })

  it('may be the initrd’s own, or one on a medium with its repository beside it', async () => {
    const inInitrd = networkBoot()
    const { ending, machine } = await bootOn({
      ...inInitrd,
      commandLine: `${commandLine.replace(lockUrl, '/etc/fleet.lock')} alpine_repo=${repositoryUrl}`,
      files: {
        ...inInitrd.files,
        '/etc/fleet.lock': signedLock(
          lockOf(inOrder, { repositories: [{ urls: [repositoryUrl], tag: undefined }] }),
        ),
      },
      servers: served(),
    })
    expect(ending).toBe('handoff')
    expect(asked(machine)).not.toContain('guests.lock')

    const apks = packages.map(({ spec, bytes }) => [`/apks/x86_64/${spec.name}-1.0-r0.apk`, bytes])
    const lock = signedLock(lockOf(inOrder, { repositories: [{ urls: ['apks'], tag: undefined }] }))
    const files = { ...Object.fromEntries(apks), '/apks/.boot_repository': '', '/fleet.lock': lock }
    const disk = { devname: 'sda1', media: { type: 'vfat', files, contents: { label: 'STICK' } } }
    const stick = await bootOn(
      networkBoot({ commandLine: 'console=ttyS0 diskless.lock=/fleet.lock', disks: [disk] }),
    )
    expect(stick.ending, stick.console).toBe('handoff')
    expect(await read(stick.machine, '/etc/apk/repositories')).toBe('/media/sda1/apks\n')
    expect(stick.machine.servers.requests).toEqual([])
  })

  it('by a key for overlays is as good', async () => {
    const options = networkBoot()
    const { ending } = await boot(served({ [lockUrl]: { body: signedLock(undefined, stranger) } }), {
      files: { ...options.files, '/etc/diskless/overlay-keys/ops.pub': stranger.publicPem },
      commandLine: commandLine.replace(/apkovl=\S+/, 'diskless.apkovl=optional'),
    })
    expect(ending).toBe('handoff')
  })
})

describe('a lock is refused', () => {
  it('unsigned, cut short, by a stranger, changed', async () => {
    const good = signedLock()
    const unsigned = good.slice(0, good.lastIndexOf('signature: '))
    expect(await refused({ [lockUrl]: { body: unsigned } })).toMatch(/cut short, or was never signed/)
    expect(await refused({ [lockUrl]: { body: good.slice(0, 1200) } })).toMatch(/cut short/)
    const foreign = await refused({ [lockUrl]: { body: signedLock(undefined, stranger) } })
    expect(foreign).toContain(`is signed with ${stranger.name}, a key that is not trusted here`)
    expect(foreign).toContain(`this initrd trusts ${key.name}`)
    const inOurName = signedLock(undefined, { ...stranger, name: key.name })
    const changed = good.replace('busybox\nV:1.0', 'busybox\nV:1.1')
    for (const body of [inOurName, changed]) {
      expect(await refused({ [lockUrl]: { body } })).toMatch(/does not match its signature .* changed it/)
    }
  })

  it('of another architecture or format, and what is none', async () => {
    expect(await refused(withLock({ arch: 'aarch64' }))).toMatch(
      /guests\.lock is for aarch64, and this machine is x86_64/,
    )
    const future = signedLock().replace('lock 1', 'lock 9')
    expect(await refused({ [lockUrl]: { body: future } })).toMatch(/of format 9; this diskless reads/)
    expect(await refused({ [lockUrl]: { body: '<html>' } })).toMatch(/is no lock file/)
    expect(await refused({ [lockUrl]: { body: Buffer.alloc(17 << 20, 'x') } })).toMatch(/more than 16777216/)
  })

  it('when it cannot be had, or names no place', async () => {
    expect(await refused({ [lockUrl]: { status: 404 } })).toMatch(/the lock .* could not be fetched .*404/s)
    const nowhere = {
      commandLine: `${commandLine.replace(lockUrl, '/no.lock')} alpine_repo=${repositoryUrl}`,
    }
    expect(await refused({}, nowhere)).toMatch(/the lock \/no\.lock is not there/)
    const bad = { commandLine: commandLine.replace(lockUrl, 'fleet.lock') }
    expect(await refused({}, bad)).toMatch(/diskless\.lock=fleet\.lock is neither a URL nor a path/)
  })

  it('when a package is another than the lock has, if only its signature is', async () => {
    const [other] = inOrder
    if (other === undefined) throw new Error('the scenario has packages')
    const rebuilt = packageOf({ ...other.spec, entries: [file('bin/busybox', 'another', 0o755)] })
    expect(await refused({ [packageUrl(other)]: { body: rebuilt.bytes } })).toMatch(/busybox-1\.0-r0/)
    const first = other.bytes.indexOf(Buffer.from([0x1f, 0x8b, 8]), 10)
    expect(await refused({ [packageUrl(other)]: { body: other.bytes.subarray(first) } })).toMatch(
      /its sha256 is/,
    )
  })

  it('when the overlay’s world is not its own', async () => {
    const overlay = (world: readonly string[]) => ({
      [overlayUrl]: { body: makeOverlay({ hostname: 'guest', world, runlevels: {} }) },
    })
    const more = await refused(overlay(['busybox', 'curl']))
    expect(more).toMatch(/is of another world than this machine’s: it lacks curl/)
    expect(more).toMatch(/lock again, .*diskless lock/)
    expect(await refused(overlay([]))).toMatch(/it has busybox besides/)
    expect(await refused(overlay(['busybox=2']))).toMatch(/it lacks busybox=2; it has busybox besides/)
    expect(await refused({}, { commandLine: `${commandLine} pkgs=nano` })).toMatch(/it lacks nano/)
  })
})

describe('the world', () => {
  it('of an overlay that has none is the lock’s', async () => {
    const { ending, machine } = await boot(served({ [overlayUrl]: { status: 404 } }), {
      commandLine: `${commandLine} diskless.apkovl=optional`,
    })
    expect(ending).toBe('handoff')
    expect(await read(machine, '/etc/apk/world')).toBe('alpine-base\nbusybox\n')
  })

  it('may have what pkgs= and ssh_key= ask for', async () => {
    const ssh = packageOf({ name: 'openssh' })
    const nano = packageOf({ name: 'nano' })
    const lock = lockOf([...inOrder, ssh, nano], {
      world: makeWorld(['alpine-base', 'busybox', 'openssh', 'nano']),
    })
    const { ending } = await boot(
      served({
        [overlayUrl]: { status: 404 },
        [lockUrl]: { body: signedLock(lock) },
        [packageUrl(ssh)]: { body: ssh.bytes },
        [packageUrl(nano)]: { body: nano.bytes },
      }),
      { commandLine: `${commandLine} diskless.apkovl=optional pkgs=nano ssh_key=ssh-ed25519` },
    )
    expect(ending).toBe('handoff')
  })
})

describe('beside a lock', () => {
  it('diskless.cache= has packages and lock when no server answers', async () => {
    const disk = emptyDisk()
    const cached = `${commandLine} diskless.cache=LABEL=CACHE`
    const first = await bootOn(withCache(disk, { commandLine: cached, servers: served() }))
    expect(first.ending, first.console).toBe('handoff')
    const second = await bootOn(withCache(disk, { commandLine: cached, servers: served() }))
    expect(asked(second.machine).filter((name) => name.endsWith('.apk'))).toEqual([])
    const down = await bootOn(
      withCache(disk, { commandLine: cached, servers: { '*': { fails: 'ECONNREFUSED' } } }),
    )
    expect(down.ending, down.console).toBe('handoff')
    expect(await read(down.machine, '/lib/apk/db/installed')).toContain('P:busybox')
  })

  it('the package cache of a medium is asked before the network', async () => {
    const inCache = packages.map(({ spec, checksum, bytes }) => {
      const begin = Buffer.from(checksum.slice(2), 'base64').toString('hex', 0, 4)
      return [`/cache/${spec.name}-${spec.version}.${begin}.apk`, bytes]
    })
    const files = {
      ...Object.fromEntries(inCache),
      '/box.apkovl.tar.gz': makeOverlay({
        hostname: 'box',
        world: ['busybox'],
        runlevels: {},
        entries: [symlink('etc/apk/cache', '/media/sda1/cache')],
      }),
    }
    const { ending, machine, console } = await bootOn(
      networkBoot({
        commandLine: `console=ttyS0 ip=dhcp diskless.lock=${lockUrl}`,
        disks: [{ devname: 'sda1', media: { type: 'vfat', files, contents: { label: 'STICK' } } }],
        servers: served(),
      }),
    )
    expect(ending, console).toBe('handoff')
    expect(asked(machine)).toEqual(['guests.lock'])
  })
})
