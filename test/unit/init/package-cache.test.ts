/** Boots of the local diskless mode (seed 002): packages from the cache on the medium, repositories that fstab moves. */

import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { indexText, type Package } from '../../../scripts/repository/apk.ts'
import { makeOverlay } from '../../../scripts/repository/overlay.ts'
import { type Entry, file, symlink } from '../../../scripts/repository/tar.ts'
import { run } from '../../../src/init/run.ts'
import { fakeMachine, type MachineOptions } from '../../support/machine/index.ts'
import {
  makeIndex,
  networkBoot,
  packageOf,
  packages,
  packageUrl,
  repositoryUrl,
  servers,
  stranger,
} from '../../support/scenario.ts'
import { publicPem, sign } from '../overlay/scenario.ts'

const nano = packageOf({ name: 'nano', entries: [file('usr/bin/nano', 'an editor', 0o755)] })
/** No repository has it any more. */
const gone = packageOf({ name: 'gone', entries: [file('usr/bin/gone', 'still here', 0o755)] })

/** apk's names in its cache. */
const inCache = ({ spec, checksum }: Package) =>
  `/cache/${spec.name}-${spec.version}.${Buffer.from(checksum.slice(2), 'base64').toString('hex', 0, 4)}.apk`
const indexInCache = (url: string) =>
  `/cache/APKINDEX.${createHash('sha1').update(url).digest('hex').slice(0, 8)}.tar.gz`

const apks = {
  '/apks/.boot_repository': '',
  '/apks/x86_64/APKINDEX.tar.gz': makeIndex(),
  ...Object.fromEntries(
    packages.map(({ spec, bytes }) => [`/apks/x86_64/${spec.name}-${spec.version}.apk`, bytes]),
  ),
}

const overlayOf = (world: readonly string[], entries: readonly Entry[]) =>
  makeOverlay({ hostname: 'box', world, runlevels: {}, entries })

const toCache = symlink('etc/apk/cache', '/media/sda1/cache')

interface Stick {
  readonly world: readonly string[]
  readonly entries?: readonly Entry[]
  readonly files: Readonly<Record<string, Buffer | string>>
}

/** From a stick that has packages, overlay and cache. */
async function bootFrom({ world, entries = [toCache], files }: Stick, change: MachineOptions = {}) {
  const media = {
    type: 'vfat',
    files: { ...apks, '/box.apkovl.tar.gz': overlayOf(world, entries), ...files },
    contents: { label: 'STICK', uuid: '1A2B-3C4D' },
  }
  const options = networkBoot({
    commandLine: 'console=ttyS0 diskless.onfail=reboot',
    disks: [{ devname: 'sda1', media }],
    ...change,
  })
  const machine = fakeMachine(options)
  void run(machine)
  const { kind } = await machine.run(machine.supervisor.ended)
  const read = async (path: string) => {
    const place = await machine.files.resolveIn('/sysroot', path)
    return place === undefined ? undefined : machine.files.readText(place)
  }
  return { machine, kind, read, console: machine.consoles.text() }
}

const fromNetwork = file('etc/apk/repositories', `/media/sda1/apks\n${repositoryUrl}\n`)

