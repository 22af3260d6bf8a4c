/** Which root a kernel command line asks for: each way of saying it, and what is said of a wrong one. */
import { describe, expect, it } from 'vitest'
import { parseCommandLine } from '../../../src/boot/command-line.ts'
import { needsNetwork, planRoot } from '../../../src/boot/root-plan.ts'
import { readSettings } from '../../../src/boot/settings.ts'

const plan = (line: string) => planRoot(readSettings(parseCommandLine(line)))

describe('a root', () => {
  it.each([
    ['', { kind: 'ram', overlay: { kind: 'search' }, medium: undefined }],
    ['root=/dev/ram0', { kind: 'ram' }],
    [
      'ip=dhcp alpine_dev=nfs:10.0.0.1:/srv/nfs/depot,vers=3',
      {
        kind: 'ram',
        medium: {
          kind: 'nfs',
          share: { server: '10.0.0.1', path: '/srv/nfs/depot', options: ['vers=3'] },
        },
      },
    ],
    [
      'alpine_dev=sda1:vfat',
      { kind: 'ram', medium: { kind: 'device', place: { device: { path: '/dev/sda1' }, fsType: 'vfat' } } },
    ],
    [
      'ovl_dev=http://a/b.apkovl.tar.gz',
      { overlay: { kind: 'url', urls: ['http://a/b.apkovl.tar.gz'], optional: false } },
    ],
    [
      'apkovl=http://a/{MAC}.apkovl.tar.gz|https://[fd00::1]/b.apkovl.tar.gz modloop=http://a/m-lts|http://b/m-lts',
      {
        overlay: {
          kind: 'url',
          urls: ['http://a/{MAC}.apkovl.tar.gz', 'https://[fd00::1]/b.apkovl.tar.gz'],
        },
        modules: { kind: 'fetched-modloop', urls: ['http://a/m-lts', 'http://b/m-lts'] },
      },
    ],
    [
      'root=live:http://a/i.squashfs|tftp://b/i.squashfs',
      { kind: 'image', image: { kind: 'url', urls: ['http://a/i.squashfs', 'tftp://b/i.squashfs'] } },
    ],
    // A name may have a bar in it.
    ['apkovl=/a|b.apkovl.tar.gz', { overlay: { kind: 'path', path: '/a|b.apkovl.tar.gz' } }],
    [
      'apkovl=LABEL=KEYS:/b.apkovl.tar.gz',
      {
        overlay: {
          kind: 'device',
          place: { device: { kind: 'label', value: 'KEYS' }, path: '/b.apkovl.tar.gz' },
        },
      },
    ],
    ['diskless.modules=keep', { modules: { kind: 'keep' } }],
    [
      'modloop=http://a/modloop-lts',
      { modules: { kind: 'fetched-modloop', urls: ['http://a/modloop-lts'] } },
    ],
    ['modloop=boot/modloop-lts', { modules: { kind: 'modloop', path: '/boot/modloop-lts' } }],
    ['root=/dev/nfs ip=dhcp', { kind: 'nfs', share: 'lease', writable: 'overlay' }],
    ['root=dhcp diskless.nfsroot=links', { kind: 'nfs', share: 'lease', writable: 'links' }],
    [
      'root=/dev/nfs nfsroot=10.0.0.1:/r,vers=3,rw',
      { kind: 'nfs', share: { server: '10.0.0.1', path: '/r', options: ['vers=3', 'rw'] } },
    ],
    ['root=nfs:/r', { kind: 'nfs', share: { server: undefined, path: '/r' } }],
    [
      'root=/dev/ram0 init=/linuxrc looptype=squashfs loop=/image.squashfs cdroot dokeymap',
      {
        kind: 'image',
        fsType: 'squashfs',
        copy: 'auto',
        image: { kind: 'path', path: '/image.squashfs', medium: 'any' },
      },
    ],
    [
      'root=/dev/nfs nfsroot=10.0.0.1:/boot,rw loop=/cd/image.squashfs cdroot',
      {
        kind: 'image',
        image: {
          kind: 'nfs',
          share: { server: '10.0.0.1', path: '/boot', options: ['rw'] },
          path: '/cd/image.squashfs',
        },
      },
    ],
    ['root=nfs:/boot loop=i.erofs', { image: { kind: 'nfs', share: { path: '/boot' }, path: '/i.erofs' } }],
    [
      'alpine_dev=nfs:a:/b loop=/i.erofs cdroot',
      { image: { kind: 'nfs', share: { server: 'a', path: '/b' }, path: '/i.erofs' } },
    ],
    [
      'alpine_dev=LABEL=LIVE loop=/i.erofs',
      { image: { kind: 'path', path: '/i.erofs', medium: { kind: 'label', value: 'LIVE' } } },
    ],
    [
      'root=live:nfs:a:/b/i.erofs loop=/x',
      { image: { kind: 'nfs', share: { server: 'a', path: '/b' }, path: '/i.erofs' } },
    ],
    [
      'root=live:http://a/i.squashfs',
      { kind: 'image', image: { kind: 'url', urls: ['http://a/i.squashfs'] } },
    ],
    [
      'root=live:LABEL=CD:/i.erofs diskless.image=place',
      {
        kind: 'image',
        copy: 'place',
        image: { kind: 'path', path: '/i.erofs', medium: { kind: 'label', value: 'CD' } },
      },
    ],
    [
      'root=UUID=abc rw rootfstype=xfs rootflags=noatime',
      {
        kind: 'disk',
        device: { kind: 'uuid', value: 'abc' },
        fsType: 'xfs',
        options: ['rw', 'noatime'],
        waitMs: 30_000,
      },
    ],
    [
      'root=/dev/sda1 rootfstype=ramfs rootwait',
      { kind: 'disk', fsType: undefined, options: ['ro'], waitMs: undefined },
    ],
    ['root=/dev/sda1 rootdelay=90 overlaytmpfs', { kind: 'disk', waitMs: 90_000, overlay: true }],
  ])('of %s', (line, wanted) => expect(plan(line)).toMatchObject(wanted))

  it.each([
    ['apkovl=http://a/b ovl_dev=sda1', /both name an overlay/],
    ['root=/dev/nfs nfsroot=nonsense', /is not an NFS share/],
    ['root=nfs:/r diskless.nfsroot=hardlinks', /neither overlay nor links/],
    ['root=/dev/nfs loop=/i', /which share has the image/],
    ['root=dhcp loop=/i', /which share has the image/],
    ['loop=/i looptype=ext4', /looptype=ext4 is not supported/],
    ['root=ZFS=tank/root', /ZFS pool/],
    ['root=live:http://a/i diskless.image_sha256=12', /not a SHA-256 digest/],
    ['alpine_dev=nfs:nonsense', /is not an NFS share/],
    ['diskless.modules=drop', /the one value is keep/],
  ])('of %s is refused', (line, words) => expect(() => plan(line)).toThrow(words))

  it.each([
    ['root=nfs:/r', true],
    ['root=live:http://a/i', true],
    ['loop=/i', false],
    ['root=/dev/nfs nfsroot=/b loop=/i', true],
    ['root=/dev/sda1', false],
    ['alpine_dev=nfs:a:/b', true],
    ['alpine_dev=sda1', false],
    ['modloop=http://a/m', true],
    ['', false],
  ])('of %s needs the network: %s', (line, needed) => expect(needsNetwork(plan(line))).toBe(needed))
})
