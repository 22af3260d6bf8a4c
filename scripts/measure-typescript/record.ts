/**
 * A boot of the fake machine by init in QuickJS, written down: what was answered and in which order, and what the clocks
 * said. The same script in the same engine, told the same, does the same again.
 */

import { readFileSync } from 'node:fs'
import { bundleInit } from '../../build/index.ts'
import { startEngine } from '../../test/support/engine/engine.ts'
import type { FakeMachine } from '../../test/support/machine/index.ts'

/** The recording as JSON. `directory`: for the bundle. */
export async function record(machine: FakeMachine, directory: string): Promise<string> {
  const bundle = await bundleInit(directory, 'scripts/measure-typescript/recorder.ts')
  const engine = await startEngine(readFileSync(bundle, 'utf8'), machine)
  const end = await machine.run(Promise.race([machine.supervisor.ended, engine.failed]))
  if (end.kind !== 'handoff') throw new Error(`the boot ended otherwise:\n${machine.consoles.text()}`)
  return String(engine.evaluate('JSON.stringify(recording)'))
}
