/**
 * What the native host runs in init's place, on a boot server: from a repository's name to a written database, by the code of
 * a boot. `request.json` in the working directory says what.
 */

import { fetchIndex } from '../apk/index.ts'
import { installWorld } from '../apk/installer.ts'
import { describeDropped, selectPackages } from '../apk/select.ts'
import { indexSource } from '../apk/source.ts'
import { makeWorld } from '../apk/world.ts'
import { fetchPipeline } from '../network/fetch.ts'
import { chainOf, type Sys } from '../sys/index.ts'
import { hostSys } from './host.ts'
import { type InstallAnswer, type InstallWanted, mark } from './install-wire.ts'
import { polyfill } from './polyfill.ts'
import type { Host } from './wire.ts'

declare const host: Host

polyfill(globalThis, (text) => host.log(text))
host.log(mark + JSON.stringify(await install()))
host.fatal('done')

async function install(): Promise<InstallAnswer> {
  const order: string[] = []
  const messages: string[] = []
  try {
    const sys = hostSys(host)
    const request: InstallWanted = JSON.parse(await sys.files.readText('request.json'))
    const { root, arch, overlay } = request
    const keep = overlay === undefined ? request.keep : await unpack(sys, overlay, root)
    const keys = new Map(Object.entries(request.keys))
    const indexes = await Promise.all(
      request.repositories.map(({ url, tag }) =>
        fetchIndex(sys, { repository: { urls: [url], tag }, arch, keys, fetch: fetchPipeline }),
      ),
    )
    const source = indexSource(sys, indexes, arch)
    const world = makeWorld(request.world)
    const selection = await selectPackages(source, world)
    if (request.whole && selection.dropped.length > 0) {
      throw new Error(`the world cannot be had whole: ${selection.dropped.map(describeDropped).join('; ')}`)
    }
    order.push(...selection.packages.map(({ name, version }) => `${name}-${version}`))
    const { placesOf } = source
    await installWorld(
      sys,
      { root, arch, world, selection, placesOf, keep, fetch: fetchPipeline },
      { onMessage: (text) => messages.push(text) },
    )
    return { order, messages }
  } catch (error) {
    return { order, messages, failure: chainOf(error) }
  }
}

/** Resolves with its listing. */
async function unpack(
  sys: Pick<Sys, 'pipelines'>,
  { path, format }: NonNullable<InstallWanted['overlay']>,
  root: string,
): Promise<readonly string[]> {
  const { paths } = await sys.pipelines.run<'tree'>({
    source: { kind: 'file', path },
    filters: [{ kind: format }],
    sink: { kind: 'tree', root },
  })
  return paths
}
