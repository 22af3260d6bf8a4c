/**
 * A machine that exists only in a test: it implements `Sys` on a memory file system, a virtual clock and scripted
 * links, servers and programs, and refuses what the host refuses, with the same codes.
 */

import type { Console, Device, Link, Sys } from '../../../src/sys/index.ts'
import { VirtualClock } from './clock.ts'
import { FakeConsoles } from './consoles.ts'
import { type DeviceScript, FakeDevices, FakeModules, type ModuleScript } from './devices.ts'
import { Faults } from './faults.ts'
import { FakeFiles } from './files.ts'
import { FileSystem, type Seed } from './filesystem.ts'
import { FakeMounts, type Media } from './mounts.ts'
import { FakeNetwork, type LinkScript } from './network.ts'
import { FakePackages } from './packages.ts'
import { FakePipelines } from './pipelines.ts'
import { FakeProcesses, type Program } from './processes.ts'
import { type Answer, FakeServers, type Server } from './servers.ts'
import { FakeSupervisor } from './supervisor.ts'
import { MountTree } from './tree.ts'

export { VirtualClock } from './clock.ts'
export type { DeviceScript, ModuleScript } from './devices.ts'
export { type DhcpScript, type DhcpServerOptions, dhcpServer } from './dhcp.ts'
export type { Fault } from './faults.ts'
export type { Seed } from './filesystem.ts'
export type { Media } from './mounts.ts'
export type { LinkScript } from './network.ts'
export type { Program, Ran } from './processes.ts'
export type { Answer, Server } from './servers.ts'
export { makeTar, readTar, type TarEntry, type TarSource } from './tar.ts'

export interface MachineOptions {
  /** The kernel command line. */
  readonly commandLine?: string
  /** Bytes. Default 512 MiB. */
  readonly memory?: number
  /** What the initramfs holds, besides empty directories. */
  readonly files?: Readonly<Record<string, Seed>>
  /** /proc, /sys and /dev are not mounted yet, as for the first program of a boot. */
  readonly bare?: boolean
  /** What /proc and /sys show besides, by the paths they have when mounted there. */
  readonly kernel?: Readonly<Record<string, Seed>>
  /** Default: ttyS0, preferred. */
  readonly consoles?: readonly Console[]
  /** Without any, servers can be reached at once. With some, a request needs an address, a route and a carrier. */
  readonly links?: readonly LinkScript[]
  readonly devices?: readonly DeviceScript[]
  /** By name, with `_` for `-`. */
  readonly modules?: Readonly<Record<string, ModuleScript>>
  /** File systems by source: `/dev/vda1`, `10.0.2.2:/export`, an image's path. */
  readonly media?: Readonly<Record<string, Media>>
  /** HTTP and TFTP answers by URL, without user and password; `*` for every other. Unknown ones get 404. */
  readonly servers?: Readonly<Record<string, Answer | Server>>
  /** Addresses of server names; '' for one that does not exist. Others resolve to an address behind the default route. */
  readonly names?: Readonly<Record<string, string>>
  readonly program?: Program
  /** Shared by the machines of a fleet. */
  readonly clock?: VirtualClock
  readonly seed?: number
}

export interface FakeMachine extends Sys {
  readonly clock: VirtualClock
  readonly files: FakeFiles
  readonly mounts: FakeMounts
  readonly modules: FakeModules
  readonly devices: FakeDevices
  readonly network: FakeNetwork
  readonly pipelines: FakePipelines
  readonly packages: FakePackages
  readonly processes: FakeProcesses
  readonly consoles: FakeConsoles
  readonly supervisor: FakeSupervisor
  readonly servers: FakeServers
  /** Operations that a test orders to fail. */
  readonly faults: Faults
  /** Lets virtual time pass until the promise has settled. */
  run<T>(promise: Promise<T>): Promise<T>
}

const SERIAL: Console = { device: '/dev/ttyS0', screen: false, preferred: true }

