/** `diskless boot`: an emulated machine that boots what was built or published. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { isIPv4 } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { duration } from '../init/format.ts'
import { SwitchOnError } from './boot/error.ts'
import { type Card, type Hardware, usualMac } from './boot/hardware.ts'
import { Machine } from './boot/machine.ts'
import { launcher, needQemu, uefi, whyNoKvm } from './boot/programs.ts'
import { atOnce, fromPowerOn } from './boot/published.ts'
import { rough } from './boot/rough-wire.ts'
import { serve } from './boot/serve.ts'
import { Wire } from './boot/wire.ts'
import { UsageError } from './command.ts'
import { defineCommand } from './define.ts'
import { readOptions, type Values } from './options.ts'
import type { Output } from './output.ts'
import { plainText } from './plain-text.ts'

/** As QEMU calls the cards. */
const models = {
  virtio: 'virtio-net-pci',
  e1000: 'e1000',
  e1000e: 'e1000e',
  rtl8139: 'rtl8139',
  vmxnet3: 'vmxnet3',
  pcnet: 'pcnet',
} as const

const description = {
  name: 'boot',
  about: 'boots what was built or published in QEMU, on this terminal',
  forms: ['DIR [OPTIONS]'],
  positionals: { name: 'DIR', least: 1, most: 1, complete: 'directory' },
  options: {
    direct: { type: 'boolean', about: 'the kernel at once, without firmware and network boot' },
    append: {
      type: 'string',
      multiple: true,
      value: 'TEXT',
      about: "more words for the kernel's command line; with --direct, which it implies",
    },
    serve: {
      type: 'string',
      value: 'PORT',
      about: 'serves DIR by HTTP on the loopback, which the machine sees as http://10.0.2.2:PORT/',
    },
    server: {
      type: 'string',
      value: 'ADDRESS',
      about:
        'the machine sees the loopback of this host as ADDRESS, the server that was published for [10.0.2.2]',
    },
    memory: { type: 'string', value: 'MB', about: 'megabytes of memory [1024]' },
    cpus: { type: 'string', value: 'COUNT', about: 'processors [1]' },
    card: {
      type: 'string',
      multiple: true,
      value: 'MODEL',
      about: `a network card; may be repeated, the first one boots [virtio]: ${Object.keys(models).join(', ')}`,
      complete: Object.keys(models),
    },
    loss: { type: 'string', value: 'PERCENT', about: 'of the frames, each way, get lost' },
    delay: { type: 'string', value: 'MS', about: 'milliseconds that a frame takes, each way' },
    uefi: { type: 'boolean', about: 'UEFI (OVMF) instead of a BIOS' },
    console: {
      type: 'string',
      value: 'FILE|pty',
      about: 'a second serial line (ttyS1): into a file, or at a pseudo-terminal, whose name is said',
      complete: 'file',
    },
    kvm: { type: 'boolean', about: 'uses KVM, if it works here' },
    once: {
      type: 'boolean',
      about:
        'ends when the system takes over (status 0) or the boot has failed (1); the console is only shown',
    },
    timeline: {
      type: 'string',
      value: 'FILE',
      about: "with --once: the boot's timeline, for diskless timeline",
    },
  },
  notes: [
    "The machine's network is QEMU's own: DHCP, DNS, the way out, and this host's loopback as 10.0.2.2. Nothing needs root. On a terminal Ctrl-C goes to the machine; Ctrl-A X switches it off. However this command ends, the machine ends with it.",
  ],
  examples: [
    { about: 'what diskless build wrote, from power-on', command: 'diskless boot ./boot' },
    {
      about: 'what was published for the server 10.0.0.1, by UEFI, served from here',
      command: 'diskless boot /srv/diskless --uefi --server 10.0.0.1 --serve 8080',
    },
    {
      about: 'a bad network, two cards, and a picture of what that costs',
      command:
        'diskless boot ./boot --card virtio --card e1000e --loss 10 --delay 40 --once --timeline bad.json',
    },
  ],
} as const

const help = "'diskless boot --help' lists the options."

export const bootCommand = defineCommand({
  ...description,
  run: ({ values, positionals }, output) => boot(requestOf(positionals[0] ?? '', values), output),
})

