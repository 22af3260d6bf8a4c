/**
 * The peers' initrds, each made by its own program in a Debian tree of its own: mmdebstrap(1) unpacks it from the sources that
 * this machine's apt has, and nothing is installed here. Needs root. The options are those with which each boots a virtio
 * machine at all.
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
  /** The same with exactly these modules, as far as it lets one choose, and compressed as ours. */
  readonly withModules: (names: readonly string[]) => Partial<Peer>
}

/** As files of /etc/initramfs-tools. */
function initramfsTools(
  choice: string,
  names: readonly string[] = [],
  level = '',
): Partial<Peer> & Pick<Peer, 'files' | 'make'> {
  const settings = [`MODULES=${choice}`, 'BUSYBOX=auto', 'COMPRESS=zstd', level, 'RESUME=none']
  const files = {
    'etc/initramfs-tools/conf.d/bench': `${settings.join('\n')}\n`,
    'etc/initramfs-tools/modules': names.map((name) => `${name}\n`).join(''),
    'etc/fstab': '',
  }
  return { files, make: 'mkinitramfs -o /initrd $V' }
}

const initramfsWithModules = (names: readonly string[]) => initramfsTools('list', names, 'COMPRESSLEVEL=19')

/** dracut 059 needs network-legacy to boot by `ip=dhcp`, and procps and isc-dhcp-client for that. */
const dracutPackages = [
  ...['dracut-core', 'dracut-network', 'procps', 'isc-dhcp-client', 'kmod', 'mount', 'udev', 'zstd'],
]

const dracut = (...options: string[]) => `dracut --force --no-hostonly --kver $V ${options.join(' ')} /initrd`

const leanModules = 'base udev-rules fs-lib shutdown network-legacy network nfs'

export const peers = {
  initramfs: {
    name: 'initramfs-tools',
    packages: ['initramfs-tools', 'busybox', 'nfs-common', 'zstd'],
    ...initramfsTools('netboot'),
    withModules: initramfsWithModules,
  },
  dracut: {
    name: 'dracut, lean',
    packages: [...dracutPackages, 'nfs-common'],
    files: {},
    make: dracut(
      `--zstd -m "${leanModules} kernel-network-modules"`,
      '--add-drivers "virtio_pci virtio_net af_packet"',
    ),
    withModules: (names) => ({
      make: dracut(`--compress "zstd -19 -T1" -m "${leanModules}" --drivers "${names.join(' ')}"`),
    }),
  },
  livenet: {
    name: 'dracut livenet',
    packages: [...dracutPackages, 'dracut-live', 'nfs-common', 'dmsetup', 'curl', 'e2fsprogs', 'parted'],
    files: {},
    make: dracut(
      '--zstd --add "network-legacy livenet"',
      '--omit "systemd systemd-initrd dracut-systemd systemd-networkd"',
    ),
    withModules: (names) => ({
      make: dracut(
        `--compress "zstd -19 -T1" -m "base udev-rules fs-lib shutdown network-legacy network livenet"`,
        `--drivers "${names.join(' ')}"`,
      ),
    }),
  },
  live: {
    name: 'live-boot',
    packages: ['live-boot', 'live-boot-initramfs-tools', 'busybox', 'mount', 'udev', 'wget', 'zstd'],
    ...initramfsTools('most'),
    withModules: initramfsWithModules,
  },
} as const satisfies Readonly<Record<string, Peer>>

/** Kernel parameters for dracut: one that fails is to end. */
export const noShell = 'rd.shell=0 rd.emergency=poweroff'

/**
 * Resolves with the path of its initrd, as it usually is or with these modules; made anew only when something here or the kernel
 * has changed. Rejects when its packages cannot be had, or are not enough.
 */
export async function makePeer(
  usual: Peer,
  kernel: Kernel,
  directory: string,
  modules?: readonly string[],
): Promise<string> {
  const peer: Peer = modules === undefined ? usual : { ...usual, ...usual.withModules(modules) }
  const name = modules === undefined ? peer.name : `${peer.name} same modules`
  const tree = join(directory, fileName(peer.name))
  const initrd = join(directory, `${fileName(name)}.img`)
  const mark = `${initrd}.stamp`
  const wanted = createHash('sha256')
    .update(JSON.stringify([peer, kernel.version]))
    .digest('hex')
  if (existsSync(initrd) && existsSync(mark) && readFileSync(mark, 'utf8') === wanted) return initrd
  await unpack(peer, tree)
  for (const [path, text] of Object.entries(peer.files)) {
    mkdirSync(join(tree, path, '..'), { recursive: true })
    writeFileSync(join(tree, path), text)
  }
  await inTree(tree, kernel, peer.make)
  renameSync(join(tree, 'initrd'), initrd)
  writeFileSync(mark, wanted)
  return initrd
}

function fileName(name: string): string {
  return name.replace(/\W+/g, '-')
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
  const binds = [
    [modules, `usr/lib/modules/${version}`],
    [join(image, '..'), 'boot'],
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
