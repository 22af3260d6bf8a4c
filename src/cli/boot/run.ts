/** The machine running: on this terminal until it is switched off, or once, until its system takes over. */

import { writeFileSync } from 'node:fs'
import { CommandError } from '../../../build/error.ts'
import { showDuration } from '../../boot/format.ts'
import type { Output } from '../output.ts'
import { plainText } from '../plain-text.ts'
import type { GuestEvent } from './events.ts'
import type { Interruption } from './interruption.ts'
import { type Ending, Machine, type MachineOptions } from './machine.ts'
import type { BootRequest } from './request.ts'

export type Launched = Omit<MachineOptions, 'onConsole' | 'terminal' | 'reboots'>

/** One run of the command. */
export interface Session {
  readonly request: BootRequest
  readonly interruption: Interruption
  /** Of this run alone. */
  readonly scratch: string
  /** At the end, the last one first. */
  readonly undo: (() => unknown)[]
  readonly output: Output
}

/** On this terminal, until it is switched off. Elsewhere its console is shown, and nobody can type. */
export async function bootHere(hardware: Launched, { interruption, output }: Session): Promise<number> {
  let machine: Machine | undefined
  const { stdin } = process
  const terminal = stdin.isTTY && process.stdout.isTTY
  if (terminal) output.tell('Ctrl-A X switches the machine off; Ctrl-C goes to it.')
  const shown = terminal ? { terminal } : { onConsole: output.print }
  // QEMU that is killed leaves the terminal as it was while it ran.
  if (terminal) stdin.setRawMode(true)
  const kill = () => machine?.kill()
  process.once('exit', kill)
  try {
    machine = await Machine.start({ ...hardware, ...shown, reboots: true })
    machine.events.once('change', wrapLines)
    const ending = await Promise.race([interruption.happened, machine.ended])
    if (typeof ending === 'number') return ending
    if (ending === 'failed' || ending === 'panic') throw endedBadly(ending, machine, '')
    return 0
  } finally {
    await machine?.stop()
    process.off('exit', kill)
    if (terminal) {
      stdin.setRawMode(false)
      wrapLines()
      output.tell('The machine is off.')
    }
  }
}

export async function bootOnce(
  hardware: Launched,
  { interruption, output, request }: Session,
): Promise<number> {
  const began = performance.now()
  const show = output.quiet || output.json ? {} : { onConsole: output.print }
  const machine = await Machine.start({ ...hardware, ...show })
  machine.events.once('change', wrapLines)
  const kill = () => machine.kill()
  process.once('exit', kill)
  try {
    const end = Promise.race([
      machine.events.happened('handoff', forEver),
      machine.events.happened('failed', forEver),
    ])
    // The guest may end before it says anything: that is told below.
    end.catch(() => undefined)
    const ending = await Promise.race([interruption.happened, end, machine.ended])
    if (typeof ending === 'number') return ending
    if (ending === 'failed' || ending === 'killed')
      throw endedBadly(ending, machine, ' before the machine was up or had failed')
    if (typeof ending === 'string') {
      const why = `the machine ended (${ending}) before its system took over`
      output.result({ up: false, causes: [why] }, () => `\n${why}\n`)
      output.tell(silent)
      return 1
    }
    return tell(ending, (performance.now() - began) / 1000, request, output)
  } finally {
    await machine.stop()
    process.off('exit', kill)
    wrapLines()
  }
}

/** Returns the command's status. */
function tell(
  { event, at, fields }: GuestEvent,
  wallSeconds: number,
  { timeline }: BootRequest,
  output: Output,
): number {
  const up = event === 'handoff'
  const [causes, advice] = [textsOf(fields.chain), textsOf(fields.advice)]
  if (timeline !== undefined)
    writeFileSync(timeline, `${JSON.stringify(fields.timeline ?? {}, undefined, 2)}\n`)
  const seconds = wallSeconds.toFixed(1)
  const result = { up, at, causes, advice, wallSeconds: Number(seconds), timeline: fields.timeline }
  output.result(result, () =>
    up
      ? `\nup: the system took over ${showDuration(at)} after its kernel began, ${seconds} s after power-on\n`
      : `\nfailed after ${showDuration(at)}: ${causes.join(': ')}\n${advice.map((line) => `${line}\n`).join('')}`,
  )
  if (timeline !== undefined) output.tell(`Its timeline as a picture: diskless timeline ${timeline}`)
  return up ? 0 : 1
}

/** From the guest, and so for a terminal only without what it could do to one. */
function textsOf(field: unknown): readonly string[] {
  return Array.isArray(field) ? field.map((each) => plainText(String(each))) : []
}

/** SeaBIOS switches a terminal's line wrap off (DECAWM) and leaves it so. */
function wrapLines(): void {
  if (process.stdout.isTTY) process.stdout.write('\x1b[?7h')
}

const silent = 'Its console says why. A kernel without console=ttyS0 says nothing here.'

function endedBadly(ending: Ending, { complaint }: Machine, when: string): CommandError {
  if (ending === 'panic') return new CommandError('the kernel panicked', { advice: [silent] })
  return new CommandError(`QEMU ended (${ending})${when}`, {
    ...(complaint === '' ? {} : { cause: new Error(`QEMU: ${complaint}`) }),
  })
}

/** The person at the terminal decides how long is too long. */
const forEver = 0x7fff_ffff
