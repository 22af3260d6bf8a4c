/** `diskless boot`: an emulated machine that boots what was built or published. */

import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { CommandError } from '../../build/error.ts'
import type { Card } from './boot/hardware.ts'
import { listenForSignals } from './boot/interruption.ts'
import { darkLines, withLines } from './boot/lines.ts'
import { explained, launcher, needQemu, uefi, whyNoKvm } from './boot/programs.ts'
import { atOnce, fetchedFromPowerOn, fromPowerOn } from './boot/published.ts'
import { type BootRequest, bootOptions, requestOf } from './boot/request.ts'
import { rough } from './boot/rough-wire.ts'
import { bootHere, bootOnce, type Launched, type Session } from './boot/run.ts'
import { serve } from './boot/serve.ts'
import { tftpSeconds } from './boot/tftp.ts'
import { Wire } from './boot/wire.ts'
import { defineCommand } from './define.ts'
import { readOptions } from './options.ts'
import type { Output } from './output.ts'

const description = {
  name: 'boot',
  about: 'boots what was built or published in QEMU, on this terminal',
  forms: ['DIR [OPTIONS]'],
  positionals: { name: 'DIR', least: 1, most: 1, complete: 'directory' },
  question: { when: '--once', no: 'the machine did not come up' },
  options: bootOptions,
  notes: [
    "The machine's network is QEMU's own: DHCP, DNS, the way out, and this host's loopback as 10.0.2.2. Nothing needs root. On a terminal Ctrl-C goes to the machine; Ctrl-A X switches it off. However this command ends, the machine ends with it; only a kill -9 leaves a directory diskless-boot-* behind, and a terminal that wants 'reset'.",
    'With --loss and --delay every frame of every card goes through a bad wire, the firmware’s too: from power-on that can take many minutes (TFTP), which is said at the start. --direct begins with the kernel. 1 or 2 percent of loss are a bad line: QEMU’s own TCP is slow to notice what is lost, slower than servers are, and with 10 a system of packages had not come up after a quarter of an hour.',
  ],
  examples: [
    { about: 'what diskless build wrote, from power-on', command: 'diskless boot ./boot' },
    {
      about: 'what was published with --url http://10.0.0.1:8080/, by UEFI, served from here',
      command: 'diskless boot /srv/diskless --uefi --server 10.0.0.1 --serve 8080',
    },
    {
      about: 'a bad network, two cards, and what that costs, for diskless timeline',
      command:
        'diskless boot ./boot --direct --card virtio --card e1000e --loss 1 --delay 20 --once --timeline bad.json',
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
  needQemu(isRough(request))
  needPlace('--timeline', request.timeline)
  needPlace('--console', request.consoleFile)
  const interruption = listenForSignals()
  // A few sockets' names are all that it holds, and they must not be long.
  const scratch = mkdtempSync(join(tmpdir(), 'diskless-boot-'))
  const remove = () => rmSync(scratch, { recursive: true, force: true })
  // Also where nobody reads on (`| head`), and the process ends at once.
  process.once('exit', remove)
  const undo: (() => unknown)[] = [remove]
  const session = { request, interruption, scratch, undo, output }
  try {
    const hardware = await hardwareOf(session)
    return await (request.once ? bootOnce(hardware, session) : bootHere(hardware, session))
  } catch (error) {
    // What an interruption broke off is no news.
    if (interruption.status !== undefined) return interruption.status
    throw explained(error)
  } finally {
    for (const each of undo.reverse()) await each()
    process.off('exit', remove)
    interruption.ignore()
  }
}

/** Found out before the boot, and not after it. Throws a `CommandError`. */
function needPlace(option: string, file: string | undefined): void {
  if (file === undefined) return
  const directory = dirname(file)
  if (statSync(directory, { throwIfNoEntry: false })?.isDirectory()) return
  throw new CommandError(`${option} ${file}: there is no directory ${directory}`, {
    advice: [`mkdir -p ${directory}`],
  })
}

const isRough = ({ loss, delayMs }: BootRequest) => loss > 0 || delayMs > 0

async function hardwareOf({ request, interruption, scratch, undo, output }: Session): Promise<Launched> {
  const { append, cpus, direct, directory, memoryMb, server } = request
  const second = request.console !== undefined
  const start = direct
    ? atOnce(directory, (words) => withLines([...words, ...append], second))
    : fromPowerOn(directory)
  const noKvm = request.kvm ? await whyNoKvm(interruption.signal) : undefined
  if (noKvm !== undefined) output.tell(`KVM does not work here (${noKvm}): emulated, which is slower`)
  if (request.serve !== undefined) {
    const served = await serve(directory, request.serve)
    undo.push(() => served.close())
    output.tell(`${directory} is http://${server ?? '10.0.2.2'}:${served.port}/ to the machine`)
  }
  const cards: Card[] = []
  for (const model of request.cards) cards.push(await cardOf(model, request, scratch, undo))
  for (const remark of remarksOn(request)) output.tell(remark)
  return {
    ...{ start, cards, cpus, memoryMb, launcher: launcher(), scratch, signal: interruption.signal },
    ...(request.uefi ? { firmware: uefi(scratch) } : { firmwareSpeaks: true }),
    ...(request.console === undefined ? {} : { serialLines: [request.console] }),
    ...(server === undefined ? {} : { serverAddress: server }),
    ...(request.kvm && noKvm === undefined ? { accelerator: 'kvm' } : {}),
  }
}

/** A bad wire is held by this process: every frame goes through it. */
async function cardOf(
  model: string,
  request: BootRequest,
  scratch: string,
  undo: (() => unknown)[],
): Promise<Card> {
  if (!isRough(request)) return { kind: 'user', model }
  const { loss, delayMs } = request
  const seed = Math.floor(Math.random() * 1e9)
  const wire = await Wire.lay(rough({ loss, delayMs, seed }), undefined, scratch)
  undo.push(() => wire.cut())
  return { kind: 'wire', wire, model }
}

/** What would surprise the person who waits. */
function remarksOn(request: BootRequest): readonly string[] {
  const { append, directory, direct } = request
  const fetched = fetchedFromPowerOn(directory)
  if (fetched === undefined) return []
  const second = request.console !== undefined
  const words = direct ? withLines([...fetched.words, ...append], second) : fetched.words
  const remarks = darkLines(words, second)
  if (request.loss >= 0.05) {
    remarks.push(
      'QEMU’s own TCP is slow to notice what is lost, and with so much loss packages take longer than from any server: with 1 or 2 percent a boot ends within minutes.',
    )
  }
  if (direct || !isRough(request)) return remarks
  const minutes = Math.round(tftpSeconds(fetched.bytes, request) / 60)
  if (minutes >= 2) {
    remarks.push(
      `The firmware fetches ${(fetched.bytes / 1e6).toFixed(1)} MB by TFTP, which waits for an answer to every block: about ${minutes} minutes on this wire. --direct leaves that out; init then has the bad wire alone.`,
    )
  }
  return remarks
}
