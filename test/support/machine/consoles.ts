/** `sys.consoles` of the fake machine: what a person would have read. */

import type { Console, Consoles } from '../../../src/sys/index.ts'
import type { VirtualClock } from './clock.ts'
import { type Faults, refusal } from './faults.ts'

export class FakeConsoles implements Consoles {
  readonly #clock: VirtualClock
  readonly #faults: Faults
  readonly #consoles: readonly Console[]
  readonly #written = new Map<string, string>()
  readonly #typed = new Map<string, number>()
  readonly #kernel: { at: number; line: string }[] = []

  constructor(clock: VirtualClock, faults: Faults, consoles: readonly Console[]) {
    this.#clock = clock
    this.#faults = faults
    this.#consoles = consoles
  }

  async list(): Promise<readonly Console[]> {
    return this.#consoles
  }

  async write(device: string, text: string): Promise<void> {
    this.#faults.check('consoles.write', device)
    this.#known(device, 'consoles.write')
    this.#written.set(device, this.text(device) + text)
  }

  async idle(device: string): Promise<number> {
    this.#known(device, 'consoles.idle')
    return this.#clock.now() - (this.#typed.get(device) ?? 0)
  }

  async kernelLog(since = 0): Promise<readonly string[]> {
    return this.#kernel.filter(({ at }) => at >= since).map(({ line }) => line)
  }

  /** Everything written on a console so far; the preferred one unless told. */
  text(device?: string): string {
    const preferred = this.#consoles.find((console) => console.preferred)?.device
    return this.#written.get(device ?? preferred ?? '') ?? ''
  }

  /** Somebody presses a key now. */
  type(device: string): void {
    this.#typed.set(device, this.#clock.now())
  }

  /** The kernel says something now. */
  kernelSays(line: string): void {
    this.#kernel.push({ at: this.#clock.now(), line })
  }

  #known(device: string, operation: string): void {
    if (device !== '/dev/console' && !this.#consoles.some((console) => console.device === device)) {
      throw refusal('ENODEV', operation, device)
    }
  }
}
