/** `sys.devices` and `sys.modules` of the fake machine: hardware that appears, and the drivers that make it appear. */

import type { Device, Devices, ErrorCode, Events, Modules, Uevent } from '../../../src/sys/index.ts'
import type { VirtualClock } from './clock.ts'
import { Broadcast } from './events.ts'
import { type Faults, refusal } from './faults.ts'

export interface DeviceScript extends Partial<Device> {
  /** Below /sys, without it: `devices/pci0000:00/0000:00:03.0`. */
  readonly path: string
  /** It appears when this module is loaded; at once when absent. */
  readonly module?: string
  /** Milliseconds from then (or from the start) until it appears. */
  readonly afterMs?: number
  /** Further keys of its uevent. */
  readonly environment?: Readonly<Record<string, string>>
}

export interface ModuleScript {
  /** As in modules.alias: `virtio:d00000001v*`. */
  readonly aliases?: readonly string[]
  readonly dependencies?: readonly string[]
  readonly loadMs?: number
  readonly fails?: { readonly code: ErrorCode; readonly message?: string }
}

export class FakeDevices implements Devices {
  readonly #there = new Map<string, Device>()
  readonly #events = new Broadcast<Uevent>()
  readonly #appeared: (device: Device) => void

  constructor(appeared: (device: Device) => void) {
    this.#appeared = appeared
  }

  async list(): Promise<readonly Device[]> {
    return [...this.#there.values()]
  }

  watch(signal: AbortSignal): Events<Uevent> {
    return this.#events.open(signal)
  }

  appear(script: DeviceScript): void {
    const device: Device = {
      path: script.path,
      subsystem: script.subsystem,
      modalias: script.modalias,
      pciClass: script.pciClass,
      driver: script.driver,
      devname: script.devname,
    }
    this.#there.set(script.path, device)
    this.#appeared(device)
    this.event('add', script.path, script.environment)
  }

  disappear(path: string): void {
    this.event('remove', path)
    this.#there.delete(path)
  }

  /** Sends a uevent of a device. */
  event(action: Uevent['action'], path: string, extra: Readonly<Record<string, string>> = {}): void {
    const device = this.#there.get(path)
    const devpath = `/${path}`
    const subsystem = device?.subsystem ?? ''
    const environment: Record<string, string> = {
      ACTION: action,
      DEVPATH: devpath,
      SUBSYSTEM: subsystem,
      ...extra,
    }
    if (device?.modalias !== undefined) environment.MODALIAS = device.modalias
    if (device?.devname !== undefined) environment.DEVNAME = device.devname
    this.#events.send({ action, devpath, subsystem, environment })
  }
}

export class FakeModules implements Modules {
  /** In the order in which they were loaded, with their parameters. */
  readonly loaded = new Map<string, string>()
  readonly #clock: VirtualClock
  readonly #faults: Faults
  readonly #scripts: Readonly<Record<string, ModuleScript>>
  readonly #arrived: (name: string) => void
  readonly #loading = new Map<string, Promise<void>>()

  constructor(options: {
    readonly clock: VirtualClock
    readonly faults: Faults
    readonly scripts: Readonly<Record<string, ModuleScript>>
    readonly arrived: (name: string) => void
  }) {
    this.#clock = options.clock
    this.#faults = options.faults
    this.#scripts = options.scripts
    this.#arrived = options.arrived
  }

  async match(modaliases: readonly string[]): Promise<readonly string[]> {
    return [...new Set(modaliases.flatMap((modalias) => this.#byAlias(modalias)))]
  }

  async load(name: string, parameters = ''): Promise<void> {
    this.#faults.check('modules.load', name)
    const plain = name.replaceAll('-', '_')
    const wanted = this.#scripts[plain] === undefined ? this.#byAlias(name) : [plain]
    if (wanted.length === 0) throw refusal('ENOENT', 'modules.load', name, 'no such module in the initrd')
    for (const each of wanted) await this.#insert(each, parameters)
  }

  #byAlias(alias: string): string[] {
    return Object.keys(this.#scripts).filter((name) =>
      this.#scripts[name]?.aliases?.some((pattern) => globToRegExp(pattern).test(alias)),
    )
  }

  #insert(name: string, parameters: string): Promise<void> {
    const known = this.#loading.get(name)
    if (known !== undefined) return known
    const loading = this.#insertOnce(name, parameters)
    this.#loading.set(name, loading)
    loading.catch(() => this.#loading.delete(name))
    return loading
  }

  async #insertOnce(name: string, parameters: string): Promise<void> {
    const script = this.#scripts[name]
    if (script === undefined) throw refusal('ENOENT', 'modules.load', name, 'no such module in the initrd')
    for (const dependency of script.dependencies ?? []) await this.#insert(dependency, '')
    if (script.loadMs !== undefined) await this.#clock.sleep(script.loadMs)
    if (script.fails) throw refusal(script.fails.code, 'modules.load', name, script.fails.message)
    this.loaded.set(name, parameters)
    this.#arrived(name)
  }
}

/** fnmatch(3), as depmod's tables need it. */
function globToRegExp(pattern: string): RegExp {
  const source = pattern
    .replace(/[.+^${}()|\\]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.')
  return new RegExp(`^${source}$`)
}
