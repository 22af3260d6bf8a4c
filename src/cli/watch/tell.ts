/** What happens to machines as lines: for a log, and for programs as JSON. */
import { showBytes, showDuration } from '../../boot/format.ts'
import { bytesOf, type Happening, nameOf } from './fleet.ts'
import { fileOf } from './save.ts'

/** Undefined for what is not worth a line. */
export function lineOf({ machine, event }: Happening, now: Date): string | undefined {
  const said = wordsOf(event)
  if (said === undefined) return undefined
  const what = event.kind === 'up' && bytesOf(machine) > 0 ? `${said}, ${showBytes(bytesOf(machine))}` : said
  return `${now.toTimeString().slice(0, 8)}  ${nameOf(machine)}  ${what}`
}

function wordsOf(event: Happening['event']): string | undefined {
  switch (event.kind) {
    case 'began':
      return 'boots'
    case 'phase':
      return event.state === 'done'
        ? `${event.name} done${event.detail === '' ? '' : `: ${event.detail}`}`
        : undefined
    case 'notice':
      return `${event.phase}: ${event.text}`
    case 'warning':
      return `warning: ${event.text}`
    case 'retry':
      return `tries again (try ${event.attempt}): ${event.why}`
    case 'failed':
      return `FAILED in ${event.phase} after ${showDuration(event.at)}: ${event.chain.join(': ')}`
    case 'up':
      return `up after ${showDuration(event.at)}`
    case 'progress':
    case 'other':
      return undefined
  }
}

/** One line of JSON. `time` is ours, `at` the machine's: milliseconds since its kernel started. */
export function jsonOf(happening: Happening, now: Date): string {
  const { machine } = happening
  const { boot, mac, address, hostname } = machine.sender
  const whose = { time: now.toISOString(), boot, mac, hostname, address: address ?? machine.from }
  return JSON.stringify({ ...whose, state: machine.state, ...described(happening) })
}

function described({ event, machine }: Happening) {
  if (event.kind !== 'began') {
    const { kind, ...rest } = event
    return { event: kind, ...rest, timeline: fileOf({ machine, event }) }
  }
  const { sender, from } = machine
  const { uuid, product, kernel, diskless, commandLine } = sender
  return { event: 'began', from, uuid, product, kernel, diskless, commandLine }
}
