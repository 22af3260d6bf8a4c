/** What the configuration names besides kernel and initrd: where it is published, and what the command line says of it. */

import { closeSync, openSync, readSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { CommandError } from '../../../build/error.ts'
import { readInput } from '../../../build/inputs.ts'
import { inspectImage } from '../../../build/root-image.ts'
import { parseLock, splitLock } from '../../apk/lock.ts'
import { list, type Placed, placeByDigest, placeFile, placeTree } from './placed.ts'
import type { Place, Wishes } from './wishes.ts'

/** Words of the command line that come of another key than commandLine, by the parameter that they are about. */
export type Made = ReadonlyMap<string, readonly string[]>

export interface Sources {
  readonly placed: readonly Placed[]
  readonly made: Made
}

/** Rejects with a `CommandError`. */
export async function gatherSources(wishes: Wishes): Promise<Sources> {
  const { url } = wishes
  const parts = await Promise.all([
    wishes.overlay === undefined ? nothing : placeOverlay(wishes.overlay, url),
    placeRepositories(wishes),
    wishes.modloop === undefined ? nothing : placeModloop(wishes.modloop, url),
    wishes.image === undefined ? nothing : placeImage(wishes.image, url),
    wishes.lock === undefined ? nothing : placeLock(wishes.lock, wishes.repositories, url),
  ])
  const root: Sources =
    wishes.nfsRoot === undefined ? nothing : { placed: [], made: nfsWords(wishes.nfsRoot, wishes) }
  return {
    placed: parts.flatMap(({ placed }) => placed),
    made: new Map([...parts, root].flatMap(({ made }) => [...made])),
  }
}

const nothing: Sources = { placed: [], made: new Map() }

export async function placeOverlay(place: Place, url: string | undefined): Promise<Sources> {
  if (place.kind === 'url') return { placed: [], made: new Map([['apkovl', [`apkovl=${place.url}`]]]) }
  const template = basename(place.path)
  if (template.includes('{')) return placeOverlays(dirname(place.path), template, url)
  const placed = await placeByDigest(place.path, 'the overlay')
  refuseNoOverlay(place.path)
  const words = [`apkovl=${below(url, placed.path, 'an overlay')}`, `diskless.apkovl_sha256=${placed.sha256}`]
  return { placed: [placed], made: new Map([['apkovl', words]]) }
}

/** gzip, zstd, or what `openssl enc` made of either: no machine would take anything else. */
function refuseNoOverlay(path: string): void {
  const start = Buffer.alloc(8)
  const file = openSync(path, 'r')
  try {
    readSync(file, start, 0, start.length, 0)
  } finally {
    closeSync(file)
  }
  const isOverlay =
    start.readUInt16BE(0) === 0x1f8b ||
    start.readUInt32LE(0) === 0xfd2fb528 ||
    start.toString('latin1') === 'Salted__'
  if (isOverlay) return
  throw new CommandError(`${path} is no overlay: neither tar.gz nor tar.zst, nor one that is encrypted`, {
    advice: ['diskless overlay new makes one, and so does lbu on a machine: lbu package.'],
  })
}

/** One a machine: the client fills its own MAC in, so that these keep their names. */
async function placeOverlays(directory: string, template: string, url: string | undefined): Promise<Sources> {
  const [before, after, ...more] = template.split('{MAC}')
  if (before === undefined || after === undefined || more.length > 0 || /[{}]/.test(before + after)) {
    throw new CommandError(
      `the overlay ${join(directory, template)} is to have {MAC} in it once, and no other {}`,
    )
  }
  const files = list(directory, 'the directory of overlays').filter((name) => {
    const mac = name.slice(before.length, name.length - after.length)
    return name === `${before}${mac}${after}` && /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/.test(mac)
  })
  if (files.length === 0) {
    throw new CommandError(`${directory} has no overlay like ${template}`, {
      advice: [
        `For a machine it is called ${template.replace('{MAC}', '52:54:00:12:34:56')}: lower case, colons.`,
      ],
    })
  }
  for (const name of files) refuseNoOverlay(join(directory, name))
  const placed = await Promise.all(
    files.map((name) => placeFile(`overlays/${name}`, join(directory, name), 'the overlay')),
  )
  return {
    placed,
    made: new Map([['apkovl', [`apkovl=${below(url, `overlays/${template}`, 'an overlay')}`]]]),
  }
}

async function placeRepositories({ repositories, url }: Wishes): Promise<Sources> {
  if (repositories.length === 0) return nothing
  const placed: Placed[] = []
  const urls: string[] = []
  const seen = new Set<string>()
  for (const repository of repositories) {
    if (repository.kind === 'url') urls.push(repository.url)
    else {
      const name = basename(repository.path)
      if (seen.has(name)) throw new CommandError(`two repositories are called ${name}: rename one of them`)
      seen.add(name)
      const files = await placeTree(`repositories/${name}`, repository.path, 'the repository')
      if (!files.some(({ path }) => path.endsWith('/APKINDEX.tar.gz'))) {
        throw new CommandError(`${repository.path} is no repository of packages: it has no APKINDEX.tar.gz`, {
          advice: [
            'Name the directory that the architecture’s lies in: apks, with apks/x86_64/APKINDEX.tar.gz.',
          ],
        })
      }
      placed.push(...files)
      urls.push(below(url, `repositories/${name}`, 'a repository'))
    }
  }
  return { placed, made: new Map([['alpine_repo', [`alpine_repo=${urls.join(',')}`]]]) }
}

async function placeModloop(place: Place, url: string | undefined): Promise<Sources> {
  if (place.kind === 'url') return { placed: [], made: new Map([['modloop', [`modloop=${place.url}`]]]) }
  inspectImage(place.path)
  const placed = await placeByDigest(place.path, 'the modloop')
  return {
    placed: [placed],
    made: new Map([['modloop', [`modloop=${below(url, placed.path, 'a modloop')}`]]]),
  }
}

async function placeImage(place: Place, url: string | undefined): Promise<Sources> {
  if (place.kind === 'url') return { placed: [], made: new Map([['root', [`root=live:${place.url}`]]]) }
  inspectImage(place.path)
  const placed = await placeByDigest(place.path, 'the image')
  const words = [`root=live:${below(url, placed.path, 'an image')}`, `diskless.image_sha256=${placed.sha256}`]
  return { placed: [placed], made: new Map([['root', words]]) }
}

/** Beside the repositories, as the lock may name them relative to itself. */
async function placeLock(
  path: string,
  repositories: readonly Place[],
  url: string | undefined,
): Promise<Sources> {
  const { text } = splitLock(readInput(path).toString('utf8'), path)
  const published = repositories.flatMap((place) => (place.kind === 'path' ? [basename(place.path)] : []))
  for (const { urls } of parseLock(text, path).repositories) {
    for (const each of urls) {
      if (/^[a-z][a-z\d+.-]*:\/\//i.test(each)) continue
      const name = each.replace(/^\.\//, '').replace(/\/$/, '')
      if (published.includes(name)) continue
      throw new CommandError(
        `${path} names the repository ${each} beside itself, which is not published there`,
        {
          advice: [
            `Name the directory of it in the configuration: repositories: ['…/${basename(name)}'].`,
            'Or lock with a URL for clients: diskless lock --repo DIR=URL.',
          ],
        },
      )
    }
  }
  const placed = await placeFile(`repositories/${basename(path)}`, path, 'the lock')
  const word = `diskless.lock=${below(url, placed.path, 'a lock')}`
  return { placed: [placed], made: new Map([['diskless.lock', [word]]]) }
}

/** Without a network the server is the lease's. */
function nfsWords(path: string, { network }: Wishes): Made {
  const server = network === undefined ? '' : `${network.server}:`
  return new Map([['root', ['root=/dev/nfs', `nfsroot=${server}${path}`]]])
}

function below(url: string | undefined, path: string, what: string): string {
  if (url !== undefined) return `${url}${path}`
  throw new CommandError(`${what} is to be published, and nothing says where clients will find it`, {
    advice: [
      "Add url: 'http://SERVER/' to the configuration, or --url: where the published directory is by HTTP.",
      "network: { server: '10.0.0.1/24' } (--server) says it as well.",
    ],
  })
}