export interface BootRequest {
  readonly directory: string
  readonly direct: boolean
  readonly append: readonly string[]
  readonly serve: number | undefined
  readonly server: string | undefined
  readonly memoryMb: number
  readonly cpus: number
  /** QEMU's models. */
  readonly cards: readonly string[]
  /** A share, from 0 to 1. */
  readonly loss: number
  readonly delayMs: number
  readonly uefi: boolean
  /** `-serial`'s words. */
  readonly console: string | undefined
  readonly kvm: boolean
  readonly once: boolean
  readonly timeline: string | undefined
}

/** Throws a `UsageError`. */
export function parse(words: readonly string[]): BootRequest {
  const { values, positionals } = readOptions(description, words)
  return requestOf(positionals[0] ?? '', values)
}

function requestOf(directory: string, values: Values<typeof description.options>): BootRequest {
  const append = values.append ?? []
  if (values.timeline !== undefined && !values.once) throw new UsageError('--timeline needs --once', help)
  if (values.server !== undefined && !isIPv4(values.server)) {
    throw new UsageError(`--server ${values.server} is no IPv4 address`, help)
  }
  return {
    directory: resolve(directory),
    direct: values.direct === true || append.length > 0,
    append,
    serve: values.serve === undefined ? undefined : number(values.serve, 'serve', 1, 65_535),
    server: values.server,
    memoryMb: number(values.memory ?? '1024', 'memory', 64, 1_048_576),
    cpus: number(values.cpus ?? '1', 'cpus', 1, 255),
    cards: (values.card ?? ['virtio']).map(modelOf),
    loss: number(values.loss ?? '0', 'loss', 0, 100) / 100,
    delayMs: number(values.delay ?? '0', 'delay', 0, 60_000),
    uefi: values.uefi ?? false,
    console: values.console === undefined ? undefined : serialOf(values.console),
    kvm: values.kvm ?? false,
    once: values.once ?? false,
    timeline: values.timeline,
  }
}

function number(text: string, option: string, least: number, most: number): number {
  if (/^\d{1,7}$/.test(text) && Number(text) >= least && Number(text) <= most) return Number(text)
  throw new UsageError(`--${option} ${text}: it is a number from ${least} to ${most}`, help)
}

function modelOf(name: string): string {
  const known = Object.entries(models).find(([each]) => each === name)
  if (known !== undefined) return known[1]
  throw new UsageError(`--card ${name}: the cards are ${Object.keys(models).join(', ')}`, help)
}

function serialOf(console: string): string {
  return console === 'pty' ? 'pty' : `file:${resolve(console).replaceAll(',', ',,')}`
}

async function boot(request: BootRequest, output: Output): Promise<number> {
  needQemu()
  const interruption = listenForSignals()
  const directory = mkdtempSync(join(tmpdir(), 'diskless-boot-'))
  const undo: (() => unknown)[] = [() => rmSync(directory, { recursive: true, force: true })]
  try {
    const hardware = await hardwareOf(request, directory, undo, output)
    return await (request.once
      ? bootOnce(hardware, request, interruption, output)
      : bootHere(hardware, interruption, output))
  } catch (error) {
    throw explained(error)
  } finally {
    for (const each of undo.reverse()) await each()
    interruption.ignore()
  }
}

async function hardwareOf(
  request: BootRequest,
  directory: string,
  undo: (() => unknown)[],
  output: Output,
): Promise<Launched> {
  const { append, cpus, direct, memoryMb, server } = request
  // Beside the other lines, which stay the preferred ones.
  const words = request.console === undefined ? append : ['console=ttyS1', ...append, 'console=ttyS0']
  const start = direct ? atOnce(request.directory, usualMac, words) : fromPowerOn(request.directory)
  const noKvm = request.kvm ? await whyNoKvm() : undefined
  if (noKvm !== undefined) output.tell(`KVM does not work here (${noKvm}): emulated, which is slower`)
  if (request.serve !== undefined) {
    const served = await serve(request.directory, request.serve)
    undo.push(() => served.close())
    output.tell(`${request.directory} is http://${server ?? '10.0.2.2'}:${served.port}/ to the machine`)
  }
  const cards: Card[] = []
  for (const model of request.cards) cards.push(await cardOf(model, request, undo))
  return {
    ...{ start, cards, cpus, memoryMb, launcher: launcher() },
    ...(request.uefi ? { firmware: uefi(directory) } : {}),
    ...(request.console === undefined ? {} : { serialLines: [request.console] }),
    ...(server === undefined ? {} : { serverAddress: server }),
    ...(request.kvm && noKvm === undefined ? { accelerator: 'kvm' } : {}),
  }
}

