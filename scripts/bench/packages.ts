/**
 * Installing packages, natively and without a guest: our engine against the real apk, each in a fresh tmpfs, from
 * local files on two cores and on one, and over a link with 20 ms of delay. `npm run bench` has these as contests.
 *
 *   APK=/path/to/apk ALPINE_MEDIA=DIR ALPINE_KEYS=DIR node scripts/bench/packages.ts [--rounds 10] [--world 'a b c']
 *
 * `--host FILE` takes another host than a release build of this tree. Without APK its rows say so.
 */

import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs, promisify } from 'node:util'
import { build } from 'esbuild'
import { buildHost } from '../../build/host.ts'
import { nginxConfiguration, nginxScript } from '../../test/support/lab/nginx.ts'
import { Service } from '../../test/support/lab/service.ts'
import { projectRoot } from '../processes.ts'
import { DelayedLink } from './delayed-link.ts'
import { type EngineAnswer, type EngineRequest, mark } from './packages-engine-wire.ts'
import type { Contest, Figure, Subject } from './row.ts'
import { digits, spreadOf } from './statistics.ts'
import { usualWorld } from './world.ts'

const execute = promisify(execFile)

export interface PackagesBench {
  readonly contests: readonly Contest[]
  /** Takes the link down. */
  close(): Promise<void>
}

export interface PackagesOptions {
  /** A tree with apks/ARCH, as Alpine's media have it. */
  readonly media: string
  /** The directory of the keys that its index is signed with. */
  readonly keys: string
  /** The real apk 2.14. */
  readonly apk?: string | undefined
  readonly world?: readonly string[]
  /** A host that is built already. */
  readonly host?: string | undefined
}

const delayMs = 20
const arch = process.arch === 'arm64' ? 'aarch64' : 'x86_64'

/** One way to the packages, and the processors that may be used. */
interface Course {
  readonly repository: string
  /** A list as taskset(1) takes it. */
  readonly processors: string
  readonly namespace?: string
}

