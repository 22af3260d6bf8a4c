/**
 * The floor: the least that can boot a root over the network on this kernel. Busybox and exactly the modules needed, one
 * after the other; nothing is detected, nothing is tried again, no error is handled. What it takes is the kernel's time and
 * the network's.
 */

import { writeFileSync } from 'node:fs'
import { basename } from 'node:path'
import { readBusybox } from '../../build/busybox.ts'
import type { Catalog, Module } from '../../build/catalog.ts'
import { compressInitrd } from '../../build/compression.ts'
import { type Entry, writeCpio } from '../../build/cpio.ts'

export interface FloorKind {
  /** Besides those of the network. */
  readonly modules: readonly string[]
  /** Mounts the root at /sysroot: lines for busybox' sh. */
  readonly mount: string
}

/** What a virtio card needs, and DHCP. */
const network = ['virtio_pci', 'virtio_net', 'af_packet']

/** `export`: as the server names it. */
export function nfsFloor(version: '3' | '4.2', server: string, path: string): FloorKind {
  const [type, module] = version === '3' ? ['nfs', 'nfsv3'] : ['nfs4', 'nfsv4']
  const options = `ro,vers=${version},nolock,addr=${server}`
  return { modules: [module], mount: `mount -t ${type} -o ${options} ${server}:${path} /sysroot` }
}

/** Into the initramfs itself, which is memory, as an image that is fetched is elsewhere. */
export function imageFloor(url: string): FloorKind {
  const mount = `wget -q -O /image ${url}\nmount -t squashfs -o ro,loop /image /sysroot`
  return { modules: ['loop', 'squashfs'], mount }
}

const bound = `#!/bin/busybox sh
[ "$1" = bound ] && /bin/busybox ip addr add $ip/24 dev $interface
exit 0
`

export async function makeFloor(kind: FloorKind, catalog: Catalog, file: string): Promise<string> {
  const modules = inOrder(catalog, [...network, ...kind.modules])
  const init = `#!/bin/busybox sh
/bin/busybox --install -s /bin; export PATH=/bin
mount -t proc p /proc; mount -t sysfs s /sys; mount -t devtmpfs d /dev
for m in ${modules.map(fileName).join(' ')}; do insmod /m/$m; done
n=$(ls /sys/class/net | grep -v lo); ip link set $n up
udhcpc -n -q -f -i $n -s /bound >/dev/null 2>&1
${kind.mount}
for d in dev proc sys; do mount --move /$d /sysroot/$d; done
exec switch_root /sysroot /sbin/init
`
  const program = (text: string | Buffer): Entry => ({ kind: 'file', mode: 0o755, bytes: Buffer.from(text) })
  const tree = new Map<string, Entry>([
    ...['proc', 'sys', 'sysroot'].map((name): [string, Entry] => [name, { kind: 'directory', mode: 0o755 }]),
    // The kernel opens it before there is a devtmpfs.
    ['dev/console', { kind: 'character', mode: 0o600, major: 5, minor: 1 }],
    ['bin/busybox', program(readBusybox())],
    ['init', program(init)],
    ['bound', program(bound)],
    ...modules.map((module): [string, Entry] => [`m/${fileName(module)}`, program(catalog.read(module))]),
  ])
  writeFileSync(file, await compressInitrd(writeCpio(tree), 19))
  return file
}

/** Each after those that it needs. */
function inOrder(catalog: Catalog, names: readonly string[]): readonly Module[] {
  const found = new Set<Module>()
  const add = (name: string) => {
    for (const module of catalog.resolve(name)) {
      if (found.has(module)) continue
      for (const needed of module.depends) add(needed)
      found.add(module)
    }
  }
  for (const name of names) add(name)
  return [...found]
}

function fileName({ path }: Module): string {
  return basename(path)
}
