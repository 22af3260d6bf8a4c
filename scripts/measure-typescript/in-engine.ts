/**
 * Runs in the host, in init's place: init itself, told what a recording says, one delivery for each turn of the engine's
 * loop as in a boot. Logs one line of JSON: the processor time of this thread, which is JavaScript's.
 */

import { hostSys } from '../../src/init/host.ts'
import { polyfill } from '../../src/init/polyfill.ts'
import { run } from '../../src/init/run.ts'
import type { Host } from '../../src/init/wire.ts'
import type { Recording } from './recorder.ts'

declare const host: Host
const loadedAt = host.now()

polyfill(globalThis, (text) => host.log(text))
const real = hostSys(host)
const loaded = await cpu()
const recording: Recording = JSON.parse(await readWhole())

let calls = 0
let number = 0
const next = () => recording.numbers[number++] ?? Number.NaN
const replayed: Host = {
  call: () => {
    calls += 1
  },
  cancel: () => {},
  now: next,
  wall: next,
  random: next,
  started: recording.started,
  fatal: (text) => host.fatal(text),
  log: (text) => host.log(text),
}
const began = await cpu()
void run(hostSys(replayed))
for (const { id, ok, json } of recording.deliveries) {
  await turn()
  if (ok === undefined) replayed.onEvent?.(id, json)
  else replayed.onAnswer?.(id, ok, json)
}
await turn()
const ended = await cpu()
for (let n = 0; n <= recording.deliveries.length; n++) await turn()
const idle = (await cpu()) - ended

host.log(
  JSON.stringify({
    loadWallMs: loadedAt - host.started,
    loadCpuMs: loaded,
    runCpuMs: ended - began - idle,
    totalCpuMs: loaded + ended - began - idle,
    deliveries: recording.deliveries.length,
    strayed: calls - recording.calls,
  }),
)
host.fatal('measured')

/** An operation that does nothing: it is answered when the engine has nothing else to do. */
async function turn(): Promise<void> {
  await real.packages.closeIndex(0)
}

/** Milliseconds of processor that the main thread has used. */
async function cpu(): Promise<number> {
  const text = await real.files.readText('/proc/self/schedstat')
  return Number(text.split(' ')[0]) / 1e6
}

/** The host reads texts of up to 1 MiB. */
async function readWhole(): Promise<string> {
  const parts = (await real.files.list('recording')).map((name) => real.files.readText(`recording/${name}`))
  return (await Promise.all(parts)).join('')
}
