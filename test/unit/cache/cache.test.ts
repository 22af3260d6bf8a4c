import { describe, expect, it } from 'vitest'
import { makeOverlay } from '../../../scripts/repository/overlay.ts'
import { file } from '../../../scripts/repository/tar.ts'
import { cacheTarget } from '../../../src/cache/open.ts'
import { fileSystemOf, type Media, serversDown } from '../../support/machine/index.ts'
import {
  indexUrl,
  makeIndex,
  overlay,
  overlayUrl,
  packageOf,
  packages,
  packageUrl,
} from '../../support/scenario.ts'
import {
  asked,
  bootOn,
  cached,
  emptyDisk,
  objectsOn,
  read,
  rot,
  taggedServers,
  withCache,
} from './scenario.ts'

/** A disk as a good boot leaves it. */
async function filledDisk(change: Partial<Media> = {}): Promise<Media> {
  const disk = emptyDisk(change)
  const { ending } = await bootOn(withCache(disk))
  expect(ending).toBe('handoff')
  return disk
}

const later = makeOverlay({ hostname: 'later', world: ['busybox'], runlevels: {} })

describe('a boot with a cache', () => {
  it('keeps what it fetched, and leaves the device to the new system', async () => {
    const disk = emptyDisk()
    const { machine, ending, console } = await bootOn(withCache(disk))
    expect(ending).toBe('handoff')
    expect(objectsOn(disk)).toHaveLength(2 + packages.length)
    expect(console).toMatch(/cache +\S+ s +\/dev\/vda: empty/)
    expect(console).toMatch(/commit +\S+ s +0 files from the cache, 5 new in it/)
    expect((await machine.mounts.list()).map(({ source }) => source)).not.toContain('/dev/vda')
  })

  it('asks only whether what may change has changed', async () => {
    const disk = await filledDisk()
    const { machine, console } = await bootOn(withCache(disk))
    expect([...asked(machine)].sort()).toEqual(['52:54:00:00:00:01.apkovl.tar.gz?', 'APKINDEX.tar.gz?'])
    expect(await read(machine, '/etc/hostname')).toBe('guest\n')
    expect(await read(machine, '/etc/motd')).toContain('lives in memory')
    expect(console).toMatch(/5 files from the cache, 0 new in it/)
  })

  it('asks a mirror by what that mirror said, and no other', async () => {
    const dead = overlayUrl.replace('10.0.2.2', '10.0.2.67')
    const commandLine = cached.replace('apkovl=', 'apkovl=http://10.0.2.67/{MAC}.apkovl.tar.gz|')
    const disk = emptyDisk()
    await bootOn(
      withCache(disk, { commandLine, servers: { ...taggedServers(), [dead]: { fails: 'ECONNREFUSED' } } }),
    )
    // It comes up again, with another overlay, and a tag that means nothing.
    const servers = { ...taggedServers(), [dead]: { body: later, etag: 'overlay-1' } }
    const { machine, ending } = await bootOn(withCache(disk, { commandLine, servers }))
    expect(ending).toBe('handoff')
    expect(await read(machine, '/etc/hostname')).toBe('later\n')
  })

  it('writes nothing where nothing changed', async () => {
    const disk = await filledDisk()
    const { console } = await bootOn(withCache(disk), ({ faults }) =>
      faults.order({ operation: 'mounts.remount', subject: cacheTarget, code: 'EROFS' }),
    )
    expect(console).toMatch(/5 files from the cache/)
    expect(console).not.toContain('warning')
  })

  it('fetches what changed, and forgets what is not needed any more', async () => {
    const disk = await filledDisk()
    const newer = packageOf({
      name: 'baselayout',
      version: '2.0-r0',
      entries: [file('etc/passwd', 'root:x:0:0:root:/root:/bin/sh\n'), file('etc/inittab', 'new\n')],
    })
    const those = [...packages.filter(({ spec }) => spec.name !== 'baselayout'), newer]
    const servers = {
      ...taggedServers('2'),
      [overlayUrl]: { body: later, etag: 'overlay-2' },
      [indexUrl]: { body: makeIndex(those), etag: 'index-2' },
      [packageUrl(newer)]: { body: newer.bytes },
    }
    const { machine } = await bootOn(withCache(disk, { servers }))
    expect([...asked(machine)].sort()).toEqual([
      '52:54:00:00:00:01.apkovl.tar.gz',
      '52:54:00:00:00:01.apkovl.tar.gz?',
      'APKINDEX.tar.gz',
      'APKINDEX.tar.gz?',
      'baselayout-2.0-r0.apk',
    ])
    expect(await read(machine, '/etc/hostname')).toBe('later\n')
    expect(objectsOn(disk)).toHaveLength(5)
  })

  it('takes a package that was built again under its old name from the server', async () => {
    const disk = await filledDisk()
    const again = packageOf({
      name: 'baselayout',
      built: 1_700_000_001,
      entries: [file('etc/passwd', 'root:x:0:0:root:/root:/bin/sh\n'), file('etc/issue', 'again\n')],
    })
    const those = [...packages.filter(({ spec }) => spec.name !== 'baselayout'), again]
    const servers = {
      ...taggedServers(),
      [indexUrl]: { body: makeIndex(those), etag: 'index-2' },
      [packageUrl(again)]: { body: again.bytes },
    }
    const { machine, ending } = await bootOn(withCache(disk, { servers }))
    expect(ending).toBe('handoff')
    expect(await read(machine, '/etc/issue')).toBe('again\n')
  })
})

