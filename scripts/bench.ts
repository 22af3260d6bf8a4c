/**
 * `npm run bench`: how long a boot takes, how large its initrd is and how much memory it needs, beside the floor and its peers.
 * Prints a table, and writes the figures as JSON. What is there already is not measured again: a run that was cut short goes
 * on. `npm run docs` then draws docs/bench.svg and puts the table into the documents.
 *
 *   npm run bench -- [--rounds 10] [--only nfs,image,packages,size,memory] [--of all|ours|others] [--json docs/bench.json]
 *                    [--clock instructions|tcg] [--jobs 1] [--init FILE --keeper FILE]
 *
 * `--only` takes rows, too, by their id in the JSON: nfs3,memory-image. By the clock that counts instructions two jobs
 * measure as well as one, and `--of ours` as well as all: what a guest does beside others, or on another day, takes it the
 * same time. Not so by `--clock tcg`, and natively: nothing else may run on this machine then, and a row whose program,
 * initrd or words changed is begun anew, all of its subjects in turn.
 *
 * Packages want a tree of Alpine's media and its keys and, to compare with, apk and an initramfs that mkinitfs made for this
 * kernel: ALPINE_MEDIA=DIR ALPINE_KEYS=DIR APK=FILE ALPINE_INITRAMFS=FILE. With `--init` and `--keeper` no guest needs cargo: a
 * standalone /init, and the lease keeper that goes with it.
 */

import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { alpineContests } from './bench/alpine.ts'
import { clocks } from './bench/guest.ts'
import { imageContests } from './bench/image.ts'
import { memoryContests } from './bench/memory.ts'
import { nfsContests } from './bench/nfs.ts'
import { packagesBench } from './bench/packages.ts'
import { readResults, writeResults } from './bench/results.ts'
import { type Contest, type Group, groups, type Row } from './bench/row.ts'
import { runContests } from './bench/run.ts'
import { sizeContests } from './bench/size.ts'
import { partTables, table } from './bench/table.ts'
import { Workshop } from './bench/workshop.ts'
import { projectRoot } from './processes.ts'

const makers: Readonly<Record<Exclude<Group, 'packages'>, (shop: Workshop) => Promise<Contest[]>>> = {
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
    of: { type: 'string', default: 'all' },
    init: { type: 'string' },
    keeper: { type: 'string' },
  },
})
const wanted = values.only.split(',')
const clock = clocks.find((name) => name === values.clock)
if (clock === undefined) throw new Error(`--clock ${values.clock}: there are ${clocks.join(', ')}`)

const sides = ['all', 'ours', 'others'] as const
const side = sides.find((name) => name === values.of)
if (side === undefined) throw new Error(`--of ${values.of}: there are ${sides.join(', ')}`)

/** What is to be taken down at the end. */
const closers: (() => Promise<void>)[] = []
const { init, keeper } = values
if ((init === undefined) !== (keeper === undefined)) throw new Error('--init and --keeper go together')
const shop = await Workshop.open(
  clock,
  init === undefined || keeper === undefined ? undefined : { init, keeper },
)
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
    plays: (place) => side === 'all' || (side === 'ours') === (place === 0),
    tell: (line) => console.log(line),
    keep,
  })
} finally {
  for (const close of closers) await close()
  await shop.stop()
}
const rows = readResults(values.json)?.rows ?? []
console.log(['', table(rows), ...partTables(rows)].join('\n\n'))

async function makeContests(): Promise<readonly Contest[]> {
  const contests: Contest[] = []
  for (const group of groups) {
    if (!wanted.some((name) => name.startsWith(group))) continue
    const all = group === 'packages' ? await packagesContests() : await makers[group](shop)
    contests.push(...all.filter(({ id }) => wanted.includes(group) || wanted.includes(id)))
  }
  const none = wanted.filter((name) => !contests.some(({ group, id }) => group === name || id === name))
  if (none.length > 0)
    throw new Error(
      `--only ${none.join(',')}: there are ${groups.join(', ')}, and rows by their id in the JSON`,
    )
  return contests
}

async function packagesContests(): Promise<readonly Contest[]> {
  const { ALPINE_INITRAMFS: initramfs, ALPINE_KEYS: keys, ALPINE_MEDIA: media, APK: apk } = process.env
  if (media === undefined || keys === undefined) {
    const note = 'not measured: ALPINE_MEDIA= and ALPINE_KEYS= name no tree of Alpine’s packages'
    return [{ id: 'packages', group: 'packages', title: 'packages', unit: 'ms', subjects: [], note }]
  }
  const boots = await alpineContests(shop, { media, keys, initramfs })
  // Guests alone need no engine.
  const members = wanted.filter((name) => name.startsWith('packages'))
  if (members.every((name) => boots.some(({ id }) => id === name))) return boots
  const bench = await packagesBench({ media, keys, apk })
  closers.push(bench.close)
  return [...boots, ...bench.contests]
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
