/** `sys.consoles` of the fake machine: what a person would have read, and what they type. */

import { gunzipSync } from 'node:zlib'
import type { Console, Consoles, Question } from '../../../src/sys/index.ts'
import { aborted, type VirtualClock } from './clock.ts'
import { type Faults, refusal } from './faults.ts'
import type { FakeFiles } from './files.ts'

/** What somebody types at a question: lines in their order, or by the question. Undefined, or no line left: nobody is there. */
export type Typed = readonly string[] | ((question: Question) => string | undefined)

export class FakeConsoles implements Consoles {
  /** Every question, in order. */
  readonly asked: Question[] = []
  /** Bits a second that were set, by device. */
  readonly speeds = new Map<string, number>()
  /** Paths of the keymaps that were loaded, in order. */
  readonly keymaps: string[] = []
  readonly #clock: VirtualClock
  readonly #faults: Faults
  readonly #files: FakeFiles
  readonly #consoles: readonly Console[]
  readonly #lines: readonly string[]
  readonly #answer: (question: Question) => string | undefined
  readonly #written = new Map<string, string>()
  readonly #typed = new Map<string, number>()
  readonly #kernel: { at: number; line: string }[] = []

  constructor(options: {
    readonly clock: VirtualClock
    readonly faults: Faults
    readonly files: FakeFiles
    readonly consoles: readonly Console[]
    /** Devices of further serial lines. */
    readonly lines: readonly string[]
    readonly typed: Typed
  }) {
    this.#clock = options.clock
    this.#faults = options.faults
    this.#files = options.files
    this.#consoles = options.consoles
    this.#lines = options.lines
    const { typed } = options
    const lines = typeof typed === 'function' ? [] : [...typed]
    this.#answer = typeof typed === 'function' ? typed : () => lines.shift()
  }

  async list(): Promise<readonly Console[]> {
    return this.#consoles
  }

  async ask(question: Question, signal?: AbortSignal): Promise<string> {
    const operation = 'consoles.ask'
    const subject = question.devices.join(', ')
    this.#faults.check(operation, subject)
    for (const device of question.devices) this.#known(device, operation)
    if (signal?.aborted) throw aborted(operation, subject)
    this.asked.push(question)
    for (const device of question.devices) await this.write(device, question.prompt)
    const line = this.#answer(question)
    if (line !== undefined) {
      const shown = question.echo ? line : ''
      for (const device of question.devices) await this.write(device, `${shown}\n`)
      return line
    }
    await this.#clock.sleep(question.timeoutMs, signal).catch(() => {
      throw aborted(operation, subject)
    })
    throw refusal('TIMEOUT', operation, subject, `nobody answered within ${question.timeoutMs} ms`)
  }

  async setKeymap(path: string): Promise<void> {
    const operation = 'consoles.setKeymap'
    let bytes = this.#files.read(path, operation)
    if (bytes[0] === 0x1f && bytes[1] === 0x8b) {
      try {
        bytes = gunzipSync(bytes)
      } catch (error) {
        throw refusal('FORMAT', operation, path, error instanceof Error ? error.message : String(error))
      }
    }
    if (bytes.subarray(0, 7).toString('latin1') !== 'bkeymap') {
      throw refusal('FORMAT', operation, path, 'not a keymap as dumpkmap writes it')
    }
    if (!this.#consoles.some(({ screen }) => screen)) {
      throw refusal('ENODEV', operation, path, 'this machine has no virtual terminal')
    }
    this.keymaps.push(path)
  }

  async write(device: string, text: string): Promise<void> {
    this.#faults.check('consoles.write', device)
    this.#known(device, 'consoles.write')
    this.#written.set(device, this.text(device) + text)
  }

  async setSpeed(device: string, baud: number): Promise<void> {
    this.#faults.check('consoles.setSpeed', device)
    this.#known(device, 'consoles.setSpeed')
    this.speeds.set(device, baud)
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
    if (device === '/dev/console' || this.#consoles.some((console) => console.device === device)) return
    // A serial line that the kernel does not take for a console.
    if (this.#lines.includes(device)) return
    throw refusal('ENODEV', operation, device)
  }
}
