/** Which overlay is taken, from where, and what is said when it cannot be told. */

import { describe, expect, it } from 'vitest'
import { byPath, bySearch, byUrl, onDevice, overlayOf, refusal, unpack, url } from './scenario.ts'

const vda1 = '/media/vda1'
const at = (target: string, names: readonly string[]) => ({
  media: [{ target }],
  overlays: names.map((name) => `${target}/${name}`),
  overlayTarget: target,
})

describe('searched on the media', () => {
  it('none is no error: the system gets the default services', async () => {
    expect(await unpack(bySearch())).toMatchObject({ hostname: undefined, warned: [] })
  })

  it('the only one is taken; signatures, backups and copies set aside are none', async () => {
    const names = ['a.apkovl.tar.gz', 'a.apkovl.tar.gz.sig', 'a.20260101000000.tar.gz', 'b.apkovl.tar.gz.old']
    const files = Object.fromEntries(names.map((name) => [`${vda1}/${name}`, overlayOf(name)]))
    expect(await unpack(bySearch(), { files }, at(vda1, names))).toMatchObject({
      hostname: 'a.apkovl.tar.gz',
      from: `${vda1}/a.apkovl.tar.gz`,
      sinks: ['tree'],
    })
  })

  it.each([
    ['on one disk', '/media/vda1/b.apkovl.tar.gz'],
    ['on two disks', '/media/sdb1/a.apkovl.tar.gz'],
  ])('two %s are refused, both named', async (_, second) => {
    const first = '/media/vda1/a.apkovl.tar.gz'
    const files = { [first]: overlayOf('a'), [second]: overlayOf('b') }
    const said = await refusal(bySearch(), { files }, { overlays: [first, second] })
    expect(said).toContain(first)
    expect(said).toContain(second)
    expect(said).toMatch(/apkovl=DEVICE:\/PATH/)
  })

  it('a directory of that name, and a symlink out of the medium, are not read', async () => {
    const media = at(vda1, ['a.apkovl.tar.gz'])
    const inDirectory = { [`${vda1}/a.apkovl.tar.gz/x`]: 'x' }
    expect(await refusal(bySearch(), { files: inDirectory }, media)).toMatch(/is a directory, not a file/)
    const files = {
      '/secret': overlayOf('not on the medium'),
      [`${vda1}/a.apkovl.tar.gz`]: { symlink: '../../secret' },
    }
    expect(await refusal(bySearch(), { files }, media)).toMatch(/is not there/)
  })
})

describe('named', () => {
  it('a URL goes straight into the root, {MAC} filled in', async () => {
    const servers = { 'http://10.0.2.2/52:54:00:00:00:01.apkovl.tar.gz': { body: overlayOf('mine') } }
    expect(await unpack(byUrl({ url: 'http://10.0.2.2/{MAC}.apkovl.tar.gz' }), { servers })).toMatchObject({
      hostname: 'mine',
      sinks: ['tree'],
    })
  })

  it('a path is looked for in the initrd, then on the media in their order', async () => {
    const plan = byPath('/o/x.apkovl.tar.gz')
    const media = { media: [{ target: '/media/alpine_dev' }, { target: vda1 }] }
    const onMedia = {
      [`${vda1}/o/x.apkovl.tar.gz`]: overlayOf('vda1'),
      '/media/alpine_dev/o/x.apkovl.tar.gz': overlayOf('alpine_dev'),
    }
    expect((await unpack(plan, { files: onMedia }, media)).hostname).toBe('alpine_dev')
    const everywhere = { ...onMedia, '/o/x.apkovl.tar.gz': overlayOf('initrd') }
    expect((await unpack(plan, { files: everywhere }, media)).hostname).toBe('initrd')
  })

  it('a path that is nowhere: every place that was looked at, and what is there', async () => {
    const files = { [`${vda1}/other.apkovl.tar.gz`]: overlayOf('x') }
    const said = await refusal(byPath('/x.apkovl.tar.gz'), { files }, { media: [{ target: vda1 }] })
    expect(said).toContain(`looked for: /x.apkovl.tar.gz, ${vda1}/x.apkovl.tar.gz`)
    expect(said).toContain(`${vda1}/other.apkovl.tar.gz`)
  })

  it('a device with a path, and one without that has one', async () => {
    const files = {
      [`${vda1}/d/y.tar.gz`]: overlayOf('y'),
      [`${vda1}/x.apkovl.tar.gz`]: overlayOf('x'),
    }
    expect((await unpack(onDevice('/d/y.tar.gz'), { files }, at(vda1, []))).hostname).toBe('y')
    expect((await unpack(onDevice(undefined), { files }, at(vda1, []))).hostname).toBe('x')
  })

  it('a device without one, with several, or that is not there', async () => {
    const none = await refusal(onDevice(undefined), { files: { [`${vda1}/boot/x`]: 'x' } }, at(vda1, []))
    expect(none).toMatch(/no overlay \(\*\.apkovl\.tar\.gz\) is at the root of LABEL=APKOVL\nthere are: boot/)
    const files = { [`${vda1}/a.apkovl.tar.gz`]: 'a', [`${vda1}/b.apkovl.tar.gz`]: 'b' }
    expect(await refusal(onDevice(undefined), { files }, at(vda1, []))).toMatch(/several overlays are there/)
    expect(await refusal(onDevice(undefined))).toMatch(/LABEL=APKOVL, which is not there/)
  })
})

describe('optional', () => {
  const optional = true

  it.each([
    ['on a server', byUrl({ optional }), /404/],
    ['on a medium', byPath('/x.apkovl.tar.gz', { optional }), /is not there/],
    ['on a device that is not there', onDevice(undefined, { optional }), /LABEL=APKOVL/],
  ])('a missing one %s is excused, with a word', async (_, plan, why) => {
    const { hostname, warned } = await unpack(plan)
    expect(hostname).toBeUndefined()
    expect(warned.join()).toMatch(why)
  })

  it('one that stops in the middle leaves nothing in the root', async () => {
    const servers = { [url]: { body: overlayOf('half'), truncateAt: 60 } }
    const { hostname, warned } = await unpack(byUrl({ optional }), { servers })
    expect(hostname).toBeUndefined()
    expect(warned).toHaveLength(1)
  })

  it('one that is damaged, or no overlay, is refused all the same', async () => {
    const servers = { [url]: { body: '<html>' } }
    expect(await refusal(byUrl({ optional }), { servers })).toMatch(/damaged, or is no tar\.gz/)
  })
})
