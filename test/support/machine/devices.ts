/** `sys.devices` of the fake machine: hardware that appears and goes, what is on it, and loop devices. */

import type { Contents, Device, Devices, Events, Uevent } from '../../../src/sys/index.ts'
import type { VirtualClock } from './clock.ts'
import { Broadcast } from './events.ts'
import { type Faults, refusal } from './faults.ts'
import { contentsOf } from './media.ts'
import type { FakeModules } from './modules.ts'
import type { Loop, Sources } from './sources.ts'

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

export class FakeDevices implements Devices {
  readonly #there = new Map<string, Device>()
  readonly #events = new Broadcast<Uevent>()
  readonly #clock: VirtualClock
  readonly #faults: Faults
  readonly #modules: FakeModules
  readonly #sources: Sources
  readonly #appeared: (device: Device, environment: Readonly<Record<string, string>>) => void
  readonly #gone: (device: Device) => void

  constructor(options: {
    readonly clock: VirtualClock
    readonly faults: Faults
    readonly modules: FakeModules
    readonly sources: Sources
    readonly appeared: (device: Device, environment: Readonly<Record<string, string>>) => void
    readonly gone: (device: Device) => void
  }) {
    this.#clock = options.clock
    this.#faults = options.faults
    this.#modules = options.modules
    this.#sources = options.sources
    this.#appeared = options.appeared
    this.#gone = options.gone
  }

  /** Loop devices by name, with the files behind them. */
  get loops(): ReadonlyMap<string, Loop> {
    return this.#sources.loops
  }

  async list(): Promise<readonly Device[]> {
    return [...this.#there.values()]
  }

  watch(signal: AbortSignal): Events<Uevent> {
    return this.#events.open(signal)
  }

  async probe(path: string, timeoutMs: number): Promise<Contents> {
    const operation = 'devices.probe'
    this.#faults.check(operation, path)
    const { media } = this.#sources.readable(operation, path)
    if (media?.probe === undefined) return contentsOf(media)
    if (media.probe !== 'hangs') throw refusal(media.probe, operation, path)
    await this.#clock.sleep(timeoutMs)
    throw refusal('TIMEOUT', operation, path, `did not answer within ${timeoutMs} ms`)
  }

  async attachLoop(
    file: string,
    options: { readonly readOnly: boolean; readonly partitions?: boolean },
  ): Promise<string> {
    this.#faults.check('devices.attachLoop', file)
    if (this.#modules.named('loop').length > 0 && !this.#modules.loaded.has('loop')) {
      throw refusal('ENOENT', 'devices.attachLoop', '/dev/loop-control')
    }
    const loop = this.#sources.attach(file, options)
    for (const device of [loop.device, ...loop.partitions]) {
      const type = device === loop.device ? 'disk' : 'partition'
      this.appear({
        path: loopPath(loop, device),
        subsystem: 'block',
        devname: device.slice('/dev/'.length),
        environment: { DEVTYPE: type },
      })
    }
    return loop.device
  }

  async detachLoop(device: string): Promise<void> {
    this.#faults.check('devices.detachLoop', device)
    if (!this.release(device)) throw refusal('ENXIO', 'devices.detachLoop', device)
  }

  // What the fake machine's other rooms and tests use.

  /** Takes a loop device away; false when it is none. */
  release(device: string): boolean {
    const loop = this.loops.get(device)
    if (loop === undefined) return false
    for (const each of [...loop.partitions, device]) this.disappear(loopPath(loop, each))
    this.#sources.loops.delete(device)
    return true
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
    this.#appeared(device, script.environment ?? {})
    this.event('add', script.path, script.environment)
  }

  disappear(path: string): void {
    const device = this.#there.get(path)
    this.event('remove', path)
    this.#there.delete(path)
    if (device !== undefined) this.#gone(device)
  }

  /** Whether a device of this name (`vda1`) is there now. */
  has(devname: string): boolean {
    return [...this.#there.values()].some((device) => device.devname === devname)
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

function loopPath(loop: Loop, device: string): string {
  const disk = `devices/virtual/block/${loop.device.slice('/dev/'.length)}`
  return device === loop.device ? disk : `${disk}/${device.slice('/dev/'.length)}`
}
