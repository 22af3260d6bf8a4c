/**
 * The peers' initrds, each made by its own program in a Debian tree of its own: mmdebstrap(1) unpacks it from the sources that
 * this machine's apt has, and nothing is installed here. Needs root. The options are those with which each boots a virtio
 * machine at all (docs/measured.md says why).
 */

import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Kernel } from '../../build/kernel.ts'
import { packageSources } from '../../test/support/debian.ts'

const run = promisify(execFile)
const roomy = { maxBuffer: 1 << 28 }

export interface Peer {
  readonly name: string
  /** Debian's packages, besides the essential ones. */
  readonly packages: readonly string[]
  /** Files that configure it, by path in its tree. */
  readonly files: Readonly<Record<string, string>>
  /** For sh in the tree: writes /initrd. `$V` is the kernel's version. */
  readonly make: string
}

const initramfs = 'mkinitramfs -o /initrd $V'
const noHooks: Readonly<Record<string, string>> = {
  // Nothing that lies in the tree by chance decides what goes in.
  'etc/fstab': '',
  'etc/hostname': 'peer\n',
}

/** As a file of /etc/initramfs-tools/conf.d. */
const configuration = (modules: string) => ({
  ...noHooks,
  'etc/initramfs-tools/conf.d/bench': `MODULES=${modules}\nBUSYBOX=auto\nCOMPRESS=zstd\nRESUME=none\n`,
})

/** dracut 059 needs network-legacy to boot by `ip=dhcp`, and procps, isc-dhcp-client for it. */
const dracutPackages = [
  'dracut-core',
  'dracut-network',
  'procps',
  'isc-dhcp-client',
  'kmod',
  'mount',
  'udev',
  'zstd',
]

export const peers = {
  'initramfs-tools': {
    name: 'initramfs-tools',
    packages: ['initramfs-tools', 'busybox', 'nfs-common', 'zstd'],
    files: configuration('netboot'),
    make: initramfs,
  },
  dracut: {
    name: 'dracut, lean',
    packages: [...dracutPackages, 'nfs-common'],
    files: noHooks,
    make:
      'dracut --force --no-hostonly --kver $V --zstd' +
      ' -m "base udev-rules fs-lib shutdown network-legacy network kernel-network-modules nfs"' +
      ' --add-drivers "virtio_pci virtio_net af_packet" /initrd',
  },
  livenet: {
    name: 'dracut livenet',
    packages: [...dracutPackages, 'dracut-live', 'nfs-common', 'dmsetup', 'curl', 'e2fsprogs', 'parted'],
    files: noHooks,
    make:
      'dracut --force --no-hostonly --kver $V --zstd --add "network-legacy livenet"' +
      ' --omit "systemd systemd-initrd dracut-systemd systemd-networkd" /initrd',
  },
  'live-boot': {
    name: 'live-boot',
    packages: ['live-boot', 'live-boot-initramfs-tools', 'busybox', 'mount', 'udev', 'wget', 'zstd'],
    files: configuration('most'),
    make: initramfs,
  },
} as const satisfies Readonly<Record<string, Peer>>

/** Resolves with the path of its initrd, which is made anew only when something here or the kernel has changed. */
export async function makePeer(peer: Peer, kernel: Kernel, directory: string): Promise<string> {
  const place = join(directory, peer.name.replace(/\W+/g, '-'))
  const initrd = `${place}.img`
  const mark = `${place}.stamp`
  const wanted = createHash('sha256')
    .update(JSON.stringify([peer, kernel.version]))
    .digest('hex')
  if (existsSync(initrd) && existsSync(mark) && readFileSync(mark, 'utf8') === wanted) return initrd
  await unpack(peer, place)
  for (const [path, text] of Object.entries(peer.files)) {
    mkdirSync(join(place, path, '..'), { recursive: true })
    writeFileSync(join(place, path), text)
  }
  await inTree(place, kernel, peer.make)
  renameSync(join(place, 'initrd'), initrd)
  writeFileSync(mark, wanted)
  return initrd
}

/** Kept: unpacking takes a minute, and a peer's options change more often than its packages. */
async function unpack(peer: Peer, tree: string): Promise<void> {
  const mark = `${tree}.packages`
  const wanted = peer.packages.join(' ')
  if (existsSync(mark) && existsSync(tree) && readFileSync(mark, 'utf8') === wanted) return
  // A run that was killed may have left the kernel's own file systems mounted in it.
  await run('rm', ['-rf', '--one-file-system', mark, tree])
  const sources = `${tree}.list`
  writeFileSync(sources, await packageSources())
  const words = ['--mode=root', '--variant=essential', `--include=${peer.packages.join(',')}`]
  // No suite: that of the sources.
  await run('mmdebstrap', [...words, '', tree, sources], roomy)
  rmSync(sources)
  writeFileSync(mark, wanted)
}

/** In a mount namespace of its own, where the kernel's modules and configuration are in the tree as if it had them. */
async function inTree(tree: string, { image, modules, version }: Kernel, script: string): Promise<void> {
  const boot = join(image, '..')
  const binds = [
    [modules, `usr/lib/modules/${version}`],
    [boot, 'boot'],
    ['/proc', 'proc'],
    ['/sys', 'sys'],
    ['/dev', 'dev'],
  ]
  for (const [, to = ''] of binds) mkdirSync(join(tree, to), { recursive: true })
  const mounts = binds.map(([from, to]) => `mount --rbind '${from}' '${tree}/${to}'`)
  const inside = `V=${version}; export PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C; ${script}`
  const words = ['--mount', '--propagation', 'private', 'sh', '-ec']
  await run('unshare', [...words, [...mounts, `exec chroot '${tree}' sh -ec '${inside}'`].join('\n')], roomy)
}
