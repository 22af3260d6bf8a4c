/** `diskless watch`: the machines that boot now, as they tell it themselves. */

import { isIP } from 'node:net'
import { CommandError } from '../../build/error.ts'
import { chainOf } from '../sys/index.ts'
import { UsageError } from './command.ts'
import { defineCommand } from './define.ts'
import type { Output } from './output.ts'
import { plainText } from './plain-text.ts'
import { type Fleet, type Happening, openFleet, silenceOf } from './watch/fleet.ts'
import { type Listening, listen, type Place } from './watch/receiver.ts'
import { type Archive, openArchive } from './watch/save.ts'
import { openLiveTable } from './watch/screen.ts'
import { drawTable, summarize } from './watch/table.ts'
import { jsonOf, lineOf } from './watch/tell.ts'

export const watchCommand = defineCommand({
  name: 'watch',
  about: 'shows the machines that are booting: how far they are, and why one has failed',
  forms: ['--listen ADDRESS:PORT [OPTIONS]'],
  question: { when: '--until', no: 'a machine has failed' },
  options: {
    listen: {
      type: 'string',
      value: 'ADDRESS:PORT',
      about: 'where machines report: an address of this machine that they reach, or 0.0.0.0',
    },
    save: {
      type: 'string',
      value: 'DIR',
      about: "keeps each boot's timeline there, for diskless timeline",
      complete: 'directory',
    },
    silent: {
      type: 'string',
      value: 'SECONDS',
      about: 'a machine that boots and has said nothing for so long is shown as silent [45]',
    },
    until: {
      type: 'string',
      value: 'COUNT',
      about: 'ends when so many machines are up or have failed',
    },
    most: { type: 'string', value: 'COUNT', about: 'so many machines are kept [1000]' },
  },
  notes: [
    'Machines report when diskless.report=URL is on their kernel command line; the URL is printed. They wait for nobody, and no password of their command line is in a report. Whoever reaches the port can send reports: listen in the network that machines boot in, and nowhere else.',
    'On a terminal it is a table, q or Ctrl-C ends it; elsewhere a line for all that happens; with --json the same as JSON lines.',
  ],
  examples: [
    {
      about: 'a table; machines boot with diskless.report=http://10.0.0.1:8080/',
      command: 'diskless watch --listen 10.0.0.1:8080 --save timelines',
    },
    {
      about: 'wait for twenty machines, for a script',
      command: 'diskless watch --listen 0.0.0.0:8080 --until 20 --json',
    },
  ],
  async run({ values }, output) {
    const place = placeOf(values.listen)
    const silentMs = number(values.silent, 'silent', 45) * 1000
    const until = values.until === undefined ? undefined : number(values.until, 'until', 1)
    const most = number(values.most, 'most', 1000)
    const archive = values.save === undefined ? undefined : openArchive(values.save, most * 10)
    return watch({ place, silentMs, until, archive, fleet: openFleet(most) }, output)
  },
})

interface Watch {
  readonly place: Place
  readonly silentMs: number
  readonly until: number | undefined
  readonly archive: Archive | undefined
  readonly fleet: Fleet
}

