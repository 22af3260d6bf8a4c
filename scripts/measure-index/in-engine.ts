/**
 * Runs in the host, in init's place: reads the indexes that request.json names as a boot does, chooses the world, and
 * logs one line of JSON. A second selection from the same indexes shows what is paid once.
 */

import { fetchIndex } from '../../src/apk/index.ts'
import { selectPackages } from '../../src/apk/select.ts'
import { indexSource } from '../../src/apk/source.ts'
import { loadUniverse } from '../../src/apk/universe.ts'
import { makeWorld } from '../../src/apk/world.ts'
import { hostSys } from '../../src/init/host.ts'
import { polyfill } from '../../src/init/polyfill.ts'
import type { Host } from '../../src/init/wire.ts'
import { fetchPipeline } from '../../src/network/fetch.ts'
import type { Sys } from '../../src/sys/index.ts'

declare const host: Host

interface Request {
  /** Directories of repositories. */
  readonly repositories: readonly string[]
  readonly world: readonly string[]
  /** Paths of public keys by name. */
  readonly keys: Readonly<Record<string, string>>
}

polyfill(globalThis, (text) => host.log(text))
const sys = hostSys(host)
const begun = sys.clock.now()
const { repositories, world, keys }: Request = JSON.parse(await sys.files.readText('request.json'))
const began = { at: sys.clock.now(), cpu: await cpuOf(sys) }
const indexes = await Promise.all(
  repositories.map((url) =>
    fetchIndex(sys, {
      repository: { urls: [url], tag: undefined },
      arch: 'x86_64',
      keys: new Map(Object.entries(keys)),
      fetch: fetchPipeline,
    }),
  ),
)
const read = { at: sys.clock.now(), cpu: await cpuOf(sys) }
const source = indexSource(sys, indexes, 'x86_64')
const wanted = makeWorld(world)
const { packages, dropped } = await selectPackages(source, wanted)
const chosen = { at: sys.clock.now(), cpu: await cpuOf(sys) }
const memory = await sys.files.readText('/proc/self/status')
const universe = await loadUniverse(source, wanted.entries)
const loaded = sys.clock.now()
await selectPackages(source, wanted)
const again = sys.clock.now()

host.log(
  JSON.stringify({
    startMs: begun - sys.clock.started,
    readMs: read.at - began.at,
    selectMs: chosen.at - read.at,
    totalMs: chosen.at - began.at,
    loadAgainMs: loaded - chosen.at,
    selectAgainMs: again - loaded,
    readCpuMs: read.cpu.all - began.cpu.all,
    selectCpuMs: chosen.cpu.own - read.cpu.own,
    peakKb: Number(/VmHWM:\s*(\d+)/.exec(memory)?.[1]),
    packages: indexes.reduce((sum, index) => sum + index.packages, 0),
    selected: packages.map(({ name, version, checksum }) => `${name}-${version} ${checksum}`),
    dropped: dropped.map(({ entry }) => entry),
    universe: [universe.names.size, universe.packages.length],
  }),
)
host.fatal('measured')

/** Milliseconds of processor: of this thread, which is JavaScript's, exactly; of all threads to the scheduler's tick. */
async function cpuOf(sys: Sys): Promise<{ readonly own: number; readonly all: number }> {
  const [own, stat] = [
    await sys.files.readText('/proc/self/schedstat'),
    await sys.files.readText('/proc/self/stat'),
  ]
  const [user, system] = stat.slice(stat.lastIndexOf(')')).split(' ').slice(12)
  return { own: Number(own.split(' ')[0]) / 1e6, all: (Number(user) + Number(system)) * 10 }
}
