/**
 * What the engine runs to be measured beside apk: the path of a boot from a repository's name to a database written, over
 * the real machine and by the same code. Bundled by packages.ts; `request.json` in the working directory says what.
 */

import { fetchIndex } from '../../src/apk/index.ts'
import { installWorld } from '../../src/apk/installer.ts'
import { selectPackages } from '../../src/apk/select.ts'
import { indexSource } from '../../src/apk/source.ts'
import { makeWorld } from '../../src/apk/world.ts'
import { hostSys } from '../../src/init/host.ts'
import { polyfill } from '../../src/init/polyfill.ts'
import type { Host } from '../../src/init/wire.ts'
import { fetchPipeline } from '../../src/network/fetch.ts'
import type { Sys } from '../../src/sys/index.ts'
import { type EngineAnswer, type EngineRequest, mark } from './packages-engine-wire.ts'

declare const host: Host

polyfill(globalThis, (text) => host.log(text))
const answer = await install(hostSys(host))
host.log(mark + JSON.stringify(answer))
host.fatal('measured')

async function install(sys: Sys): Promise<EngineAnswer> {
  const started = sys.clock.now()
  const request: EngineRequest = JSON.parse(await sys.files.readText('request.json'))
  const { root, arch, repository } = request
  const names = await sys.files.list(request.keys)
  const keys = new Map(names.map((name) => [name, `${request.keys}/${name}`]))
  const wanted = { repository: { urls: [repository], tag: undefined }, arch, keys, fetch: fetchPipeline }
  const index = await fetchIndex(sys, wanted)
  const indexed = sys.clock.now()
  const source = indexSource(sys, [index], arch)
  const world = makeWorld(request.world)
  const selection = await selectPackages(source, world)
  const chosen = sys.clock.now()
  const { placesOf } = source
  const report = await installWorld(
    sys,
    { root, arch, world, selection, placesOf, keep: [], fetch: fetchPipeline },
    { onProgress: () => {}, onMessage: () => {} },
  )
  if (!index.local) await sys.packages.saveIndex(index.index, `${root}/var/cache/apk`, repository)
  const installed = sys.clock.now()
  const status = await sys.files.readText('/proc/self/status')
  return {
    packages: report.packages,
    bytes: report.bytes,
    peakKb: Number(/^VmHWM:\s*(\d+) kB$/m.exec(status)?.[1]),
    indexMs: indexed - started,
    chosenMs: chosen - started,
    installedMs: installed - started,
  }
}
