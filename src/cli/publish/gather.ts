/** From what is wished to the files of the directory: digests first, then the texts that name them. */

import { existsSync, statSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { BuildError } from '../../../build/error.ts'
import { build } from '../../../build/index.ts'
import { readInput } from '../../../build/inputs.ts'
import { inspectImage } from '../../../build/root-image.ts'
import { parseLock, splitLock } from '../../apk/lock.ts'
import { findLoaders } from './loaders.ts'
import { list, type Placed, placeByDigest, placeFile, placeText, placeTree } from './placed.ts'
import type { Site, SiteMachine } from './site.ts'
import { textsOf } from './texts.ts'
import { allLoaders, type MachineWishes, type Place, type Wishes } from './wishes.ts'
import { join as joinWords, names } from './words.ts'

export interface Gathered {
  readonly site: Site
  readonly placed: readonly Placed[]
  /** What a person should know. */
  readonly notes: readonly string[]
}

export interface GatherOptions {
  /** The directory that is published into, absolute. */
  readonly directory: string
  /** Where an initrd is built, and found again the next time. */
  readonly workshop: string
  readonly tell: (line: string) => void
}

/** Rejects with a `BuildError`. */
export async function gather(wishes: Wishes, options: GatherOptions): Promise<Gathered> {
  const { directory } = options
  const { network, url } = wishes
  const boot = await bootFiles(wishes, options)
  const sources = await gatherSources(wishes)
  const overlays = await Promise.all(
    wishes.machines.map((machine) =>
      machine.overlay === undefined ? undefined : placeOverlay(machine.overlay, url),
    ),
  )
  const loaders = await findLoaders(
    wishes.loaders ?? allLoaders,
    wishes.loaders !== undefined,
    network?.server,
  )
  const machines = wishes.machines.map(
    (machine, at): SiteMachine => ({
      mac: machine.mac,
      hostname: machine.hostname,
      address: machine.address,
      words: wordsOf(wishes, sources.made, machine, overlays[at]?.made),
    }),
  )
  const site: Site = {
    directory,
    url,
    boot: { kernel: boot.kernel.path, initrd: boot.initrd.path },
    ip: names(wishes.words, 'ip') ? 'as the command line says' : (wishes.ip ?? 'dhcp'),
    words: wordsOf(wishes, sources.made),
    machines,
    loaders: wishes.loaders ?? allLoaders,
    firmware: loaders.firmware,
    network,
    nfs: wishes.nfsRoot === undefined ? undefined : { path: wishes.nfsRoot },
  }
  const texts = [...textsOf(site)].map(([path, text]) => placeText(path, text))
  const placed = [
    boot.kernel,
    boot.initrd,
    ...sources.placed,
    ...overlays.flatMap((overlay) => overlay?.placed ?? []),
    ...loaders.files,
    ...texts,
  ]
  return { site, placed: withoutTwins(placed), notes: [...boot.notes, ...notesOn(site, loaders.missing)] }
}

interface BootPair {
  readonly kernel: Placed
  readonly initrd: Placed
  readonly notes: readonly string[]
}

async function bootFiles({ boot }: Wishes, { workshop, tell }: GatherOptions): Promise<BootPair> {
  const made = boot.kind === 'build' ? await build({ ...boot.options, out: workshop, tell }) : undefined
  const from = boot.kind === 'build' ? workshop : boot.path
  for (const name of ['vmlinuz', 'initrd']) {
    if (existsSync(join(from, name))) continue
    throw new BuildError(`${from} has no ${name}`, {
      advice: [
        `diskless build --kernel SOURCE --out ${from} makes it; or let publishing do that: build: { kernel: … } in the configuration.`,
      ],
    })
  }
  return {
    kernel: await placeByDigest(join(from, 'vmlinuz'), 'the kernel'),
    initrd: await placeByDigest(join(from, 'initrd'), 'the initrd'),
    notes: made?.warnings ?? [],
  }
}

/** Words of the command line that come of another key than commandLine, by the parameter that they are about. */
type Made = ReadonlyMap<string, readonly string[]>

interface Sources {
  readonly placed: readonly Placed[]
  readonly made: Made
}

async function gatherSources(wishes: Wishes): Promise<Sources> {
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

/** The common words, what comes of other keys, and the machine's own: what it says itself is not said for it. */
function wordsOf(
  { words }: Wishes,
  common: Made,
  machine?: MachineWishes,
  own: Made = new Map(),
): readonly string[] {
  const said = machine?.words ?? []
  const made = [...new Map([...common, ...own])].flatMap(([name, each]) => (names(said, name) ? [] : each))
  return joinWords(words, [...made, ...said])
}

async function placeOverlay(place: Place, url: string | undefined): Promise<Sources> {
  if (place.kind === 'url') return { placed: [], made: new Map([['apkovl', [`apkovl=${place.url}`]]]) }
  const template = basename(place.path)
  if (template.includes('{')) return placeOverlays(dirname(place.path), template, url)
  const placed = await placeByDigest(place.path, 'the overlay')
  const words = [`apkovl=${below(url, placed.path, 'an overlay')}`, `diskless.apkovl_sha256=${placed.sha256}`]
  return { placed: [placed], made: new Map([['apkovl', words]]) }
}

/** One a machine: the client fills its own MAC in, so that these keep their names. */
async function placeOverlays(directory: string, template: string, url: string | undefined): Promise<Sources> {
  const [before, after, ...more] = template.split('{MAC}')
  if (before === undefined || after === undefined || more.length > 0 || /[{}]/.test(before + after)) {
    throw new BuildError(
      `the overlay ${join(directory, template)} is to have {MAC} in it once, and no other {}`,
    )
  }
  const files = list(directory, 'the directory of overlays').filter((name) => {
    const mac = name.slice(before.length, name.length - after.length)
    return name === `${before}${mac}${after}` && /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/.test(mac)
  })
  if (files.length === 0) {
    throw new BuildError(`${directory} has no overlay like ${template}`, {
      advice: [
        `For a machine it is called ${template.replace('{MAC}', '52:54:00:12:34:56')}: lower case, colons.`,
      ],
    })
  }
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
      if (seen.has(name)) throw new BuildError(`two repositories are called ${name}: rename one of them`)
      seen.add(name)
      const files = await placeTree(`repositories/${name}`, repository.path, 'the repository')
      if (!files.some(({ path }) => path.endsWith('/APKINDEX.tar.gz'))) {
        throw new BuildError(`${repository.path} is no repository of packages: it has no APKINDEX.tar.gz`, {
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
      throw new BuildError(
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
  throw new BuildError(`${what} is to be published, and nothing says where clients will find it`, {
    advice: [
      "Add url: 'http://SERVER/' to the configuration, or --url: where the published directory is by HTTP.",
      "network: { server: '10.0.0.1/24' } (--server) says it as well.",
    ],
  })
}

/** Two keys may name one file. */
function withoutTwins(placed: readonly Placed[]): readonly Placed[] {
  const byPath = new Map<string, Placed>()
  for (const each of placed) {
    const other = byPath.get(each.path)
    if (other !== undefined && other.sha256 !== each.sha256)
      throw new BuildError(`two files are to be published as ${each.path}: rename one of them`)
    byPath.set(each.path, each)
  }
  return [...byPath.values()]
}

function notesOn({ firmware, loaders, network, nfs }: Site, missing: readonly string[]): readonly string[] {
  return [
    ...missing.map((each) => `not published, as it is not on this machine: ${each}`),
    ...(network === undefined
      ? [
          "no network is configured: servers/ has no files for DHCP servers (network: { server: '10.0.0.1/24' })",
        ]
      : []),
    ...(firmware.bios === undefined ? ['there is no loader for BIOS firmware that is not iPXE itself'] : []),
    ...(firmware.efi === undefined ? ['there is no loader for EFI firmware that is not iPXE itself'] : []),
    ...(nfs !== undefined && !isDirectory(nfs.path)
      ? [`the NFS root ${nfs.path} is not on this machine`]
      : []),
    ...(loaders.length === 0 ? ['no loader is published'] : []),
  ]
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true
}
