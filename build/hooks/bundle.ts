/** Puts hooks into init's bundle, and keeps of its source map what init needs to name a hook's line on a console. */

import { readFileSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import type { Plugin } from 'esbuild'
import type { HookPlaces } from '../../src/init/hook-places.ts'
import { CommandError } from '../error.ts'
import { packageRoot } from '../paths.ts'
import { hookModule } from './check.ts'
import { type HookFile, shownName } from './files.ts'

/** For esbuild: the list of hooks in the place of the empty one, and 'diskless' as their import. */
export function installHooks(hooks: readonly HookFile[]): Plugin {
  const entries = hooks.map(
    ({ name, path }) => `{ name: ${JSON.stringify(name)}, load: () => import(${JSON.stringify(path)}) }`,
  )
  return {
    name: 'hooks',
    setup(build) {
      build.onLoad({ filter: /[\\/]src[\\/]init[\\/]installed-hooks\.ts$/ }, () => ({
        contents: `export const hooks = [${entries.join(', ')}]`,
        loader: 'ts',
        resolveDir: packageRoot,
      }))
      build.onResolve({ filter: /^diskless$/ }, () => ({ path: hookModule }))
    },
  }
}

/** Of these bundles, each with its map beside it. */
export function readPlaces(bundles: readonly string[]): HookPlaces {
  const sources: string[] = []
  const files = bundles.map((bundle) => [basename(bundle), placesOf(bundle, sources)] as const)
  return { sources, files: Object.fromEntries(files) }
}

type Place = readonly [number, number, number, number]

function placesOf(bundle: string, sources: string[]): Place[] {
  const map: { readonly sources: readonly string[]; readonly mappings: string } = JSON.parse(
    readFileSync(`${bundle}.map`, 'utf8'),
  )
  const lines = readFileSync(bundle, 'utf8').split('\n')
  const indexes = map.sources.map((source) => indexOf(resolve(dirname(bundle), source), sources))
  const places: Place[] = []
  let [source, line] = [0, 0]
  for (const [row, segments] of map.mappings.split(';').entries()) {
    let column = 0
    for (const segment of segments.split(',')) {
      const [columns = 0, sourceDelta = 0, lineDelta = 0] = decode(segment, bundle)
      column += columns
      source += sourceDelta
      line += lineDelta
      const index = indexes[source] ?? -1
      const last = places.at(-1)
      if (last?.[2] === index && (index === -1 || last[3] === line + 1)) continue
      // The map counts UTF-16 units, the engine bytes.
      const bytes = Buffer.byteLength(lines[row]?.slice(0, column) ?? '')
      places.push([row + 1, bytes + 1, index, index === -1 ? 0 : line + 1])
    }
  }
  return places
}

/** Whatever is not of this package came with a hook. */
function indexOf(path: string, sources: string[]): number {
  if (path.startsWith(join(packageRoot, 'src/')) || path.includes('installed-hooks')) return -1
  const name = shownName(path)
  return sources.includes(name) ? sources.indexOf(name) : sources.push(name) - 1
}

const digits = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'

/** Base64 VLQ: ECMA-426, "Decoding base64 VLQs". */
function decode(segment: string, bundle: string): number[] {
  const values: number[] = []
  let [value, shift] = [0, 0]
  for (const digit of segment) {
    const bits = digits.indexOf(digit)
    if (bits === -1) throw new CommandError(`${bundle}.map is no source map`)
    value |= (bits & 31) << shift
    shift += 5
    if ((bits & 32) !== 0) continue
    values.push((value & 1) === 1 ? -(value >>> 1) : value >>> 1)
    value = 0
    shift = 0
  }
  return values
}
