/** `diskless boot`: an emulated machine that boots what was built or published. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CommandError } from '../../build/error.ts'
import { showDuration } from '../boot/format.ts'
import { type Card, type Hardware, usualMac } from './boot/hardware.ts'
import { Machine } from './boot/machine.ts'
import { launcher, needQemu, uefi, whyNoKvm } from './boot/programs.ts'
import { atOnce, fromPowerOn } from './boot/published.ts'
import { type BootRequest, bootOptions, requestOf } from './boot/request.ts'
import { rough } from './boot/rough-wire.ts'
import { serve } from './boot/serve.ts'
import { Wire } from './boot/wire.ts'
import { defineCommand } from './define.ts'
import { readOptions } from './options.ts'
import type { Output } from './output.ts'
import { plainText } from './plain-text.ts'

const description = {
  name: 'boot',
  about: 'boots what was built or published in QEMU, on this terminal',
  forms: ['DIR [OPTIONS]'],
  positionals: { name: 'DIR', least: 1, most: 1, complete: 'directory' },
  question: { when: '--once', no: 'the machine did not come up' },
  options: bootOptions,
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

export const bootCommand = defineCommand({
  ...description,
  run: ({ values, positionals }, output) => boot(requestOf(positionals[0] ?? '', values), output),
})

/** Throws a `UsageError`. */
export function parse(words: readonly string[]): BootRequest {
  const { values, positionals } = readOptions(description, words)
  return requestOf(positionals[0] ?? '', values)
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
        ? `\nup: the system took over ${showDuration(at)} after its kernel began, ${seconds} s after power-on\n`
        : `\nfailed after ${showDuration(at)}: ${causes.join(': ')}\n`,
    )
    return up ? 0 : 1
  })
  // The guest may end before it says anything: that is told below.
  end.catch(() => undefined)
  const ending = await Promise.race([interruption.happened, end, machine.ended]).finally(() => machine.stop())
  if (typeof ending === 'number') return ending
  if (ending === 'failed' || ending === 'killed')
    throw new CommandError(`QEMU ended (${ending}) before the machine was up or had failed`)
  const why = `the machine ended (${ending}) before its system took over`
  output.result({ up: false, causes: [why] }, () => `\n${why}\n`)
  output.tell('Its console says why. A kernel without console=ttyS0 says nothing here.')
  return 1
}

/** The person at the terminal decides how long is too long. */
const forEver = 0x7fff_ffff

/** QEMU's own words, where they have a remedy. */
function explained(error: unknown): unknown {
  const text = error instanceof Error ? error.message : String(error)
  if (/romfile|option rom|efi-\w+\.rom/i.test(text)) {
    return new CommandError('QEMU lacks the cards’ network boot programs', {
      ...{
        cause: error,
        advice: ['Debian: apt install ipxe-qemu. Or --direct: the kernel without network boot.'],
      },
    })
  }
  return error
}
