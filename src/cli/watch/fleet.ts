/** What is known of the machines that report: one entry a machine, replaced when it boots again. Bounded, and without a clock of its own. */
import type { Batch, ReportedEvent, Sender } from './batch.ts'

export type State = 'booting' | 'up' | 'failed'

export interface Machine {
  /** Its MAC, or the boot's id where it has told none. */
  readonly key: string
  sender: Sender
  /** Where the last report came from. */
  from: string
  state: State
  /** Phases that have begun and not ended, the last begun last. */
  running: string[]
  attempt: number
  /** By phase. */
  readonly bytes: Map<string, number>
  /** How far the present download is. */
  progress: { readonly phase: string; readonly bytes: number; readonly total: number } | undefined
  /** The last word of it: a retry, a wait, a warning. */
  word: string | undefined
  failure:
    | { readonly phase: string; readonly chain: readonly string[]; readonly advice: readonly string[] }
    | undefined
  warnings: number
  /** By the machine's own clock: milliseconds since its kernel started, as of the last report or its end. */
  at: number
  /** By ours. */
  heard: number
  lastNumber: number
}

/** What happened to a machine, for whoever tells it on. */
export interface Happening {
  readonly machine: Machine
  readonly event: ReportedEvent | { readonly kind: 'began' }
}

export interface Fleet {
  readonly machines: readonly Machine[]
  /** Those for which there was no room. */
  readonly refused: number
  /** Empty where all of it was known already; undefined where there is no room for another machine. */
  hear(batch: Batch, from: string, now: number): readonly Happening[] | undefined
}

/** Phases of one boot; init has 16. */
const mostPhases = 40

export function openFleet(most: number): Fleet {
  const machines = new Map<string, Machine>()
  let refused = 0

  /** A machine that came up long ago makes room. */
  function makeRoom(): boolean {
    if (machines.size < most) return true
    const over = [...machines.values()]
      .filter(({ state }) => state === 'up')
      .sort((a, b) => a.heard - b.heard)[0]
    return over !== undefined && machines.delete(over.key)
  }

  return {
    get machines() {
      return [...machines.values()]
    },
    get refused() {
      return refused
    },
    hear({ sender, events }, from, now) {
      const key = sender.mac ?? sender.boot
      const known = machines.get(key)
      const isNew = known?.sender.boot !== sender.boot
      if (known === undefined && !makeRoom()) {
        refused++
        return undefined
      }
      const machine = isNew ? newMachine(key, sender, from) : known
      machines.set(key, machine)
      machine.sender = { ...sender, hostname: sender.hostname ?? machine.sender.hostname }
      machine.from = from
      machine.heard = now
      if (machine.state === 'booting') machine.at = Math.max(machine.at, sender.at)
      const happened: Happening[] = isNew ? [{ machine, event: { kind: 'began' } }] : []
      for (const event of events) {
        if (event.number !== undefined && event.number <= machine.lastNumber) continue
        machine.lastNumber = event.number ?? machine.lastNumber
        apply(machine, event)
        happened.push({ machine, event })
      }
      return happened
    },
  }
}

function newMachine(key: string, sender: Sender, from: string): Machine {
  return {
    ...{
      key,
      sender,
      from,
      state: 'booting',
      running: [],
      attempt: 1,
      bytes: new Map(),
      progress: undefined,
    },
    ...{ word: undefined, failure: undefined, warnings: 0, at: sender.at, heard: 0, lastNumber: -1 },
  }
}

function apply(machine: Machine, event: ReportedEvent): void {
  switch (event.kind) {
    case 'phase': {
      const running = machine.running.filter((name) => name !== event.name)
      machine.running = event.state === 'start' ? [...running, event.name].slice(-mostPhases) : running
      if (event.bytes !== undefined) keepBytes(machine, event.name, event.bytes)
      if (machine.progress?.phase === event.name) machine.progress = undefined
      break
    }
    case 'progress': {
      const { phase, bytes, total } = event
      if (!machine.running.includes(phase)) break
      keepBytes(machine, phase, bytes)
      machine.progress = { phase, bytes, total }
      break
    }
    case 'notice':
      machine.word = event.text
      break
    case 'warning':
      machine.word = event.text
      machine.warnings++
      break
    case 'retry':
      machine.state = 'booting'
      machine.failure = undefined
      machine.attempt = event.attempt
      machine.running = []
      machine.word = event.why
      break
    case 'failed':
    case 'up':
      machine.state = event.kind
      machine.failure = event.kind === 'failed' ? event : undefined
      machine.running = []
      machine.at = event.at
      break
    case 'other':
      break
  }
}

function keepBytes(machine: Machine, phase: string, bytes: number): void {
  if (machine.bytes.size < mostPhases || machine.bytes.has(phase)) machine.bytes.set(phase, bytes)
}

export function bytesOf({ bytes }: Machine): number {
  return [...bytes.values()].reduce((sum, each) => sum + each, 0)
}

/** Milliseconds without a word of a machine that has neither come up nor failed; undefined where that is no reason to worry. */
export function silenceOf(machine: Machine, now: number, silentMs: number): number | undefined {
  const silence = now - machine.heard
  return machine.state === 'booting' && silence >= silentMs ? silence : undefined
}

export function nameOf({ sender, key }: Machine): string {
  return sender.hostname ?? sender.mac ?? key
}

/** Milliseconds since its kernel started, until it was up or failed. */
export function elapsedOf({ state, at, heard }: Machine, now: number): number {
  return state === 'booting' ? at + Math.max(0, now - heard) : at
}