describe('with the servers down', () => {
  it('boots the last good state without a lease, and says so', async () => {
    const disk = await filledDisk()
    const { machine, ending, console } = await bootOn(serversDown(withCache(disk)))
    expect(ending).toBe('handoff')
    expect(await read(machine, '/etc/hostname')).toBe('guest\n')
    expect(await read(machine, '/lib/apk/db/installed')).toContain('P:busybox')
    expect(console).toMatch(/warning: there is no network .*: the last good state \(.* UTC\) is booted/)
    expect(machine.clock.now()).toBeLessThan(90_000)
  })

  it('boots it where there is a network and no web server', async () => {
    const disk = await filledDisk()
    const servers = { '*': { fails: 'ECONNREFUSED' } } as const
    const { machine, ending, console } = await bootOn(withCache(disk, { servers }))
    expect(ending).toBe('handoff')
    expect(console).toMatch(/warning: 10\.0\.2\.2 does not answer .*Connection refused/)
    expect(console.match(/does not answer/g)).toHaveLength(1)
    expect(machine.clock.now()).toBeLessThan(20_000)
  })

  it('keeps that state, however often', async () => {
    const disk = await filledDisk()
    for (const _ of [1, 2]) await bootOn(serversDown(withCache(disk)))
    const { ending } = await bootOn(serversDown(withCache(disk)))
    expect(ending).toBe('handoff')
  })

  it('is not excused by a server that says no', async () => {
    const disk = await filledDisk()
    const servers = { ...taggedServers(), [overlayUrl]: { status: 404 } }
    const { ending, console } = await bootOn(withCache(disk, { servers }))
    expect(ending).toBe('shell')
    expect(console).toContain('404')
  })

  it('fails as ever while the cache is empty', async () => {
    const { ending, console } = await bootOn(serversDown(withCache(emptyDisk())))
    expect(ending).toBe('shell')
    expect(console).toContain('no DHCP answer on eth0')
  })

  it('names what is damaged, and hands over no half of a system', async () => {
    const disk = await filledDisk()
    expect(rot(disk, overlay.subarray(0, 40))).toBe(1)
    const { machine, ending, console } = await bootOn(serversDown(withCache(disk)))
    expect(ending).toBe('shell')
    expect(console).toContain('the cache’s copy of the overlay is damaged')
    expect(console).toContain('there is no network to fetch http://10.0.2.2/')
    expect(await read(machine, '/etc/hostname')).toBeUndefined()
  })
})

