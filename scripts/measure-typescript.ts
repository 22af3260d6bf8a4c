/**
 * `npm run measure:typescript`: TypeScript's own share of a boot, in milliseconds of processor on this machine: init in
 * the host's engine, told what the fake machine told it on Node. What the host does for it is not in it.
 *
 *   npm run measure:typescript -- [--rounds 21]
 */

import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { joinBundle } from '../build/host.ts'
import { buildHost, bundleInit } from '../build/index.ts'
import { fakeMachine } from '../test/support/machine/index.ts'
import { boots } from './measure-typescript/boots.ts'
import { record } from './measure-typescript/record.ts'
import { projectRoot, run } from './processes.ts'

interface Measured {
  readonly [name: string]: number
}

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '21' } } })
const directory = join(projectRoot, 'out/measure-typescript')
rmSync(directory, { recursive: true, force: true })
const host = await buildHost('release', console.error)
const program = await joinBundle(
  host,
  await bundleInit(directory, 'scripts/measure-typescript/in-engine.ts'),
  directory,
)
for (const [name, options] of Object.entries(boots)) {
  writeRecording(await record(fakeMachine(options()), join(directory, 'recorder')))
  const rounds: Measured[] = []
  for (let round = 0; round < Number(values.rounds); round++) rounds.push(await measure())
  console.log(`${name}:\n| | median | least | most |\n|---|---|---|---|`)
  for (const measured of Object.keys(rounds[0] ?? {})) {
    const all = rounds.map((each) => each[measured] ?? Number.NaN).sort((a, b) => a - b)
    const shown = [all[all.length >> 1], all[0], all.at(-1)].map((value) => Number(value?.toFixed(2)))
    console.log(`| ${measured} | ${shown.join(' | ')} |`)
  }
}

/** In parts that the host reads at once. */
function writeRecording(text: string): void {
  const parts = join(directory, 'recording')
  rmSync(parts, { recursive: true, force: true })
  mkdirSync(parts)
  for (let at = 0, part = 100; at < text.length; at += 300_000, part++)
    writeFileSync(join(parts, String(part)), text.slice(at, at + 300_000))
}

async function measure(): Promise<Measured> {
  const { errors } = await run(program, ['--engine'], { directory })
  const line = errors.split('\n').find((each) => each.startsWith('{'))
  if (line === undefined) throw new Error(`the host said: ${errors}`)
  return JSON.parse(line)
}