/** Needs root, and for the link the programs of test/support/lab. */
export async function packagesBench(options: PackagesOptions): Promise<PackagesBench> {
  const directory = mkdtempSync(join(tmpdir(), 'diskless-bench-'))
  const engine = await makeEngine(directory, options.host)
  const link = await DelayedLink.lay(delayMs)
  const configuration = join(directory, 'nginx.conf')
  writeFileSync(configuration, nginxConfiguration([DelayedLink.server], options.media, directory, undefined))
  const script = `chrt --rr 20 ${nginxScript(configuration)}`
  const nginx = new Service({
    name: 'nginx',
    namespace: link.servers,
    script,
    ready: /using the "epoll"/,
  })
  await nginx.start()
  const apks = join(options.media, 'apks')
  const two: Course = { repository: apks, processors: '0,1' }
  const one: Course = { repository: apks, processors: '0' }
  const far: Course = {
    repository: `http://${DelayedLink.server}/apks`,
    processors: '0,1',
    namespace: link.clients,
  }
  const world = options.world ?? usualWorld
  const basis = [digestOf(engine), world.join(' ')].join(' ')
  const subjectsOf = (course: Course): readonly Subject[] => [
    {
      name: 'diskless',
      basis,
      measure: async () => (await measureEngine(engine, options, world, course)).figure,
    },
    ...(options.apk === undefined
      ? []
      : [
          {
            name: 'apk',
            basis: digestOf(options.apk),
            measure: measureApk(options, options.apk, world, course),
          },
        ]),
  ]
  const note = options.apk === undefined ? { note: 'APK= names no real apk to compare with' } : {}
  const contest = (id: string, title: string, course: Course, atMost: number): Contest => ({
    id: `packages-${id}`,
    group: 'packages',
    title: `packages ${title}, natively`,
    unit: 'ms',
    alone: true,
    subjects: subjectsOf(course),
    goals: [{ against: 'apk', atMost }],
    ...note,
  })
  return {
    contests: [
      contest('local', 'from local files, two cores', two, 1 / 2),
      contest('one-core', 'from local files, one core', one, 1),
      contest('far', `over a link with ${delayMs} ms of delay`, far, 1 / 4),
      {
        id: 'packages-memory',
        group: 'packages',
        title: 'memory for every package of the media, natively',
        unit: 'MiB',
        alone: true,
        subjects: [
          {
            name: 'diskless',
            basis,
            measure: async () => {
              const all = namesIn(join(apks, arch))
              const { peakMib } = await measureEngine(engine, options, all, far)
              return { value: peakMib }
            },
          },
        ],
        // 32 MB.
        goals: [{ atMost: 30.5 }],
        note: 'the peak, over the same link; the installed size is not in it',
      },
    ],
    close: async () => {
      await nginx.stop()
      await link.remove()
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

/** Resolves with the path of a program that installs what request.json asks for. */
async function makeEngine(directory: string, given: string | undefined): Promise<string> {
  const host = given ?? (await buildHost('release'))
  const [bundle, bytecode, engine] = ['js', 'qjsc', 'bin'].map((end) => join(directory, `engine.${end}`))
  if (bundle === undefined || bytecode === undefined || engine === undefined) throw new Error('no name')
  await build({
    absWorkingDir: projectRoot,
    entryPoints: ['scripts/bench/packages-engine.ts'],
    outfile: bundle,
    bundle: true,
    format: 'esm',
    platform: 'neutral',
    target: 'es2023',
    charset: 'utf8',
    minifySyntax: true,
    logLevel: 'silent',
  })
  await execute(host, ['--compile', bundle, bytecode])
  await execute(host, ['--append', bytecode, engine])
  return engine
}

function digestOf(file: string): string {
  return createHash('sha256').update(readFileSync(file)).digest('hex').slice(0, 12)
}

function namesIn(directory: string): readonly string[] {
  const files = readdirSync(directory).filter((name) => name.endsWith('.apk'))
  return files.map((name) => name.replace(/-[^-]+-r\d+\.apk$/, ''))
}

async function measureEngine(
  engine: string,
  { keys }: PackagesOptions,
  world: readonly string[],
  course: Course,
): Promise<{ readonly figure: Figure; readonly peakMib: number }> {
  const directory = mkdtempSync(join(tmpdir(), 'diskless-bench-'))
  try {
    const root = join(directory, 'root')
    const request: EngineRequest = { root, arch, repository: course.repository, keys, world }
    writeFileSync(join(directory, 'request.json'), JSON.stringify(request))
    const { milliseconds, cpu, said } = await timed(root, directory, course, [engine, '--engine'])
    const line = said.split('\n').find((each) => each.startsWith(mark))
    if (line === undefined) throw new Error(`the engine failed: ${said}`)
    const answer: EngineAnswer = JSON.parse(line.slice(mark.length))
    const { indexMs, chosenMs, installedMs, peakKb } = answer
    const parts = { cpu, index: indexMs, solve: chosenMs - indexMs, install: installedMs - chosenMs }
    return { figure: { value: milliseconds, parts }, peakMib: peakKb / 1024 }
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

/** As Alpine's own init calls it. */
function measureApk(
  { keys }: PackagesOptions,
  apk: string,
  world: readonly string[],
  course: Course,
): () => Promise<Figure> {
  return async () => {
    const directory = mkdtempSync(join(tmpdir(), 'diskless-bench-'))
    try {
      const root = join(directory, 'root')
      const options = ['--initramfs-diskless-boot', '--no-progress', '--keys-dir', keys]
      const from = ['--repositories-file', '/dev/null', '-X', course.repository]
      const words = [apk, 'add', '--root', root, ...options, ...from, ...world]
      const { milliseconds, cpu, said } = await timed(root, directory, course, words)
      if (!/^OK: /m.test(said)) throw new Error(`apk failed: ${said}`)
      return { value: milliseconds, parts: { cpu } }
    } finally {
      rmSync(directory, { recursive: true, force: true })
    }
  }
}

interface Timed {
  readonly milliseconds: number
  /** User and system time, milliseconds. */
  readonly cpu: number
  /** Both streams. */
  readonly said: string
}

/** In a mount namespace of its own, in which `root` is a fresh tmpfs with what scripts need. bash has the clock. */
const script = `
set -e
root=$1 processors=$2; shift 2
mkdir -p "$root"; mount -t tmpfs -o mode=0755 tmpfs "$root"
mkdir "$root/dev" "$root/proc" "$root/sys"
for name in dev proc sys; do mount --rbind /$name "$root/$name"; done
set +e
TIMEFORMAT='TIMED %R %U %S'
# Before all else that this machine may be at, but not before the cable.
time taskset -c "$processors" chrt --rr 10 "$@"
# An engine always ends with a failure: what it said tells.
exit 0
`

async function timed(
  root: string,
  directory: string,
  { namespace, processors }: Course,
  words: readonly string[],
): Promise<Timed> {
  mkdirSync(directory, { recursive: true })
  const inside = namespace === undefined ? [] : ['ip', 'netns', 'exec', namespace]
  const alone = [...inside, 'unshare', '--mount', '--propagation', 'private']
  const [program = '', ...rest] = [...alone, 'bash', '-c', script, 'bash', root, processors, ...words]
  const env = { ...process.env, PATH: `${process.env.PATH ?? ''}:/usr/sbin:/sbin` }
  const { stdout, stderr } = await execute(program, rest, { cwd: directory, env, maxBuffer: 2 ** 26 })
  const said = stdout + stderr
  const times = /^TIMED ([\d.]+) ([\d.]+) ([\d.]+)$/m
    .exec(said)
    ?.slice(1)
    .map((text) => Number(text) * 1000)
  const [real, user, system] = times ?? []
  if (real === undefined || user === undefined || system === undefined) throw new Error(`not timed: ${said}`)
  return { milliseconds: real, cpu: user + system, said }
}

if (import.meta.main) await main()

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: '10' },
      world: { type: 'string' },
      host: { type: 'string' },
      only: { type: 'string' },
    },
  })
  const { ALPINE_MEDIA: media, ALPINE_KEYS: keys, APK: apk } = process.env
  if (media === undefined || keys === undefined)
    throw new Error('ALPINE_MEDIA= and ALPINE_KEYS= name directories')
  const bench = await packagesBench({
    media: resolve(media),
    keys: resolve(keys),
    apk: apk === undefined ? undefined : resolve(apk),
    ...(values.world === undefined ? {} : { world: values.world.split(' ') }),
    host: values.host,
  })
  try {
    for (const contest of bench.contests) {
      if (values.only !== undefined && !contest.id.endsWith(values.only)) continue
      await run(contest, Number(values.rounds))
    }
  } finally {
    await bench.close()
  }
}