describe('a cache that cannot be trusted', () => {
  it('has rotten blocks: what is damaged is fetched again', async () => {
    const disk = await filledDisk()
    for (const pkg of packages) rot(disk, pkg.bytes.subarray(0, 40))
    rot(disk, overlay.subarray(0, 40))
    const { machine, ending, console } = await bootOn(withCache(disk))
    expect(ending).toBe('handoff')
    expect(await read(machine, '/etc/hostname')).toBe('guest\n')
    expect(console).toMatch(/copy of the package busybox\S* is damaged/)
    expect(asked(machine)).toContain('busybox-1.0-r0.apk')
    const next = await bootOn(serversDown(withCache(disk)))
    expect(next.ending).toBe('handoff')
  })

  it.each([
    '',
    '{',
    '[]',
    '{"version":2}',
    '{"version":1,"at":1e999,"entries":{}}',
    '{"version":1,"at":0,"entries":{"http://x":{"sha256":"../../etc/passwd","bytes":1}}}',
  ])('says %j: as good as empty', async (text) => {
    const disk = await filledDisk()
    fileSystemOf(disk).write('/diskless-cache/state.json', Buffer.from(text), 0o600)
    const { ending, console } = await bootOn(withCache(disk))
    expect(ending).toBe('handoff')
    expect(console).toMatch(/\/dev\/vda: empty/)
    expect((await bootOn(serversDown(withCache(disk)))).ending).toBe('handoff')
  })

  it('leads out of its disk by symlinks: nothing is written there', async () => {
    const disk = emptyDisk()
    const held = fileSystemOf(disk)
    held.makeDirectory('/diskless-cache', 0o755)
    held.symlink('/etc', '/diskless-cache/objects')
    held.symlink('/etc/passwd', '/diskless-cache/state.json')
    const { machine, ending, console } = await bootOn(withCache(disk))
    expect(console).toContain('warning: the cache takes nothing new')
    expect(ending).toBe('handoff')
    expect(await machine.files.list('/etc')).not.toContain('passwd')
    expect((await machine.files.list('/etc')).filter((name) => /^[0-9a-f]{64}$/.test(name))).toEqual([])
  })
})

describe('a cache that cannot be had stops no boot', () => {
  it.each([
    ['is not there', [], /LABEL=CACHE, the cache, did not appear/],
    ['has no file system', [{ type: 'swap', contents: { label: 'CACHE' } }], /is swap space/],
    [
      'is damaged',
      [emptyDisk({ fails: { code: 'EUCLEAN', message: 'Structure needs cleaning' } })],
      /could not be mounted as ext4/,
    ],
  ] as const)('%s', async (_, disks, said) => {
    const change = { disks: disks.map((media) => ({ devname: 'vda', media })) }
    const { ending, console } = await bootOn(withCache(emptyDisk(), change))
    expect(ending).toBe('handoff')
    expect(console).toContain('warning: this boot has no cache')
    expect(console).toMatch(said)
  })

  it('is write-protected', async () => {
    const { ending, console } = await bootOn(withCache(emptyDisk({ readOnly: true })))
    expect(ending).toBe('handoff')
    expect(console).toContain('warning: the cache takes nothing new')
    expect(console).toContain('the last good state stays as it was')
  })

  it('is full', async () => {
    const { ending, console } = await bootOn(withCache(emptyDisk({ capacity: 3000 })))
    expect(ending).toBe('handoff')
    expect(console).toMatch(/warning: the cache/)
  })
})

describe('its bound', () => {
  const total = (disk: Media) =>
    objectsOn(disk).reduce(
      (sum, name) => sum + fileSystemOf(disk).read(`/diskless-cache/objects/${name}`).length,
      0,
    )

  it.each([500, 2000, 4000])('is kept at %i bytes, and the boot goes on', async (bytes) => {
    const disk = emptyDisk()
    const line = withCache(disk).commandLine
    const { ending, console } = await bootOn(
      withCache(disk, { commandLine: `${line} diskless.cache_size=${bytes}` }),
    )
    expect(ending).toBe('handoff')
    expect(total(disk)).toBeLessThanOrEqual(bytes)
    expect(console).toContain('warning: the cache')
  })

  it('leaves the last good state alone where a new one does not fit beside it', async () => {
    const disk = await filledDisk()
    const line = `${withCache(disk).commandLine} diskless.cache_size=${total(disk) + 100}`
    const servers = { ...taggedServers(), [overlayUrl]: { body: later, etag: 'overlay-2' } }
    const { machine, console } = await bootOn(withCache(disk, { commandLine: line, servers }))
    expect(await read(machine, '/etc/hostname')).toBe('later\n')
    expect(console).toContain('the last good state stays as it was')
    const next = await bootOn(serversDown(withCache(disk, { commandLine: line })))
    expect(await read(next.machine, '/etc/hostname')).toBe('guest\n')
  })
})
