/**
 * A guest in QEMU: its parts, its console, its events, its power switch. Emulated (TCG): /dev/kvm may open and then
 * hang. Nothing needs privileges but a card in the lab.
 */

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { EventLog } from './events.ts'
import { type Card, type Hardware, qemuCommand } from './hardware.ts'
import { Qmp } from './qmp.ts'
import { Transcript } from './transcript.ts'

export { type Card, type Disk, type Start, usualMac } from './hardware.ts'

export interface MachineOptions extends Hardware {
  /** Everything that comes over the serial line, as it comes. */
  readonly onConsole?: (text: string) => void
  /** `console` stays empty then. */
  readonly terminal?: boolean
  /** What starts QEMU, and sees to it that it does not outlive this process however that ends. */
  readonly launcher?: readonly string[]
  /** Where the directory of its sockets is made. */
  readonly scratch?: string
  /** Gives a start up that is under way. */
  readonly signal?: AbortSignal
}

/** The kernel kills the guest when this process is gone, killed included. */
export const usualLauncher = ['setpriv', '--pdeathsig', 'KILL'] as const

/** `reset`: the guest rebooted. */
export type Ending = 'poweroff' | 'reset' | 'killed' | 'panic' | 'failed'

export class Machine {
  readonly console = new Transcript()
  readonly events = new EventLog()
  /** Resolves when QEMU is gone. */
  readonly ended: Promise<Ending>
  readonly #child: ChildProcess
  readonly #qmp: Qmp
  readonly #cards: readonly Card[]
  #ending: Ending | undefined
  #heard = ''
  #complaint = ''

  private constructor(child: ChildProcess, qmp: Qmp, cards: readonly Card[], clean: () => void) {
    this.#child = child
    this.#qmp = qmp
    this.#cards = cards
    qmp.on('event', (event: string, reason: string | undefined) => {
      if (event === 'SHUTDOWN') this.#ending ??= endingOf(reason)
    })
    child.stdout?.setEncoding('utf8').on('data', (text: string) => this.#hear(text))
    child.stderr?.on('data', (text: string) => {
      this.#complaint = (this.#complaint + text).slice(-2000)
    })
    this.ended = new Promise((resolve) => {
      // Not at its `exit`: what it said last is still to be read.
      child.on('close', (status) => {
        clean()
        const ending = this.#ending ?? (status === 0 || child.killed ? 'killed' : 'failed')
        for (const source of [this.console, this.events]) source.end(new Error(`the guest ended (${ending})`))
        resolve(ending)
      })
    })
  }

  /** Switches it on. The guest runs when this resolves. */
  static async start(options: MachineOptions): Promise<Machine> {
    const { scratch = tmpdir(), signal } = options
    signal?.throwIfAborted()
    const directory = mkdtempSync(join(scratch, 'diskless-qemu-'))
    const control = await listen(join(directory, 'qmp'))
    const events = await listen(join(directory, 'events'))
    const { launcher = usualLauncher } = options
    const [program = '', ...command] = [...launcher, ...(await qemuCommand(options, directory))]
    const child = spawn(program, command, {
      stdio: options.terminal === true ? 'inherit' : ['pipe', 'pipe', 'pipe'],
    })
    const clean = () => {
      control.server.close()
      events.server.close()
      rmSync(directory, { recursive: true, force: true })
    }
    let complaint = ''
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      complaint += text
    })
    const failed = new Promise<never>((_, reject) => {
      child.on('error', (cause) => reject(new Error('QEMU could not be started', { cause })))
      child.on('exit', (status) => reject(new Error(`QEMU ended with ${status}: ${complaint}`)))
    })
    failed.catch(() => undefined)
    const givenUp = new Promise<never>((_, reject) => {
      signal?.addEventListener('abort', () => reject(signal.reason), { once: true })
    })
    givenUp.catch(() => undefined)
    try {
      const qmp = new Qmp(await Promise.race([control.socket, failed, givenUp]))
      const port = options.bare === true ? undefined : await Promise.race([events.socket, failed, givenUp])
      const machine = new Machine(child, qmp, options.cards, clean)
      port?.setEncoding('utf8').on('data', (text: string) => machine.events.add(text))
      const { onConsole } = options
      if (onConsole !== undefined) child.stdout?.on('data', onConsole)
      await qmp.execute('qmp_capabilities')
      for (const [at, card] of options.cards.entries())
        if (card.kind === 'unplugged') await machine.plug(at, false)
      await qmp.execute('cont')
      return machine
    } catch (error) {
      const closed = child.pid === undefined ? undefined : once(child, 'close')
      child.kill('SIGKILL')
      if (child.exitCode === null && child.signalCode === null) await closed
      clean()
      // A QEMU that refuses its arguments is first seen as a lost connection.
      throw complaint === '' ? error : new Error(`QEMU: ${complaint.trim()}`, { cause: error })
    }
  }

  /** Types on the serial line. */
  type(text: string): void {
    this.#child.stdin?.write(text)
  }

  /**
   * Presses keys of the keyboard, one after the other, or several at once (`1+ret`), by QEMU's names (QKeyCode): what
   * they mean is the keymap's.
   */
  async press(...chords: readonly string[]): Promise<void> {
    for (const chord of chords) {
      const keys = chord.split('+').map((data) => ({ type: 'qcode', data }))
      await this.#qmp.execute('send-key', { keys })
    }
  }

  /** Pulls or plugs the cable of a card. */
  async plug(card: number, plugged: boolean): Promise<void> {
    if (this.#cards[card] === undefined) throw new Error(`there is no card ${card}`)
    await this.#qmp.execute('set_link', { name: `net${card}`, up: plugged })
  }

  /** Pulls the power plug; resolves when QEMU is gone. */
  async stop(): Promise<void> {
    this.kill()
    await this.ended
  }

  /** The same, for who cannot wait. */
  kill(): void {
    if (this.#child.exitCode === null && this.#child.signalCode === null) this.#child.kill('SIGKILL')
  }

  /** What QEMU itself said of what it did not like; nothing where it had the terminal. */
  get complaint(): string {
    return this.#complaint.trim()
  }

  /** A kernel that panicked says no more, and would be waited for to the deadline. */
  #hear(text: string): void {
    this.console.add(text)
    this.#heard = (this.#heard + text).slice(-2000)
    if (!this.#heard.includes('Kernel panic - not syncing') || this.#ending !== undefined) return
    this.#ending = 'panic'
    this.#child.kill('SIGKILL')
  }
}

function endingOf(reason: string | undefined): Ending {
  switch (reason) {
    case 'guest-reset':
      return 'reset'
    case 'guest-shutdown':
      return 'poweroff'
    case 'guest-panic':
      return 'panic'
    default:
      return 'killed'
  }
}

/** QEMU connects to us, so that there is no moment in which its socket is not there yet. */
async function listen(path: string): Promise<{ readonly server: Server; readonly socket: Promise<Socket> }> {
  const server = createServer()
  const socket = new Promise<Socket>((resolve) => {
    server.once('connection', resolve)
  })
  server.listen(path)
  await once(server, 'listening')
  return { server, socket }
}