async function watch({ place, silentMs, until, archive, fleet }: Watch, output: Output): Promise<number> {
  const table = process.stdout.isTTY && !output.json
  let end = () => {}
  const over = new Promise<void>((resolve) => {
    end = resolve
  })
  let trouble = ''
  let changed = () => {}

  const complain = (text: string) => {
    trouble = plainText(text, 400)
    if (!table) output.tell(trouble)
    changed()
  }
  const tell = (happening: Happening) => {
    const now = new Date()
    if (output.json) output.print(`${jsonOf(happening, now)}\n`)
    else if (!table) {
      const line = lineOf(happening, now)
      if (line !== undefined) output.print(`${line}\n`)
    }
    try {
      archive?.keep(happening)
    } catch (error) {
      complain(chainOf(error).join(': '))
    }
  }
  const listening = await listen(place, {
    onBatch(batch, from) {
      const happened = fleet.hear(batch, from, performance.now())
      for (const each of happened ?? []) tell(each)
      changed()
      if (until !== undefined && endedIn(fleet) >= until) end()
      return happened !== undefined
    },
    onRefused: (from, why) => complain(`refused from ${from}: ${why}`),
  })
  const view = () => ({ now: performance.now(), silentMs, style: output.style })
  const draw = (width: number, height?: number): readonly string[] => {
    const title = output.style('bold', `diskless watch  ${summarize(fleet.machines, view())}`.slice(0, width))
    if (height === undefined) return [title, '', ...drawTable(fleet.machines, { ...view(), width, height })]
    const table = drawTable(fleet.machines, { ...view(), width, height: height - 4 })
    const blank = Array.from({ length: Math.max(0, height - 3 - table.length) }, () => '')
    return [title, '', ...table, ...blank, output.style('dim', footer(listening, trouble).slice(0, width))]
  }
  const stop = listenForEnd(() => end(), table)
  let close = () => {}
  if (table) {
    const live = openLiveTable(process.stdout, draw)
    changed = live.changed
    close = live.close
  } else output.tell(`machines report with diskless.report=${listening.url}`)
  const silence = table ? undefined : tellSilence(fleet, silentMs, output)
  try {
    await over
  } finally {
    clearInterval(silence)
    close()
    stop()
    await listening.close()
  }
  if (table) output.print(`${draw(output.width).join('\n')}\n`)
  if (until === undefined) return 0
  if (fleet.machines.some(({ state }) => state === 'failed')) return 1
  const ended = endedIn(fleet)
  if (ended >= until) return 0
  throw new CommandError(`ended before ${until} machines were up: ${ended} were`, {
    advice: [`It ends by itself when --until ${until} have come up or failed.`],
  })
}

/** Up, or failed. */
function endedIn({ machines }: Fleet): number {
  return machines.filter(({ state }) => state !== 'booting').length
}

function footer({ url }: Listening, trouble: string): string {
  return `diskless.report=${url}   q ends${trouble === '' ? '' : `   ${trouble}`}`
}

/** Once a silence: a line, or JSON. */
function tellSilence(fleet: Fleet, silentMs: number, output: Output): NodeJS.Timeout {
  const told = new Map<string, number>()
  return setInterval(() => {
    for (const machine of fleet.machines) {
      const silence = silenceOf(machine, performance.now(), silentMs)
      if (silence === undefined || told.get(machine.key) === machine.heard) continue
      told.set(machine.key, machine.heard)
      const words = `no word for ${Math.floor(silence / 1000)} s`
      const now = new Date()
      const event = {
        kind: 'notice',
        phase: 'silent',
        text: words,
        number: undefined,
        at: machine.at,
      } as const
      const line = output.json ? jsonOf({ machine, event }, now) : lineOf({ machine, event }, now)
      if (line !== undefined) output.print(`${line}\n`)
    }
  }, 1000)
}

/** q, Ctrl-C, Ctrl-D. */
const endKeys = [0x71, 0x03, 0x04]

/** Ctrl-C, SIGTERM; on a terminal q, too. Returns what undoes it. */
function listenForEnd(end: () => void, keys: boolean): () => void {
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
  for (const signal of signals) process.on(signal, end)
  const { stdin } = process
  const raw = keys && stdin.isTTY
  const typed = (bytes: Buffer) => {
    if (bytes.some((byte) => endKeys.includes(byte))) end()
  }
  if (raw) stdin.setRawMode(true).on('data', typed).resume()
  return () => {
    for (const signal of signals) process.off(signal, end)
    if (raw) stdin.setRawMode(false).off('data', typed).pause()
  }
}

const help = "'diskless watch --help' lists the options."

/** `10.0.0.1:8080`, `[fd00::1]:8080`; throws a `UsageError`. */
export function placeOf(text: string | undefined): Place {
  if (text === undefined)
    throw new UsageError('--listen is missing: at which address do machines report?', help)
  const [, bracketed, plain, port = ''] = /^(?:\[([^\]]*)\]|([^:]*)):(\d{1,5})$/.exec(text) ?? []
  const address = bracketed ?? plain ?? ''
  if (isIP(address) === 0 || Number(port) > 65_535) {
    throw new UsageError(`--listen ${text}: write it as ADDRESS:PORT, 10.0.0.1:8080 or [fd00::1]:8080`, help)
  }
  return { address, port: Number(port) }
}

function number(text: string | undefined, option: string, fallback: number): number {
  if (text === undefined) return fallback
  if (/^[1-9]\d{0,5}$/.test(text)) return Number(text)
  throw new UsageError(`--${option} ${text}: write it as a number from 1 to 999999`, help)
}
