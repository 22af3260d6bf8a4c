/**
 * `npm run bench`: how long a boot takes, how large its initrd is and how much memory it needs, beside the floor and its peers.
 * Prints a table, and writes the figures as JSON. What is there already is not measured again: a run that was cut short goes
 * on. `npm run docs` then draws docs/bench.svg and puts the table into the documents.
 *
 *   npm run bench -- [--rounds 10] [--only nfs,image,packages,size,memory,phases,floor] [--json docs/bench.json]
 *                    [--clock instructions|tcg] [--jobs 1] [--init FILE]
 *
 * With `--init` nothing is built with cargo: FILE is a standalone /init. Two jobs measure as well as one, by the clock that counts
 * instructions. By `--clock tcg` nothing else may run on this machine, and the rows are rows of their own.
 */

import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { type Clock, clocks } from './bench/guest.ts'
import { imageContests } from './bench/image.ts'
import { memoryContests } from './bench/memory.ts'
import { nfsContests } from './bench/nfs.ts'
import { readResults, writeResults } from './bench/results.ts'
import { type Contest, type Group, groups, type Row } from './bench/row.ts'
import { runContests } from './bench/run.ts'
import { sizeContests } from './bench/size.ts'
import { phaseTable, table } from './bench/table.ts'
import { Workshop } from './bench/workshop.ts'
import { projectRoot } from './processes.ts'

const makers: Readonly<Partial<Record<Group, (shop: Workshop) => Promise<Contest[]>>>> = {
  nfs: nfsContests,
  image: imageContests,
  size: sizeContests,
  memory: memoryContests,
}

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '10' },
    only: { type: 'string', default: groups.join(',') },
    json: { type: 'string', default: join(projectRoot, 'docs/bench.json') },
    clock: { type: 'string', default: 'instructions' },
    jobs: { type: 'string', default: '1' },
    init: { type: 'string' },
  },
})
const wanted = values.only.split(',')
const unknown = wanted.filter((name) => ![...groups, 'phases', 'floor'].includes(name))
if (unknown.length > 0)
  throw new Error(`--only ${unknown.join(',')}: there are ${groups.join(', ')}, phases, floor`)
const clock = clocks.find((name) => name === values.clock)
if (clock === undefined) throw new Error(`--clock ${values.clock}: there are ${clocks.join(', ')}`)

const shop = await Workshop.open(clock, values.init)
try {
  const before = readResults(values.json)?.rows ?? []
  const machine = describeMachine(clock)
  const keep = (rows: readonly Row[]) => {
    const date = new Date().toISOString().slice(0, 10)
    writeResults(values.json, { version: 1, date, machine, rows: inOrder(rows) })
  }
  await runContests(await makeContests(), before, {
    rounds: Number(values.rounds),
    jobs: Number(values.jobs),
    tell: (line) => console.log(line),
    keep,
  })
} finally {
  await shop.stop()
}
const rows = readResults(values.json)?.rows ?? []
console.log(`\n${table(rows)}\n\n${phaseTable(rows)}`)

async function makeContests(): Promise<readonly Contest[]> {
  const contests: Contest[] = []
  for (const group of groups) {
    const timed = group === 'nfs' || group === 'image'
    if (wanted.includes(group)) contests.push(...((await makers[group]?.(shop)) ?? []))
    // Ours alone, and with the floor.
    else if (timed && (wanted.includes('floor') || wanted.includes('phases'))) {
      for (const contest of (await makers[group]?.(shop)) ?? []) {
        const count = wanted.includes('floor') ? 2 : 1
        contests.push({ ...contest, subjects: contest.subjects.slice(0, count) })
      }
    }
  }
  return contests
}

function inOrder(rows: readonly Row[]): Row[] {
  return groups.flatMap((group) => rows.filter((row) => row.group === group))
}

function describeMachine(clock: Clock): string {
  const version = execFileSync('qemu-system-x86_64', ['--version'], { encoding: 'utf8' })
  const qemu = /version ([\d.]+)/.exec(version)?.[1] ?? 'of an unknown version'
  const by = clock === 'instructions' ? '-icount shift=1: 500 million instructions a second' : '-accel tcg'
  return `Linux ${shop.kernel.version}, one processor, QEMU ${qemu} (${by})`
}
