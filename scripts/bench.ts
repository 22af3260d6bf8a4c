/**
 * `npm run bench`: how long a boot takes, how large its initrd is and how much memory it needs, beside the floor and its peers.
 * Prints a table, and writes the figures as JSON. What is there already is not measured again: a run that was cut short goes
 * on. `npm run docs` then draws docs/bench.svg and puts the table into the documents.
 *
 *   npm run bench -- [--rounds 10] [--only nfs,image,packages,size,memory,phases,floor] [--json docs/bench.json]
 *                    [--clock instructions|tcg] [--jobs 1] [--init FILE]
 *
 * Packages want a tree of Alpine's media and its keys and, to compare with, apk and an initramfs that mkinitfs made for this
 * kernel: ALPINE_MEDIA=DIR ALPINE_KEYS=DIR APK=FILE ALPINE_INITRAMFS=FILE. With `--init` nothing is built with cargo: FILE
 * is a standalone /init. Two jobs measure as well as one, by the clock that counts instructions. By `--clock tcg` nothing
 * else may run on this machine, and the rows are rows of their own.
 */

import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { alpineContest } from './bench/alpine.ts'
import { clocks } from './bench/guest.ts'
import { imageContests } from './bench/image.ts'
import { memoryContests } from './bench/memory.ts'
import { nfsContests } from './bench/nfs.ts'
import { packagesBench } from './bench/packages.ts'
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

/** What is to be taken down at the end. */
const closers: (() => Promise<void>)[] = []
const shop = await Workshop.open(clock, values.init)
try {
  const before = readResults(values.json)?.rows ?? []
  const machine = describeMachine()
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
  for (const close of closers) await close()
  await shop.stop()
}
const rows = readResults(values.json)?.rows ?? []
console.log(`\n${table(rows)}\n\n${phaseTable(rows)}`)

async function makeContests(): Promise<readonly Contest[]> {
  const contests: Contest[] = []
  for (const group of groups) {
    const timed = group === 'nfs' || group === 'image'
    if (group === 'packages') contests.push(...(wanted.includes(group) ? await packagesContests() : []))
    else if (wanted.includes(group)) contests.push(...((await makers[group]?.(shop)) ?? []))
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

async function packagesContests(): Promise<readonly Contest[]> {
  const { ALPINE_INITRAMFS: initramfs, ALPINE_KEYS: keys, ALPINE_MEDIA: media, APK: apk } = process.env
  if (media === undefined || keys === undefined) {
    const note = 'not measured: ALPINE_MEDIA= and ALPINE_KEYS= name no tree of Alpine’s packages'
    return [{ id: 'packages', group: 'packages', title: 'packages', unit: 'ms', subjects: [], note }]
  }
  const boot = await alpineContest(shop, { media, keys, initramfs })
  if (clock === 'tcg') return [boot]
  const bench = await packagesBench({ media, keys, apk })
  closers.push(bench.close)
  // By this machine's own clock, all of them.
  return [boot, ...bench.contests.map((contest) => ({ ...contest, alone: true }))]
}

/** Without rows that only say why there is nothing, where there is something. */
function inOrder(rows: readonly Row[]): Row[] {
  return groups.flatMap((group) => {
    const members = rows.filter((row) => row.group === group)
    const measured = members.filter(({ subjects }) => subjects.length > 0)
    return measured.length > 0 ? measured : members
  })
}

/** Of the rows that do not say otherwise. */
function describeMachine(): string {
  const version = execFileSync('qemu-system-x86_64', ['--version'], { encoding: 'utf8' })
  const qemu = /version ([\d.]+)/.exec(version)?.[1] ?? 'of an unknown version'
  return `Linux ${shop.kernel.version}, QEMU ${qemu}, one processor of 500 million instructions a second`
}
