/**
 * A guest in QEMU: its parts, its console, its events, its power switch. Emulated (TCG): /dev/kvm may open and then
 * hang. Nothing needs privileges.
 */

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { EventLog } from './events.ts'
import { Qmp } from './qmp.ts'
import { Transcript } from './transcript.ts'

/** The MAC of the first card, unless told. */
export const usualMac = '52:54:00:12:34:56'

export type Card =
  /** QEMU's own network: DHCP, DNS, and this host's loopback as 10.0.2.2. */
  | { readonly kind: 'user'; readonly mac?: string; readonly model?: string }
  /** The same, its cable pulled until `plug` is called. */
  | { readonly kind: 'unplugged'; readonly mac?: string; readonly model?: string }
  /** A carrier, and nobody there: no DHCP server, no answer to anything. */
  | { readonly kind: 'silent'; readonly mac?: string; readonly model?: string }

export type Start =
  /** The kernel from the command line of QEMU: saves the firmware's part. */
  | { readonly by: 'kernel'; readonly kernel: string; readonly initrd: string; readonly append: string }
  /** From power-on: the card's iPXE fetches `boot.ipxe` from this directory over TFTP. */
  | { readonly by: 'ipxe'; readonly directory: string }

export interface MachineOptions {
  readonly start: Start
  readonly memoryMb: number
  /** None: a machine without a network card. The first may boot. */
  readonly cards: readonly Card[]
  /** Everything that comes over the serial line, as it comes. */
  readonly onConsole?: (text: string) => void
  /** The serial line is this process's terminal; `console` stays empty. */
  readonly terminal?: boolean
}

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

  private constructor(child: ChildProcess, qmp: Qmp, cards: readonly Card[], clean: () => void) {
    this.#child = child
    this.#qmp = qmp
    this.#cards = cards
    qmp.on('event', (event: string, reason: string | undefined) => {
      if (event === 'SHUTDOWN') this.#ending ??= endingOf(reason)
    })
    child.stdout?.setEncoding('utf8').on('data', (text: string) => this.#hear(text))
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
    const directory = mkdtempSync(join(tmpdir(), 'diskless-qemu-'))
    const control = await listen(join(directory, 'qmp'))
    const events = await listen(join(directory, 'events'))
    // However this process ends, killed included, the kernel then kills the guest.
    const command = ['--pdeathsig', 'KILL', 'qemu-system-x86_64', ...arguments_(options, directory)]
    const child = spawn('setpriv', command, {
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
    try {
      const qmp = new Qmp(await Promise.race([control.socket, failed]))
      const port = await Promise.race([events.socket, failed])
      const machine = new Machine(child, qmp, options.cards, clean)
      port.setEncoding('utf8').on('data', (text: string) => machine.events.add(text))
      const { onConsole } = options
      if (onConsole !== undefined) child.stdout?.on('data', onConsole)
      await qmp.execute('qmp_capabilities')
      for (const [at, card] of options.cards.entries())
        if (card.kind === 'unplugged') await machine.plug(at, false)
      await qmp.execute('cont')
      return machine
    } catch (error) {
      child.kill('SIGKILL')
      clean()
      throw error
    }
  }

  /** Types on the serial line. */
  type(text: string): void {
    this.#child.stdin?.write(text)
  }

  /** Pulls or plugs the cable of a card. */
  async plug(card: number, plugged: boolean): Promise<void> {
    if (this.#cards[card] === undefined) throw new Error(`there is no card ${card}`)
    await this.#qmp.execute('set_link', { name: `net${card}`, up: plugged })
  }

  /** Pulls the power plug; resolves when QEMU is gone. */
  async stop(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) this.#child.kill('SIGKILL')
    await this.ended
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

function arguments_(options: MachineOptions, directory: string): string[] {
  const { start } = options
  return [
    ...[
      '-accel',
      'tcg',
      '-m',
      String(options.memoryMb),
      '-display',
      'none',
      '-vga',
      'none',
      '-no-user-config',
    ],
    // Stopped until `cont`, so that a cable can be pulled before the firmware looks; a reboot ends QEMU.
    ...['-S', '-no-reboot', '-parallel', 'none'],
    ...[
      '-chardev',
      options.terminal === true ? 'stdio,id=console,mux=on,signal=off' : 'stdio,id=console,signal=off',
    ],
    ...['-serial', 'chardev:console', '-monitor', options.terminal === true ? 'chardev:console' : 'none'],
    ...['-qmp', `unix:${join(directory, 'qmp')}`],
    ...['-chardev', `socket,id=events,path=${join(directory, 'events')}`],
    ...['-device', 'virtio-serial-pci', '-device', 'virtserialport,chardev=events,name=diskless.events'],
    ...options.cards.flatMap((card, at) => [
      ...['-netdev', netdev(card, at, start)],
      ...['-device', device(card, at)],
    ]),
    ...(options.cards.length === 0 ? ['-nic', 'none'] : []),
    ...(start.by === 'kernel'
      ? ['-kernel', start.kernel, '-initrd', start.initrd, '-append', start.append]
      : ['-boot', 'n']),
  ]
}

function netdev(card: Card, at: number, start: Start): string {
  if (card.kind === 'silent') return `hubport,id=net${at},hubid=${at}`
  const boot = start.by === 'ipxe' && at === 0 ? `,tftp=${start.directory},bootfile=boot.ipxe` : ''
  return `user,id=net${at}${boot}`
}

function device(card: Card, at: number): string {
  const mac = card.mac ?? usualMac.replace(/..$/, (0x56 + at).toString(16))
  return `${card.model ?? 'virtio-net-pci'},netdev=net${at},mac=${mac}`
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