async function run({ title, subjects, unit, note, goals = [] }: Contest, rounds: number): Promise<void> {
  console.log(`${title}${note === undefined ? '' : ` (${note})`}`)
  const figures = new Map<string, Figure[]>(subjects.map(({ name }) => [name, []]))
  // The first warms the page cache and the link, and does not count.
  for (let round = 0; round <= rounds; round++) {
    for (const { name, measure } of subjects) {
      const figure = await measure(round)
      if (round > 0) figures.get(name)?.push(figure)
    }
  }
  const medians = new Map<string, number>()
  for (const [name, all] of figures) {
    const of = (part: string) =>
      spreadOf(all.map(({ value, parts }) => (part === '' ? value : (parts?.[part] ?? 0))))
    const { least = Number.NaN, median = Number.NaN, most = Number.NaN } = of('') ?? {}
    medians.set(name, median)
    const parts = Object.keys(all[0]?.parts ?? {}).map((part) => `${part} ${digits(of(part)?.median ?? 0)}`)
    console.log(
      `  ${name.padEnd(9)} median ${digits(median)} ${unit}, ${digits(least)} to ${digits(most)}   ${parts.join(', ')}`,
    )
  }
  for (const { against, atMost } of goals) {
    const [ours = Number.NaN] = medians.values()
    const other = against === undefined ? 1 : medians.get(against)
    if (other !== undefined) console.log(`  ratio ${digits(ours / other)}, at most ${digits(atMost)}`)
  }
}
