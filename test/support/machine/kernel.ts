/** /proc, /sys and /dev of the fake machine. */

import type { Console, Device, Link, NewLink } from '../../../src/sys/index.ts'
import { FileSystem } from './filesystem.ts'
import type { MachineOptions } from './options.ts'
import type { MountTree } from './tree.ts'

export type Kernel = Readonly<Record<'proc' | 'sysfs' | 'devtmpfs', FileSystem>>

export function kernelFileSystems(
  options: MachineOptions,
  memory: number,
  consoles: readonly Console[],
): Kernel {
  const proc = new FileSystem({ type: 'proc', device: '0:20' })
  const sysfs = new FileSystem({ type: 'sysfs', device: '0:21' })
  const devtmpfs = new FileSystem({ type: 'devtmpfs', device: '0:5' })
  proc.seed('/cmdline', `${options.commandLine ?? ''}\n`)
  proc.seed('/consoles', consoles.map(consoleLine).join(''))
  proc.seed(
    '/meminfo',
    `MemTotal: ${memory / 1024} kB\nMemAvailable: ${Math.floor((memory * 0.9) / 1024)} kB\n`,
  )
  proc.seed('/version', 'Linux version 6.1.0-fake (test) #1 SMP\n')
  proc.seed('/sys/kernel/osrelease', '6.1.0-fake\n')
  proc.seed('/sys/kernel/hostname', '(none)\n')
  proc.seed('/sys/kernel/random/boot_id', '00000000-0000-4000-8000-000000000001\n')
  for (const directory of [
    '/block',
    '/bus',
    '/class/block',
    '/class/net',
    '/class/tty',
    '/class/dmi/id',
    '/devices',
    '/firmware',
    '/module',
  ]) {
    sysfs.makeDirectory(directory, 0o755)
  }
  for (const name of ['null', 'zero', 'random', 'urandom', 'tty', 'console', 'kmsg', 'ptmx']) {
    devtmpfs.makeNode(`/${name}`, 'char', '1:3', 0o666)
  }
  for (const { device } of consoles)
    devtmpfs.seed(device.replace(/^\/dev/, ''), { node: 'char', device: '4:64' })
  for (const name of options.lines ?? []) {
    devtmpfs.seed(`/${name}`, { node: 'char', device: '4:65' })
    sysfs.seed(`/class/tty/${name}/type`, '4\n')
  }
  for (const [path, seed] of Object.entries(options.kernel ?? {})) {
    if (path.startsWith('/proc/')) proc.seed(path.slice(5), seed)
    else if (path.startsWith('/sys/')) sysfs.seed(path.slice(4), seed)
    else throw new Error(`${path} is neither below /proc nor below /sys`)
  }
  return { proc, sysfs, devtmpfs }
}

/** As fs/proc/consoles.c of the kernel writes it: `C` marks the one that /dev/console leads to. */
function consoleLine({ device, screen, preferred }: Console): string {
  const name = device.replace(/^\/dev\//, '').padEnd(20)
  return `${name} -W${screen ? 'U' : '-'} (E${preferred ? 'C' : ' '}p a) 4:64\n`
}

export function showLink(sysfs: FileSystem, link: Link, stacked?: NewLink): void {
  const directory = `/devices/virtual/net/${link.name}`
  sysfs.seed(`${directory}/address`, `${link.mac}\n`)
  sysfs.seed(`${directory}/uevent`, `INTERFACE=${link.name}\nIFINDEX=${link.index}\n`)
  if (stacked?.kind === 'bond') sysfs.seed(`${directory}/bonding/slaves`, '\n')
  sysfs.seed(`/class/net/${link.name}`, { symlink: `../..${directory}` })
}

export function showDevice(
  kernel: Kernel,
  device: Device,
  environment: Readonly<Record<string, string>> = {},
): void {
  const facts = {
    DEVNAME: device.devname,
    DRIVER: device.driver,
    MODALIAS: device.modalias,
    PCI_CLASS: device.pciClass,
    ...environment,
  }
  const lines = Object.entries(facts).flatMap(([key, value]) =>
    value === undefined ? [] : [`${key}=${value}\n`],
  )
  kernel.sysfs.seed(`/${device.path}/uevent`, lines.join(''))
  if (device.modalias !== undefined) kernel.sysfs.seed(`/${device.path}/modalias`, `${device.modalias}\n`)
  if (device.devname === undefined) return
  const node = device.subsystem === 'block' ? 'block' : 'char'
  kernel.devtmpfs.seed(`/${device.devname}`, { node, device: '254:0' })
  if (node === 'block')
    kernel.sysfs.seed(`/class/block/${device.devname}`, { symlink: `../../${device.path}` })
}

export function hideDevice(kernel: Kernel, device: Device): void {
  kernel.sysfs.remove(`/${device.path}`)
  if (device.devname === undefined) return
  kernel.devtmpfs.remove(`/${device.devname}`)
  kernel.sysfs.remove(`/class/block/${device.devname}`)
}

/** What is in memory file systems is what the machine has less. */
export function memoryUsed(tree: MountTree): number {
  const inMemory = tree.mounts.filter(({ type }) => type === 'tmpfs' || type === 'rootfs')
  return [...new Set(inMemory.map((mount) => mount.fileSystem))].reduce((sum, { used }) => sum + used, 0)
}

/** proc_pid_mountinfo(5). */
export function mountinfo(tree: MountTree): string {
  return tree.mounts
    .map(({ fileSystem, parent, base, target, options, type, source }, index) => {
      const above = parent === undefined ? 0 : tree.mounts.indexOf(parent) + 1
      return `${index + 1} ${above} ${fileSystem.device} ${base} ${target} ${options.join(',')} - ${type} ${source} ${fileSystem.readOnly ? 'ro' : 'rw'}\n`
    })
    .join('')
}
