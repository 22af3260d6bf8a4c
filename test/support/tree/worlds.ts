/** Worlds to compare: all of Alpine's media with packages made to be difficult, these alone, and both over an overlay. */

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { generateKey, loadKey } from '../../../scripts/repository/apk.ts'
import { withParents, writeTar } from '../../../scripts/repository/tar.ts'
import { namesIn } from './apk.ts'
import { type MadeSite, makeRepositories, overlayEntries } from './made.ts'
import type { World } from './site.ts'

/** Packages made for the test and their key, below `directory`. */
export function madeSite(directory: string, keys: string): MadeSite {
  const key = loadKey('made.rsa.pub', generateKey())
  mkdirSync(keys, { recursive: true })
  writeFileSync(join(keys, key.name), key.publicPem)
  return makeRepositories(directory, key)
}

export function mediaWorlds(repository: string, keys: string, made: MadeSite): World[] {
  // These two conflict with ifupdown-ng.
  const names = namesIn(repository).filter((name) => name !== 'vlan' && name !== 'network-extras')
  const media = { url: repository }
  return [
    { name: 'the media', repositories: [media], keys, world: names },
    {
      name: 'the media and the made ones',
      repositories: [media, { url: made.difficult }],
      keys,
      world: [...names, ...made.names],
    },
  ]
}

export function madeWorlds(directory: string, keys: string, made: MadeSite): World[] {
  const overlay = join(directory, 'overlay.tar.gz')
  writeFileSync(overlay, gzipSync(writeTar(withParents(overlayEntries()))))
  const repositories = [{ url: made.base }, { url: made.difficult }, { url: made.tagged, tag: 'edge' }]
  const world = ['m-base', ...made.names]
  const pinned = ['m-tagged@edge', 'm-tagged-fails@edge', 'm-tagged-empty@edge']
  return [
    { name: 'the made ones', repositories, keys, world: [...world, ...pinned] },
    { name: 'the made ones over an overlay', repositories, keys, world, overlay },
  ]
}
