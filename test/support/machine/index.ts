/**
 * A machine that exists only in a test: it implements `Sys` on a memory file system, a virtual clock and scripted
 * links, servers and programs, and refuses what the host refuses, with the same codes.
 */

import type { Console, Sys } from '../../../src/sys/index.ts'
import { VirtualClock } from './clock.ts'
import { FakeConsoles } from './consoles.ts'
import { type DeviceScript, FakeDevices } from './devices.ts'
import { hardwareOf } from './disks.ts'
import { Faults } from './faults.ts'
import { FakeFiles } from './files.ts'
import { FileSystem } from './filesystem.ts'
import { hideDevice, kernelFileSystems, memoryUsed, mountinfo, showDevice, showLink } from './kernel.ts'
import { FakeModules } from './modules.ts'
import { FakeMounts } from './mounts.ts'
import { Names } from './names.ts'
import { FakeNetwork } from './network.ts'
import type { MachineOptions } from './options.ts'
import { FakePackages } from './packages.ts'
import { FakePipelines } from './pipelines.ts'
import { FakeProcesses } from './processes.ts'
import { FakeServers } from './servers.ts'
import { Sources } from './sources.ts'
import { FakeSupervisor } from './supervisor.ts'
import { MountTree } from './tree.ts'
import { FileSystemTypes } from './types.ts'

export { VirtualClock } from './clock.ts'
export type { Typed } from './consoles.ts'
export type { DeviceScript } from './devices.ts'
export { type DhcpScript, type DhcpServerOptions, dhcpServer } from './dhcp.ts'
export type { DiskScript } from './disks.ts'
export type { Fault } from './faults.ts'
export type { Seed } from './filesystem.ts'
export type { Ipv6Script, RouterScript } from './ipv6.ts'
export { type Dhcp6ServerOptions, dhcp6Server } from './ipv6-wire.ts'
export type { LinkScript } from './links.ts'
export { fileSystemOf, type Media } from './media.ts'
export type { ModuleScript } from './modules.ts'
export { type Encryption, encrypt } from './openssl.ts'
export { type MachineOptions, serversDown } from './options.ts'
export type { Program, Ran } from './processes.ts'
export type { Answer, Server } from './servers.ts'
export { makeTar, readTar, type TarEntry, type TarSource } from './tar.ts'

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

  const network = new FakeNetwork(
    clock,
    faults,
    (link, stacked) => showLink(kernel.sysfs, link, stacked),
    () => names,
    (module) => modules.named(module).length === 0 || modules.loaded.has(module),
    options.times,
  )
  const reached = options.links === undefined ? undefined : network
  const names = new Names(files, reached, options.names ?? {})
  const hardware = hardwareOf(options.disks ?? [])
  const scripted: readonly DeviceScript[] = [...(options.devices ?? []), ...hardware.devices]
  const modules = new FakeModules({
    clock,
    faults,
    scripts: options.modules ?? {},
    arrived: (name) => appear(name),
  })
  const sources = new Sources({
    tree,
    media: new Map(Object.entries({ ...hardware.media, ...options.media })),
    images: new Map(Object.entries(options.images ?? {})),
    missing: (path) => {
      const is = ({ devname }: DeviceScript) => devname !== undefined && `/dev/${devname}` === path
      return scripted.some(is) && !devices.has(path.slice('/dev/'.length))
    },
  })
  const devices = new FakeDevices({
    clock,
    faults,
    modules,
    sources,
    appeared: (device, environment) => showDevice(kernel, device, environment),
    gone: (device) => hideDevice(kernel, device),
  })
  const types = new FileSystemTypes(modules, options.fileSystems)
  kernel.proc.showLive('/filesystems', () => types.text())
  const mounts = new FakeMounts({
    ...{ tree, clock, faults, sources, types, kernel, memory },
    network: reached,
    unused: (source) => devices.release(source),
  })
  const appear = (module: string | undefined) => {
    for (const script of scripted) {
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
  appear(undefined)

  const servers = new FakeServers({
    clock,
    network: reached,
    answers: new Map(Object.entries(options.servers ?? {})),
    names,
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
    consoles: new FakeConsoles({
      ...{ clock, faults, files, consoles, typed: options.typed ?? [] },
      lines: (options.lines ?? []).map((name) => `/dev/${name}`),
    }),
    supervisor: new FakeSupervisor(faults, files),
    servers,
    faults,
    run: (promise) => clock.run(promise),
  }
}

function soon(clock: VirtualClock, afterMs: number | undefined, act: () => void): void {
  if (afterMs === undefined || afterMs === 0) act()
  else clock.after(afterMs, act)
}