describe('the package cache', () => {
  it('has what a repository out of reach had, by the index that is there', async () => {
    const { kind, read, console, machine } = await bootFrom({
      world: ['nano'],
      entries: [toCache, fromNetwork],
      files: { [indexInCache(repositoryUrl)]: makeIndex([nano, gone]), [inCache(nano)]: nano.bytes },
    })
    expect(kind).toBe('handoff')
    expect(await read('/usr/bin/nano')).toBe('an editor')
    expect(await read('/lib/apk/db/installed')).toContain('P:nano')
    expect(console).not.toMatch(/warning/)
    expect(machine.servers.requests).toHaveLength(0)
    expect(machine.packages.held).toEqual({ indexes: 0, stages: 0 })
  })

  it('has nothing of it that was not kept, which is said', async () => {
    const { kind, console } = await bootFrom({
      world: ['nano'],
      entries: [toCache, fromNetwork],
      files: { [indexInCache(repositoryUrl)]: makeIndex([nano]) },
    })
    expect(kind).toBe('handoff')
    expect(console).toMatch(/warning: .*incomplete: nano cannot be had/)
  })

  it('has what is in no repository any more, as its list says', async () => {
    const { kind, read } = await bootFrom({
      world: ['gone'],
      files: { '/cache/installed': indexText([gone]), [inCache(gone)]: gone.bytes },
    })
    expect(kind).toBe('handoff')
    expect(await read('/usr/bin/gone')).toBe('still here')
  })

  it('has what was a name only: apk add --virtual', async () => {
    const virtual =
      'C:Q1AAAAAAAAAAAAAAAAAAAAAAAAAAA=\nP:.tools\nV:20260101.120000\nA:noarch\nS:0\nI:0\nT:virtual meta package\nU:\nL:\nD:gone\n\n'
    const { console, kind, machine, read } = await bootFrom({
      world: ['.tools'],
      files: { '/cache/installed': `${virtual}${indexText([gone])}`, [inCache(gone)]: gone.bytes },
    })
    expect(kind).toBe('handoff')
    expect(console).not.toMatch(/warning/)
    expect(await read('/usr/bin/gone')).toBe('still here')
    expect(await read('/etc/apk/world')).toBe('.tools\nalpine-base\n')
    expect(await read('/lib/apk/db/installed')).toContain(`P:.tools\nV:20260101.120000\n`)
    expect(machine.packages.held).toEqual({ indexes: 0, stages: 0 })
  })

  it('is asked before the network, and the network where a file in it is damaged', async () => {
    const other = packageOf({ name: 'other', entries: [file('usr/bin/other', 'whole', 0o755)] })
    const { kind, read, machine } = await bootFrom(
      {
        world: ['nano', 'other'],
        entries: [toCache, fromNetwork],
        files: { [inCache(nano)]: nano.bytes, [inCache(other)]: other.bytes.subarray(0, 300) },
      },
      {
        commandLine: 'console=ttyS0 ip=dhcp diskless.onfail=reboot',
        servers: servers({
          [`${repositoryUrl}/x86_64/APKINDEX.tar.gz`]: { body: makeIndex([nano, other]) },
          [packageUrl(other)]: { body: other.bytes },
        }),
      },
    )
    expect(kind).toBe('handoff')
    expect(await read('/usr/bin/nano')).toBe('an editor')
    expect(await read('/usr/bin/other')).toBe('whole')
    const asked = machine.servers.requests.map(({ url }) => url)
    expect(asked).toContain(packageUrl(other))
    expect(asked).not.toContain(packageUrl(nano))
  })

  it('serves a boot whose server does not answer, aloud', async () => {
    const { kind, read, console } = await bootFrom(
      {
        world: ['nano'],
        entries: [toCache, fromNetwork],
        files: { [indexInCache(repositoryUrl)]: makeIndex([nano]), [inCache(nano)]: nano.bytes },
      },
      {
        commandLine: 'console=ttyS0 ip=dhcp diskless.onfail=reboot',
        servers: { [`${repositoryUrl}/x86_64/APKINDEX.tar.gz`]: { status: 503 } },
      },
    )
    expect(kind).toBe('handoff')
    expect(await read('/usr/bin/nano')).toBe('an editor')
    expect(console).toMatch(/warning: .*is out of reach: what the cache has of it is installed/)
  })

  it('does not give without its tag what came by one', async () => {
    const tagged = file('etc/apk/repositories', `/media/sda1/apks\n@edge ${repositoryUrl}\n`)
    const files = { [indexInCache(repositoryUrl)]: makeIndex([nano]), [inCache(nano)]: nano.bytes }
    const without = await bootFrom({ world: ['nano'], entries: [toCache, tagged], files })
    expect(without.console).toMatch(/incomplete: nano cannot be had/)
    const by = await bootFrom({ world: ['nano@edge'], entries: [toCache, tagged], files })
    expect(await by.read('/usr/bin/nano')).toBe('an editor')
  })

  it('is refused with an index that a stranger signed', async () => {
    const { kind, console } = await bootFrom({
      world: ['nano'],
      entries: [toCache, fromNetwork],
      files: { [indexInCache(repositoryUrl)]: makeIndex([nano], stranger), [inCache(nano)]: nano.bytes },
    })
    expect(kind).toBe('reboot')
    expect(console).toMatch(/a key that is not trusted here/)
  })

  it('is not believed in what nobody signs, where overlays have to be signed', async () => {
    const signature = sign(overlayOf(['gone'], [toCache]))
    const { console, kind, machine } = await bootFrom(
      {
        world: ['gone'],
        files: {
          '/box.apkovl.tar.gz.sig': signature,
          '/cache/installed': indexText([gone]),
          [inCache(gone)]: gone.bytes,
        },
      },
      { files: { ...networkBoot().files, '/etc/diskless/overlay-keys/ops.pub': publicPem } },
    )
    expect(kind).toBe('handoff')
    expect(console).toMatch(/incomplete: gone cannot be had/)
    expect(machine.files.text('/sysroot/run/diskless/log')).toMatch(
      /installed is passed over: nobody signs it/,
    )
  })

  it('may be missing: the boot goes on', async () => {
    const { kind, machine } = await bootFrom({ world: [], files: {} })
    expect(kind).toBe('handoff')
    expect(machine.files.text('/sysroot/run/diskless/log')).toMatch(
      /etc\/apk\/cache leads to \/media\/sda1\/cache, which/,
    )
  })

  it('is found on a disk of its own that fstab names', async () => {
    const { kind, read, machine } = await bootFrom(
      {
        world: ['gone'],
        entries: [
          symlink('etc/apk/cache', '/media/store/cache'),
          file('etc/fstab', 'LABEL=STORE /media/store ext4 defaults 0 0\n'),
        ],
        files: {},
      },
      {
        disks: [
          {
            devname: 'sda1',
            media: {
              type: 'vfat',
              files: {
                ...apks,
                '/box.apkovl.tar.gz': overlayOf(
                  ['gone'],
                  [
                    symlink('etc/apk/cache', '/media/store/cache'),
                    file('etc/fstab', 'LABEL=STORE /media/store ext4 defaults 0 0\n'),
                  ],
                ),
              },
            },
          },
          {
            devname: 'vda',
            media: {
              type: 'ext4',
              contents: { label: 'STORE' },
              files: { '/cache/installed': indexText([gone]), [inCache(gone)]: gone.bytes },
            },
          },
        ],
      },
    )
    expect(kind).toBe('handoff')
    expect(await read('/usr/bin/gone')).toBe('still here')
    const store = (await machine.mounts.list()).find(({ source }) => source === '/dev/vda')
    expect(store).toMatchObject({ target: '/sysroot/media/store', options: ['rw'] })
  })
})

describe('a repository of the overlay on a medium', () => {
  it('is found before fstab has moved it there', async () => {
    const { kind, console, read, machine } = await bootFrom({
      world: ['busybox'],
      entries: [
        file('etc/fstab', 'UUID=1a2b-3c4d /media/usb vfat noauto,ro 0 0\n'),
        file('etc/apk/repositories', '/media/usb/apks\n'),
      ],
      files: {},
    })
    expect(kind).toBe('handoff')
    expect(console).not.toMatch(/left out/)
    expect(await read('/etc/apk/repositories')).toBe('/media/usb/apks\n')
    expect(machine.files.text('/sysroot/media/usb/box.apkovl.tar.gz')).toBeDefined()
  })
})
