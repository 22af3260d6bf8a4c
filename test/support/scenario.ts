/**
 * A whole network boot, small: one card behind a bus, a lease, an overlay and a signed repository of three packages. Tests
 * change what they are about.
 */

import {
  generateKey,
  indexText,
  loadKey,
  makePackage,
  type Package,
  type PackageSpec,
  type SigningKey,
  signed,
  unsignedIndex,
} from '../../scripts/repository/apk.ts'
import { makeOverlay } from '../../scripts/repository/overlay.ts'
import { file, symlink } from '../../scripts/repository/tar.ts'
import { type Answer, dhcpServer, type MachineOptions, type Server } from './machine/index.ts'

export const key = loadKey('test@diskless-1.rsa.pub', generateKey())
export const stranger = loadKey('stranger@diskless-1.rsa.pub', generateKey())

export const overlayUrl = 'http://10.0.2.2/52:54:00:00:00:01.apkovl.tar.gz'
export const repositoryUrl = 'http://10.0.2.2/apks'
export const indexUrl = `${repositoryUrl}/x86_64/APKINDEX.tar.gz`
export const packageUrl = (pkg: Package) => `${repositoryUrl}/x86_64/${pkg.spec.name}-${pkg.spec.version}.apk`

export const commandLine = `console=ttyS0 ip=dhcp apkovl=http://10.0.2.2/{MAC}.apkovl.tar.gz alpine_repo=${repositoryUrl}`

export function packageOf(spec: Partial<PackageSpec> & { readonly name: string }): Package {
  const whole: PackageSpec = {
    version: '1.0-r0',
    arch: 'x86_64',
    description: `The test’s ${spec.name}`,
    url: 'https://example.org',
    license: 'MIT',
    origin: spec.name,
    built: 1_700_000_000,
    depends: [],
    provides: [],
    replaces: [],
    installIf: [],
    triggers: [],
    scripts: {},
    entries: [],
    ...spec,
  }
  return makePackage(whole, key)
}

export const packages: readonly Package[] = [
  packageOf({ name: 'alpine-base', depends: ['busybox', 'baselayout'] }),
  packageOf({
    name: 'baselayout',
    entries: [
      file('etc/passwd', 'root:x:0:0:root:/root:/bin/sh\n'),
      file('etc/inittab', '::sysinit:/sbin/openrc sysinit\n'),
    ],
  }),
  packageOf({
    name: 'busybox',
    entries: [
      file('bin/busybox', 'not really', 0o755),
      symlink('sbin/init', '/bin/busybox'),
      file('etc/motd', 'busybox’s\n'),
    ],
    scripts: { 'post-install': '#!/bin/busybox sh\n' },
  }),
]

export function makeIndex(of: readonly Package[] = packages, by: SigningKey = key): Buffer {
  return signed(unsignedIndex(indexText(of), 'test'), by, 'RSA256')
}

/** One package fewer than what was signed. */
export function tamperedIndex(): Buffer {
  const before = unsignedIndex(indexText(packages), 'test')
  const signature = signed(before, key, 'RSA256').subarray(0, -before.length)
  return Buffer.concat([signature, unsignedIndex(indexText(packages.slice(1)), 'test')])
}

export const overlay = makeOverlay({
  hostname: 'guest',
  world: ['busybox'],
  runlevels: { boot: ['hostname'] },
})

/** What the servers answer, by URL; `change` wins. */
export function servers(
  change: Readonly<Record<string, Answer | Server>> = {},
): Record<string, Answer | Server> {
  return {
    [overlayUrl]: { body: overlay },
    [indexUrl]: { body: makeIndex() },
    ...Object.fromEntries(packages.map((pkg) => [packageUrl(pkg), { body: pkg.bytes }])),
    ...change,
  }
}

export function networkBoot(change: MachineOptions = {}): MachineOptions {
  return {
    bare: true,
    commandLine,
    files: {
      [`/etc/apk/keys/${key.name}`]: key.publicPem,
      '/sbin/diskless-lease': 'the lease keeper',
      '/etc/diskless/config.json': JSON.stringify({
        buildTime: 1_760_000_000,
        version: '0.1.0',
        shell: { kind: 'open' },
      }),
    },
    kernel: {
      '/proc/sys/kernel/arch': 'x86_64\n',
      '/proc/sys/kernel/printk': '4 4 1 7\n',
      '/sys/class/dmi/id/product_uuid': '6C1F3F4E-0000-4000-8000-525400123456\n',
      '/sys/class/tty/console/active': 'ttyS0\n',
    },
    devices: [
      {
        path: 'devices/pci0000:00/0000:00:03.0',
        subsystem: 'pci',
        modalias: 'pci:v00001AF4d00001000sv00001AF4sd00000001bc02sc00i00',
        pciClass: '020000',
      },
      {
        path: 'devices/pci0000:00/0000:00:03.0/virtio0',
        subsystem: 'virtio',
        modalias: 'virtio:d00000001v00001AF4',
        module: 'virtio_pci',
      },
    ],
    modules: {
      virtio_pci: { aliases: ['pci:v00001AF4d*sv*sd*bc*sc*i*'], loadMs: 20 },
      virtio_net: { aliases: ['virtio:d00000001v*'], loadMs: 30 },
      af_packet: {},
    },
    links: [{ name: 'eth0', module: 'virtio_net', carrierAfterMs: 50, dhcp: dhcpServer() }],
    servers: servers(),
    program: () => ({ status: 0 }),
    ...change,
  }
}
