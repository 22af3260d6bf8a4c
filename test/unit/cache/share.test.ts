/** Seed 000's wish: a medium on a file server, kept locally so that the next boot can do without the server. */
import { expect, it } from 'vitest'
import { makeOverlay } from '../../../scripts/repository/overlay.ts'
import { fileSystemOf, type MachineOptions, type Media, serversDown } from '../../support/machine/index.ts'
import { makeIndex, networkBoot, overlay, packages } from '../../support/scenario.ts'
import { bootOn, emptyDisk, read, rot } from './scenario.ts'

const modloop = 'a modloop of this kernel'
const share = '/media/alpine_dev'

function shareOf(change: Readonly<Record<string, Buffer | string>> = {}): Media {
  const apks = packages.map(({ spec, bytes }) => [`/apks/x86_64/${spec.name}-${spec.version}.apk`, bytes])
  return {
    type: 'nfs',
    files: {
      '/guest.apkovl.tar.gz': overlay,
      '/apks/.boot_repository': '',
      '/apks/x86_64/APKINDEX.tar.gz': makeIndex(),
      ...Object.fromEntries(apks),
      '/boot/modloop-lts': modloop,
      ...change,
    },
  }
}

function fromShare(disk: Media, media: Media = shareOf(), change: MachineOptions = {}): MachineOptions {
  return networkBoot({
    commandLine: 'console=ttyS0 ip=dhcp alpine_dev=nfs:10.0.2.2:/srv diskless.cache=LABEL=CACHE',
    disks: [{ devname: 'vda', media: disk }],
    media: { '10.0.2.2:/srv': media },
    images: { [modloop]: { type: 'squashfs', files: { '/modules/6.1.0-fake/modules.dep': '' } } },
    servers: {},
    ...change,
  })
}

it('keeps what was used of it, and the modloop', async () => {
  const disk = emptyDisk()
  const { ending, console } = await bootOn(fromShare(disk))
  expect(ending).toBe('handoff')
  expect(console).toMatch(/0 files from the cache, 6 new in it/)
  const again = await bootOn(fromShare(disk))
  expect(again.console).toMatch(/6 files from the cache, 0 new in it/)
})

it.each([
  ['no server at all', (options: MachineOptions) => serversDown(options)],
  ['a network and no file server', ({ media: _, ...options }: MachineOptions) => options],
])('boots the last good state with %s: the same places, the modloop too', async (_, without) => {
  const disk = emptyDisk()
  await bootOn(fromShare(disk))
  const { machine, ending, console } = await bootOn(without(fromShare(disk)))
  expect(console).toMatch(
    /10\.0\.2\.2:\/srv cannot be had .*: 6 files of the last good boot \(.*\) stand in for it/,
  )
  expect(ending).toBe('handoff')
  expect(await read(machine, '/etc/hostname')).toBe('guest\n')
  expect(await read(machine, '/etc/apk/repositories')).toBe('/media/alpine_dev/apks\n')
  expect(await read(machine, `${share}/boot/modloop-lts`)).toBe(modloop)
  expect(machine.clock.now()).toBeLessThan(120_000)
  const next = await bootOn(fromShare(disk))
  expect(next.console).toMatch(/6 files from the cache, 0 new in it/)
})

it('sees what changed on it', async () => {
  const disk = emptyDisk()
  await bootOn(fromShare(disk))
  const later = makeOverlay({ hostname: 'later', world: ['busybox'], runlevels: {} })
  const changed = await bootOn(fromShare(disk, shareOf({ '/guest.apkovl.tar.gz': later })))
  expect(await read(changed.machine, '/etc/hostname')).toBe('later\n')
  expect(changed.console).toMatch(/5 files from the cache, 1 new in it/)
  const alone = await bootOn(serversDown(fromShare(disk)))
  expect(await read(alone.machine, '/etc/hostname')).toBe('later\n')
})

it('names a damaged copy, and hands nothing over', async () => {
  const disk = emptyDisk()
  await bootOn(fromShare(disk))
  expect(rot(disk, overlay.subarray(0, 40))).toBe(1)
  const { ending, console } = await bootOn(serversDown(fromShare(disk)))
  expect(ending).toBe('shell')
  expect(console).toContain(`the cache’s copy of ${share}/guest.apkovl.tar.gz is damaged`)
})

it('does not stand in where there is too little memory', async () => {
  const disk = emptyDisk({ capacity: 2 ** 22 })
  const big = shareOf({ '/boot/modloop-lts': modloop.padEnd(2 ** 20) })
  await bootOn(fromShare(disk, big))
  const { ending, console } = await bootOn(serversDown(fromShare(disk, big, { memory: 2 ** 21 })))
  expect(ending).toBe('shell')
  expect(console).toContain('does not fit into half of the memory')
})

it('follows no name out of the medium', async () => {
  const disk = emptyDisk()
  await bootOn(fromShare(disk))
  const held = fileSystemOf(disk)
  const state = held.read('/diskless-cache/state.json').toString()
  held.write(
    '/diskless-cache/state.json',
    Buffer.from(state.replace(`${share}/guest.apkovl.tar.gz`, `${share}/../../etc/x.apkovl.tar.gz`)),
    0o600,
  )
  const { machine } = await bootOn(serversDown(fromShare(disk)))
  expect(await machine.files.list('/etc')).not.toContain('x.apkovl.tar.gz')
})