/** A bad wire is held by this process: every frame goes through it. */
async function cardOf(model: string, { loss, delayMs }: BootRequest, undo: (() => unknown)[]): Promise<Card> {
  if (loss === 0 && delayMs === 0) return { kind: 'user', model }
  const seed = Math.floor(Math.random() * 1e9)
  const wire = await Wire.lay(rough({ loss, delayMs, seed }))
  undo.push(() => wire.cut())
  return { kind: 'wire', wire, model }
}

type Launched = Hardware & { readonly launcher: readonly string[] }

/** On this terminal, until it is switched off. Elsewhere its console is shown, and nobody can type. */
async function bootHere(hardware: Launched, interruption: Interruption, output: Output): Promise<number> {
  let machine: Machine | undefined
  const { stdin } = process
  const terminal = stdin.isTTY && process.stdout.isTTY
  if (terminal) output.tell('Ctrl-A X switches the machine off.')
  const shown = terminal ? { terminal } : { onConsole: output.print }
  // QEMU that is killed leaves the terminal as it was while it ran.
  if (terminal) stdin.setRawMode(true)
  try {
    machine = await Machine.start({ ...hardware, ...shown, reboots: true })
    const ending = await Promise.race([interruption.happened, machine.ended])
    return typeof ending === 'number' ? ending : ending === 'failed' ? 1 : 0
  } finally {
    await machine?.stop()
    if (terminal) stdin.setRawMode(false)
  }
}

interface Interruption {
  /** Resolves with the command's status, as shells have it: 128 and the signal's number. */
  readonly happened: Promise<number>
  ignore(): void
}

function listenForSignals(): Interruption {
  const listeners = new Map<string, () => void>()
  const happened = new Promise<number>((resolve) => {
    for (const [signal, status] of [
      ['SIGINT', 130],
      ['SIGTERM', 143],
      ['SIGHUP', 129],
    ] as const) {
      listeners.set(signal, () => resolve(status))
    }
  })
  for (const [signal, listener] of listeners) process.on(signal, listener)
  return {
    happened,
    ignore() {
      for (const [signal, listener] of listeners) process.off(signal, listener)
    },
  }
}

async function bootOnce(
  hardware: Launched,
  { timeline }: BootRequest,
  interruption: Interruption,
  output: Output,
): Promise<number> {
  const began = performance.now()
  const show = output.quiet || output.json ? {} : { onConsole: output.print }
  const machine = await Machine.start({ ...hardware, ...show })
  const end = Promise.race([
    machine.events.happened('handoff', forEver),
    machine.events.happened('failed', forEver),
  ]).then(({ event, at, fields }) => {
    const up = event === 'handoff'
    if (timeline !== undefined) writeFileSync(timeline, `${JSON.stringify(fields.timeline, undefined, 2)}\n`)
    const causes = Array.isArray(fields.chain) ? fields.chain.map((each) => plainText(String(each))) : []
    const seconds = ((performance.now() - began) / 1000).toFixed(1)
    output.result({ up, at, causes, wallSeconds: Number(seconds), timeline: fields.timeline }, () =>
      up
        ? `\nup: the system took over ${duration(at)} after its kernel began, ${seconds} s after power-on\n`
        : `\nfailed after ${duration(at)}: ${causes.join(': ')}\n`,
    )
    return up ? 0 : 1
  })
  // The guest may end before it says anything: that is told below.
  end.catch(() => undefined)
  const ending = await Promise.race([interruption.happened, end, machine.ended]).finally(() => machine.stop())
  if (typeof ending === 'number') return ending
  throw new SwitchOnError(`the machine ended (${ending}) before its system took over`, {
    advice: ['Its console says why. A kernel without console=ttyS0 says nothing here.'],
  })
}

/** The person at the terminal decides how long is too long. */
const forEver = 0x7fff_ffff

/** QEMU's own words, where they have a remedy. */
function explained(error: unknown): unknown {
  const text = error instanceof Error ? error.message : String(error)
  if (/romfile|option rom|efi-\w+\.rom/i.test(text)) {
    return new SwitchOnError('QEMU lacks the cards’ network boot programs', {
      ...{
        cause: error,
        advice: ['Debian: apt install ipxe-qemu. Or --direct: the kernel without network boot.'],
      },
    })
  }
  return error
}
