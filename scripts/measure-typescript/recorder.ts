/** Runs in the engine, in init's place: init itself, and writes down what it is told. */

import { hostSys } from '../../src/init/host.ts'
import { polyfill } from '../../src/init/polyfill.ts'
import { run } from '../../src/init/run.ts'
import type { Host } from '../../src/init/wire.ts'

declare const host: Host

export interface Recording {
  readonly started: number
  /** What each question about time or chance got, in the order of asking. */
  readonly numbers: number[]
  readonly deliveries: Delivery[]
  /** So many calls were made. */
  calls: number
}

/** An answer says whether it is a good one; an event does not. */
export interface Delivery {
  readonly id: number
  readonly ok?: boolean
  readonly json: string
}

polyfill(globalThis, (text) => host.log(text))
const recording: Recording = { started: host.started, numbers: [], deliveries: [], calls: 0 }
Object.assign(globalThis, { recording })

const say = (value: number) => {
  recording.numbers.push(value)
  return value
}
const recorded: Host = {
  call: (id, op, args) => {
    recording.calls += 1
    host.call(id, op, args)
  },
  cancel: (id) => host.cancel(id),
  now: () => say(host.now()),
  wall: () => say(host.wall()),
  random: () => say(host.random()),
  started: host.started,
  fatal: (text) => host.fatal(text),
  log: (text) => host.log(text),
}
host.onAnswer = (id, ok, json) => {
  recording.deliveries.push({ id, ok, json })
  recorded.onAnswer?.(id, ok, json)
}
host.onEvent = (id, json) => {
  recording.deliveries.push({ id, json })
  recorded.onEvent?.(id, json)
}
void run(hostSys(recorded))
