/**
 * One post of a machine that boots (src/init/report.ts): JSON lines, the first of which says whose they are. Anybody on the
 * network can send one: what is not as it should be is refused here, and what goes on is short and harmless.
 */
import { CommandError } from '../../../build/error.ts'
import { plainText } from '../plain-text.ts'
import { type Boot, timelineOf } from '../timeline/read.ts'

export interface Sender {
  /** Of this boot, and of no other. */
  readonly boot: string
  readonly mac: string | undefined
  readonly address: string | undefined
  readonly hostname: string | undefined
  readonly uuid: string | undefined
  readonly product: string | undefined
  readonly kernel: string | undefined
  readonly diskless: string | undefined
  readonly commandLine: string | undefined
  /** Events that it had no room for. */
  readonly lost: number
  /** Milliseconds since its kernel started. */
  readonly at: number
}

/** `number`: from 0 up, each once a boot; absent where only the last one counts. */
export type ReportedEvent = { readonly number: number | undefined; readonly at: number } & (
  | {
      readonly kind: 'phase'
      readonly name: string
      readonly state: string
      readonly attempt: number
      readonly detail: string
      readonly bytes: number | undefined
    }
  | {
      readonly kind: 'progress'
      readonly phase: string
      readonly bytes: number
      readonly total: number
      readonly text: string
    }
  | { readonly kind: 'notice'; readonly phase: string; readonly text: string }
  | { readonly kind: 'warning'; readonly text: string }
  | { readonly kind: 'retry'; readonly attempt: number; readonly why: string }
  | {
      readonly kind: 'failed'
      readonly phase: string
      readonly chain: readonly string[]
      readonly advice: readonly string[]
      /** Undefined where what came is none. */
      readonly timeline: Boot | undefined
    }
  | { readonly kind: 'up'; readonly init: string; readonly timeline: Boot | undefined }
  | { readonly kind: 'other'; readonly name: string }
)

export interface Batch {
  readonly sender: Sender
  readonly events: readonly ReportedEvent[]
}

/** Why a post is refused, in a line for its sender. */
export class BatchError extends Error {
  override readonly name = 'BatchError'
}

const mostEvents = 1000
/** Longer texts are cut; so many causes and pieces of advice are read. */
const longest = 400
const mostLines = 10

/** Throws a `BatchError`. */
export function readBatch(body: string): Batch {
  const lines = body.split('\n').filter((line) => line.trim() !== '')
  if (lines.length > mostEvents + 1) throw new BatchError(`more than ${mostEvents} events`)
  const [head, ...events] = lines.map((line, at) => fieldsOf(parse(line, at + 1)))
  if (head === undefined) throw new BatchError('an empty report')
  return { sender: senderOf(head), events: events.map((event, at) => eventOf(event, at + 2)) }
}

type Fields = Readonly<Record<string, unknown>>

function parse(line: string, number: number): unknown {
  try {
    return JSON.parse(line)
  } catch {
    throw new BatchError(`line ${number} is not JSON`)
  }
}

function fieldsOf(value: unknown): Fields {
  return typeof value === 'object' && value !== null ? { ...value } : {}
}

function senderOf(head: Fields): Sender {
  const { event, report, boot, lost, at } = head
  if (event !== 'machine') throw new BatchError('the first line does not say which machine this is')
  if (report !== 1)
    throw new BatchError('reports of this version are not understood: is init newer than this?')
  if (typeof boot !== 'string' || !/^[\w.-]{1,64}$/.test(boot)) throw new BatchError('no boot id')
  return {
    boot,
    mac: identifier(head.mac, /^[0-9a-f]{2}(:[0-9a-f]{2}){5,19}$/i),
    address: identifier(head.address, /^[0-9a-f.:]{2,45}$/i),
    hostname: text(head.hostname, 64),
    uuid: identifier(head.uuid, /^[0-9a-f-]{1,64}$/i),
    product: text(head.product, 100),
    kernel: text(head.kernel, 80),
    diskless: text(head.diskless, 40),
    commandLine: text(head.commandLine, 2000),
    lost: amount(lost) ?? 0,
    at: amount(at) ?? 0,
  }
}

function eventOf(fields: Fields, line: number): ReportedEvent {
  const { event, number, at } = fields
  if (typeof event !== 'string') throw new BatchError(`line ${line} is no event`)
  const when = amount(at)
  if (when === undefined) throw new BatchError(`line ${line} says no time`)
  const base = { number: amount(number), at: when }
  const said = (name: string) => text(fields[name], longest) ?? ''
  const attempt = amount(fields.attempt) ?? 1
  switch (event) {
    case 'phase':
      return {
        ...{ ...base, kind: 'phase', attempt, name: phaseName(fields.name), state: said('state') },
        ...{ detail: said('detail'), bytes: amount(fields.bytes) },
      }
    case 'progress':
      return {
        ...{ ...base, kind: 'progress', phase: phaseName(fields.phase), text: said('text') },
        ...{ bytes: amount(fields.bytes) ?? 0, total: amount(fields.total) ?? 0 },
      }
    case 'notice':
      return { ...base, kind: 'notice', phase: phaseName(fields.phase), text: said('text') }
    case 'warning':
      return { ...base, kind: 'warning', text: said('text') }
    case 'retry':
      return { ...base, kind: 'retry', attempt, why: said('why') }
    case 'failed':
      return {
        ...{ ...base, kind: 'failed', phase: phaseName(fields.phase), timeline: timeline(fields.timeline) },
        ...{ chain: texts(fields.chain), advice: texts(fields.advice) },
      }
    case 'handoff':
      return { ...base, kind: 'up', init: said('init'), timeline: timeline(fields.timeline) }
    default:
      return { ...base, kind: 'other', name: plainText(event, 40) }
  }
}

function timeline(value: unknown): Boot | undefined {
  try {
    return timelineOf(value, 'the timeline')
  } catch (error) {
    if (error instanceof CommandError) return undefined
    throw error
  }
}

function text(value: unknown, most: number): string | undefined {
  if (typeof value !== 'string') return undefined
  return plainText(value, most) || undefined
}

function texts(value: unknown): readonly string[] {
  if (!Array.isArray(value)) return []
  return value.slice(0, mostLines).flatMap((each) => text(each, longest) ?? [])
}

function identifier(value: unknown, pattern: RegExp): string | undefined {
  return typeof value === 'string' && pattern.test(value) ? value.toLowerCase() : undefined
}

function amount(value: unknown): number | undefined {
  return typeof value === 'number' && value >= 0 && value <= Number.MAX_SAFE_INTEGER ? value : undefined
}

/** Phases are keys of a table that must not grow with a stranger's imagination. */
function phaseName(value: unknown): string {
  return typeof value === 'string' && /^[a-z][a-z -]{0,23}$/.test(value) ? value : 'unknown'
}
