/**
 * What the native host runs in init's place: from a repository's name to a written database, by the code of a boot.
 * `request.json` in the working directory says what.
 */

import { fetchIndex } from '../../../src/apk/index.ts'
import { installWorld } from '../../../src/apk/installer.ts'
import { selectPackages } from '../../../src/apk/select.ts'
import { indexSource } from '../../../src/apk/source.ts'
import { makeWorld } from '../../../src/apk/world.ts'
import { hostSys } from '../../../src/init/host.ts'
import { polyfill } from '../../../src/init/polyfill.ts'
import type { Host } from '../../../src/init/wire.ts'
import { fetchPipeline } from '../../../src/network/fetch.ts'
import { chainOf } from '../../../src/sys/index.ts'
import { type InstallAnswer, type InstallWanted, mark } from './wire.ts'

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
    const { root, arch, keep } = request
    const keys = new Map(Object.entries(request.keys))
    const indexes = await Promise.all(
      request.repositories.map(({ url, tag }) =>
        fetchIndex(sys, { repository: { urls: [url], tag }, arch, keys, fetch: fetchPipeline }),
      ),
    )
    const source = indexSource(sys, indexes, arch)
    const world = makeWorld(request.world)
    const selection = await selectPackages(source, world)
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
