/** From what is wished to the files of the directory: digests first, then the texts that name them. */

import { statSync } from 'node:fs'
import { join } from 'node:path'
import { CommandError } from '../../../build/error.ts'
import { readInput } from '../../../build/inputs.ts'
import { parseModaliases } from '../../../build/machine.ts'
import { cacheDirectory } from '../../../build/paths.ts'
import { findKernelSource } from '../build/kernel-source.ts'
import type { BootSource } from './boot-source.ts'
import { grubKnowsLease } from './grub.ts'
import { findLoaders } from './loaders.ts'
import { type Placed, placeByDigest, placeText } from './placed.ts'
import type { Site, SiteMachine } from './site.ts'
import { gatherSources, type Made, placeOverlay } from './sources.ts'
import { textsOf } from './texts.ts'
import { checkTls } from './tls.ts'
import { allLoaders, type MachineWishes, type Wishes } from './wishes.ts'
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

/** Rejects with a `CommandError`. */
export async function gather(wishes: Wishes, options: GatherOptions): Promise<Gathered> {
  const { directory } = options
  const { network, url } = wishes
  const notesOnTls = checkTls({
    ...{ url, tls: wishes.tls, ipxe: (wishes.loaders ?? allLoaders).includes('ipxe') },
    trusts: wishes.boot.kind === 'build' && wishes.boot.options.certificates !== undefined,
  })
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
    tls: wishes.tls,
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
  return {
    site,
    placed: withoutTwins(placed),
    notes: [...boot.notes, ...notesOn(site, loaders.missing, loaders.files), ...notesOnTls],
  }
}

interface BootPair {
  readonly kernel: Placed
  readonly initrd: Placed
  readonly notes: readonly string[]
}

async function bootFiles({ boot }: Wishes, { workshop, tell }: GatherOptions): Promise<BootPair> {
  const warnings = boot.kind === 'build' ? await buildBoot(boot, workshop, tell) : []
  const from = boot.kind === 'build' ? workshop : boot.path
  for (const name of ['vmlinuz', 'initrd']) {
    const size = statSync(join(from, name), { throwIfNoEntry: false })?.size
    if (size === 0) {
      throw new CommandError(`${join(from, name)} is empty: nothing boots from it`, {
        advice: [`diskless build --kernel SOURCE --out ${from} makes it anew.`],
      })
    }
    if (size !== undefined) continue
    throw new CommandError(`${from} has no ${name}`, {
      advice: [
        `diskless build --kernel SOURCE --out ${from} makes it; or let publishing do that: build: { kernel: … } in the configuration.`,
      ],
    })
  }
  return {
    kernel: await placeByDigest(join(from, 'vmlinuz'), 'the kernel'),
    initrd: await placeByDigest(join(from, 'initrd'), 'the initrd'),
    notes: warnings,
  }
}

/** Resolves with what a person should know. */
async function buildBoot(
  { kernel, keyring, fromMachine, options }: Extract<BootSource, { kind: 'build' }>,
  out: string,
  tell: (line: string) => void,
): Promise<readonly string[]> {
  const keys = options.keys ?? []
  const source = await findKernelSource({ source: kernel, keys, keyring, cache: cacheDirectory, tell })
  const machine =
    fromMachine === undefined
      ? {}
      : { machine: parseModaliases(readInput(fromMachine).toString('utf8'), fromMachine) }
  // Only now: who publishes what is built needs no bundler.
  const { build } = await import('../../../build/index.ts')
  const { warnings } = await build({ ...options, ...machine, kernel: source, out, tell })
  return warnings
}

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

/** Two keys may name one file. */
function withoutTwins(placed: readonly Placed[]): readonly Placed[] {
  const byPath = new Map<string, Placed>()
  for (const each of placed) {
    const other = byPath.get(each.path)
    if (other !== undefined && other.sha256 !== each.sha256)
      throw new CommandError(`two files are to be published as ${each.path}: rename one of them`)
    byPath.set(each.path, each)
  }
  return [...byPath.values()]
}

function notesOn(site: Site, missing: readonly string[], published: readonly Placed[]): readonly string[] {
  const { firmware, loaders, network, nfs } = site
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
    ...notesOnLease(site, published),
  ]
}

/** What ip: 'lease' does not do: other loaders' machines would have no lease, or no name servers, and nobody would know why. */
function notesOnLease(site: Site, published: readonly Placed[]): readonly string[] {
  const { ip, network } = site
  const isThere = (start: string) => published.some(({ path }) => path.startsWith(start))
  if (ip !== 'lease') return []
  return [
    ...(isThere('grub/') && !grubKnowsLease(site)
      ? [
          'GRUB cannot hand its lease over without network: { router }: machines that it boots ask by DHCP, as with ip: dhcp',
        ]
      : []),
    ...(isThere('pxelinux') && (network?.dns ?? []).length === 0
      ? ['pxelinux hands over no name servers with its lease: network: { dns } or nameserver= says which']
      : []),
  ]
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true
}