export function fakeMachine(options: MachineOptions = {}): FakeMachine {
  const clock = options.clock ?? new VirtualClock({ seed: options.seed ?? 1 })
  const faults = new Faults()
  const memory = options.memory ?? 512 * 2 ** 20
  const consoles = options.consoles ?? [SERIAL]
  const kernel = kernelFileSystems(options, memory, consoles)
  const tree = new MountTree(new FileSystem({ type: 'rootfs', device: '0:2' }))
  const files = new FakeFiles(tree, faults)
  for (const directory of ['/proc', '/sys', '/dev', '/run', '/tmp', '/etc']) files.makeDirectories(directory)
  for (const [path, seed] of Object.entries(options.files ?? {})) files.seed(path, seed)

  const media = new Map(Object.entries(options.media ?? {}))
  const mounts = new FakeMounts({ tree, clock, faults, media, kernel, memory })
  if (!options.bare) {
    for (const [type, target] of [
      ['proc', '/proc'],
      ['sysfs', '/sys'],
      ['devtmpfs', '/dev'],
    ] as const) {
      tree.mounts.push({
        target,
        parent: tree.mountOf('/'),
        source: type,
        type,
        options: ['rw'],
        fileSystem: kernel[type],
        base: '/',
      })
    }
  }

  kernel.proc.showLive('/meminfo', () => {
    const available = memory * 0.9 - memoryUsed(tree)
    return `MemTotal: ${memory / 1024} kB\nMemAvailable: ${Math.floor(available / 1024)} kB\n`
  })
  kernel.proc.showLive('/self/mountinfo', () => mountinfo(tree))

  const network = new FakeNetwork(clock, faults, (link) => showLink(kernel.sysfs, link))
  const devices = new FakeDevices((device) => showDevice(kernel, device))
  const appear = (module: string | undefined) => {
    for (const script of options.devices ?? []) {
      if (script.module === module) soon(clock, script.afterMs, () => devices.appear(script))
    }
    for (const script of options.links ?? []) {
      if (script.module !== module) continue
      soon(clock, script.appearsAfterMs, () => {
        network.appear(script)
        const path = `devices/virtual/net/${script.name}`
        devices.appear({ path, subsystem: 'net', environment: { INTERFACE: script.name } })
      })
    }
  }
  kernel.proc.showLive('/modules', () =>
    [...modules.loaded.keys()].map((name) => `${name} 4096 0 - Live\n`).join(''),
  )
  const modules = new FakeModules({ clock, faults, scripts: options.modules ?? {}, arrived: appear })
  appear(undefined)

  const servers = new FakeServers({
    clock,
    files,
    network: options.links === undefined ? undefined : network,
    answers: new Map(Object.entries(options.servers ?? {})),
    names: options.names ?? {},
  })
  const packages = new FakePackages(files, faults)
  return {
    clock,
    files,
    mounts,
    modules,
    devices,
    network,
    pipelines: new FakePipelines(files, servers, packages, faults),
    packages,
    processes: new FakeProcesses(clock, faults, files, options.program ?? (() => undefined)),
    consoles: new FakeConsoles(clock, faults, consoles),
    supervisor: new FakeSupervisor(faults, files),
    servers,
    faults,
    run: (promise) => clock.run(promise),
  }
}

/** What is in memory file systems is what the machine has less. */
function memoryUsed(tree: MountTree): number {
  const inMemory = tree.mounts.filter(({ type }) => type === 'tmpfs' || type === 'rootfs')
  return [...new Set(inMemory.map((mount) => mount.fileSystem))].reduce((sum, { used }) => sum + used, 0)
}

/** proc_pid_mountinfo(5). */
function mountinfo(tree: MountTree): string {
  return tree.mounts
    .map(({ fileSystem, parent, base, target, options, type, source }, index) => {
      const above = parent === undefined ? 0 : tree.mounts.indexOf(parent) + 1
      return `${index + 1} ${above} ${fileSystem.device} ${base} ${target} ${options.join(',')} - ${type} ${source} rw\n`
    })
    .join('')
}

function soon(clock: VirtualClock, afterMs: number | undefined, act: () => void): void {
  if (afterMs === undefined || afterMs === 0) act()
  else clock.after(afterMs, act)
}

function kernelFileSystems(options: MachineOptions, memory: number, consoles: readonly Console[]) {
  const proc = new FileSystem({ type: 'proc', device: '0:20' })
  const sysfs = new FileSystem({ type: 'sysfs', device: '0:21' })
  const devtmpfs = new FileSystem({ type: 'devtmpfs', device: '0:5' })
  proc.seed('/cmdline', `${options.commandLine ?? ''}\n`)
  proc.seed('/consoles', consoles.map(consoleLine).join(''))
  proc.seed(
    '/meminfo',
    `MemTotal: ${memory / 1024} kB\nMemAvailable: ${Math.floor((memory * 0.9) / 1024)} kB\n`,
  )
  proc.seed('/filesystems', 'nodev\tsysfs\nnodev\ttmpfs\nnodev\tproc\nnodev\tdevtmpfs\n\text4\n')
  proc.seed('/version', 'Linux version 6.1.0-fake (test) #1 SMP\n')
  proc.seed('/sys/kernel/osrelease', '6.1.0-fake\n')
  proc.seed('/sys/kernel/hostname', '(none)\n')
  proc.seed('/sys/kernel/random/boot_id', '00000000-0000-4000-8000-000000000001\n')
  for (const directory of [
    '/block',
    '/bus',
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

function showLink(sysfs: FileSystem, link: Link): void {
  const directory = `/devices/virtual/net/${link.name}`
  sysfs.seed(`${directory}/address`, `${link.mac}\n`)
  sysfs.seed(`${directory}/uevent`, `INTERFACE=${link.name}\nIFINDEX=${link.index}\n`)
  sysfs.seed(`/class/net/${link.name}`, { symlink: `../..${directory}` })
}

function showDevice(kernel: { sysfs: FileSystem; devtmpfs: FileSystem }, device: Device): void {
  const facts = {
    DEVNAME: device.devname,
    DRIVER: device.driver,
    MODALIAS: device.modalias,
    PCI_CLASS: device.pciClass,
  }
  const lines = Object.entries(facts).flatMap(([key, value]) =>
    value === undefined ? [] : [`${key}=${value}\n`],
  )
  kernel.sysfs.seed(`/${device.path}/uevent`, lines.join(''))
  if (device.modalias !== undefined) kernel.sysfs.seed(`/${device.path}/modalias`, `${device.modalias}\n`)
  if (device.devname === undefined) return
  const node = device.subsystem === 'block' ? 'block' : 'char'
  kernel.devtmpfs.seed(`/${device.devname}`, { node, device: '254:0' })
}
