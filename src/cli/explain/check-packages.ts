/** Whether the world resolves: indexes fetched, signatures checked, the real solver asked. */

import { CommandError } from '../../../build/error.ts'
import { placesIn } from '../../apk/fetch-lock.ts'
import { compareWorlds, parseLock, splitLock } from '../../apk/lock.ts'
import { indexUrl, packageUrl, parseRepositories, type Repository } from '../../apk/repositories.ts'
import { describeDropped, type SelectedPackage, type Selection, selectPackages } from '../../apk/select.ts'
import { field } from '../../apk/stanza.ts'
import { makeWorld, type World, worldWords } from '../../apk/world.ts'
import { showBytes } from '../../boot/format.ts'
import type { LockPlan, RamRootPlan } from '../../boot/root-plan.ts'
import { isUrl } from '../../boot/root-plan.ts'
import { redactUrl } from '../../network/url.ts'
import { BootError, chainOf } from '../../sys/index.ts'
import { inspectLock } from '../inspect/lock.ts'
import { readIndex } from '../inspect/packages.ts'
import { isDistrusted, showSignatures } from '../inspect/signatures.ts'
import { sourceOf } from '../lock/repository.ts'
import type { OverlayContents } from './check-overlay.ts'
import { type Asker, type Check, obtain } from './obtain.ts'
import { listed } from './step.ts'

interface Index {
  readonly repository: Repository
  readonly stanzas: readonly string[]
  /** The mirror that had it. */
  readonly url: string
}

/** `overlay`: undefined where it is not known from here. */
export async function checkRepositories(
  root: RamRootPlan,
  overlay: OverlayContents | undefined,
  asker: Asker,
): Promise<readonly Check[]> {
  const arch = asker.machine.architecture
  const given = parseRepositories(root.repositories.join('\n'), arch)
  const known = new Set(given.map(({ url }) => url))
  const further = parseRepositories(overlay?.repositories ?? '', arch).filter(({ url }) => !known.has(url))
  const checks: Check[] = []
  const indexes: Index[] = []
  for (const repository of [...given, ...further]) {
    const { check, index } = await checkIndex(repository, { ...asker, keys: keysFor(overlay, asker) })
    checks.push(check)
    if (index !== undefined) indexes.push(index)
  }
  if (given.length + further.length === 0) {
    const says = [
      'alpine_repo= names none, and the overlay, as far as it is known here, neither: a medium may have one',
    ]
    return [{ what: 'The repositories', state: 'unknown', says }]
  }
  return indexes.length === 0 ? checks : [...checks, ...(await checkWorld(root, overlay, indexes, asker))]
}

/** The initrd’s, and the overlay’s, as init goes by both. */
function keysFor(overlay: OverlayContents | undefined, { keys }: Asker): ReadonlyMap<string, Buffer> {
  return new Map([...(overlay?.keys ?? []), ...keys])
}

async function checkIndex(
  repository: Repository,
  asker: Asker,
): Promise<{ readonly check: Check; readonly index?: Index }> {
  const { url, mirrors, tag } = repository
  const what = `The repository ${tag === undefined ? '' : `@${tag} `}${redactUrl(url)}`
  if (!isUrl(url)) return { check: { what, state: 'unknown', says: ['it is a path of the machine’s'] } }
  const arch = asker.machine.architecture
  const found = await obtain(
    [url, ...mirrors].map((each) => indexUrl(each, arch)),
    'whole',
    asker,
  )
  if (found.answer === undefined || found.url === undefined)
    return { check: { what, state: found.state, says: found.says } }
  try {
    const { signatures, stanzas, description } = readIndex(found.answer.bytes, 'the index', asker.keys)
    const distrusted = isDistrusted(signatures, asker.keys) || signatures.length === 0
    const says = [
      ...found.says,
      `${stanzas.length} packages${description === '' ? '' : ` (${description})`}, signed by ${showSignatures(signatures).join('; ')}`,
    ]
    const base = found.url.slice(0, -indexUrl('', arch).length)
    return {
      check: { what, state: distrusted ? 'fails' : 'fine', says },
      ...(distrusted ? {} : { index: { repository, stanzas, url: base } }),
    }
  } catch (error) {
    return { check: { what, state: 'fails', says: [...found.says, ...wordsOf(error)] } }
  }
}

function wordsOf(error: unknown): readonly string[] {
  if (error instanceof CommandError || error instanceof BootError) return [chainOf(error).join(': ')]
  throw error
}

/** As init puts it together. */
function worldOf({ packages, sshKey }: RamRootPlan, overlay: OverlayContents | undefined): World {
  const openssh =
    sshKey !== undefined && (overlay === undefined || overlay.defaultServices) ? ['openssh'] : []
  return makeWorld([...worldWords(overlay?.world ?? ''), ...packages, ...openssh, 'alpine-base'])
}

async function checkWorld(
  root: RamRootPlan,
  overlay: OverlayContents | undefined,
  indexes: readonly Index[],
  asker: Asker,
): Promise<readonly Check[]> {
  const world = worldOf(root, overlay)
  const what = `The world: ${listed(world.entries.map(({ name }) => name))}`
  const partly = overlay === undefined ? ['what the overlay adds to it is not known here'] : []
  let selection: Selection
  try {
    selection = await selectPackages(
      sourceOf(indexes.map(({ repository, stanzas }) => ({ place: { tag: repository.tag }, stanzas }))),
      world,
    )
  } catch (error) {
    return [{ what, state: 'fails', says: wordsOf(error) }]
  }
  const { packages, dropped } = selection
  const sum = (of: 'size' | 'installedSize') => packages.reduce((total, pkg) => total + pkg[of], 0)
  const consequence = root.strictWorld ? 'the boot would stop' : 'the system would boot without'
  return [
    {
      what,
      state: dropped.length > 0 ? 'fails' : 'fine',
      says: [
        `${packages.length} packages, ${showBytes(sum('size'))} to fetch, ${showBytes(sum('installedSize'))} installed`,
        ...dropped.map((entry) => `${describeDropped(entry)}: ${consequence}`),
        ...tooLarge(sum('installedSize'), asker.machine.memory),
        ...partly,
      ],
    },
    await checkFiles(packages, indexes, asker),
  ]
}

function tooLarge(bytes: number, memory: number | undefined): readonly string[] {
  if (memory === undefined || bytes < memory * 0.75) return []
  return [`the machine has ${showBytes(memory)}: the root would not fit beside what runs`]
}

const fewFiles = 3

/** Indexes are copied to a mirror before the packages now and then: the largest are looked for. */
async function checkFiles(
  packages: readonly SelectedPackage[],
  indexes: readonly Index[],
  asker: Asker,
): Promise<Check> {
  const largest = packages.toSorted((a, b) => b.size - a.size).slice(0, fewFiles)
  const results = await Promise.all(
    largest.map(async (pkg) => {
      const home = indexes[pkg.repositories[0] ?? 0]
      const url = packageUrl(
        home?.url ?? '',
        field(pkg.stanza, 'A') ?? asker.machine.architecture,
        pkg.name,
        pkg.version,
      )
      const { answer, says } = await obtain([url], 'start', asker)
      if (answer === undefined) return says
      if (answer.size === undefined || answer.size === pkg.size) return []
      return [`${redactUrl(url)}: ${answer.size} bytes, and ${pkg.size} in the index`]
    }),
  )
  const wrong = results.flat()
  return {
    what: `Packages: the ${largest.length} largest of ${packages.length}`,
    state: wrong.length > 0 ? 'fails' : 'fine',
    says:
      wrong.length > 0
        ? wrong
        : [
            `${listed(largest.map(({ name, version }) => `${name}-${version}`))} are there, as large as the index says`,
          ],
  }
}

export async function checkLock(
  wanted: LockPlan,
  root: RamRootPlan,
  overlay: OverlayContents | undefined,
  asker: Asker,
): Promise<readonly Check[]> {
  const what = 'The lock'
  if (wanted.kind === 'path')
    return [{ what, state: 'unknown', says: [`${wanted.path} is in the initrd or on a medium`] }]
  const found = await obtain(wanted.urls, 'whole', asker)
  if (found.answer === undefined || found.url === undefined)
    return [{ what, state: found.state, says: found.says }]
  const text = found.answer.bytes.toString('utf8')
  try {
    const facts = inspectLock(text, { subject: 'the lock', keys: asker.keys, all: false })
    const lock = parseLock(splitLock(text, 'the lock').text, 'the lock')
    const { lacking, further } = compareWorlds(worldOf(root, overlay), lock.world)
    const saved = overlay?.world !== undefined
    const other = overlay !== undefined && (lacking.length > 0 || (saved && further.length > 0))
    const arch = asker.machine.architecture
    const wrong = isDistrusted(facts.signatures, asker.keys)
    const { url } = found
    const places = lock.repositories.map(({ urls }) => placesIn([url], urls))
    return [
      {
        what,
        state: wrong || other || lock.arch !== arch ? 'fails' : 'fine',
        says: [
          ...found.says,
          `made ${facts.made}, signed by ${showSignatures(facts.signatures).join('; ')}`,
          `${facts.packages.length} packages, ${showBytes(facts.bytes)} to fetch, ${showBytes(facts.installedBytes)} installed`,
          ...(lock.arch === arch ? [] : [`it is for ${lock.arch}, and the machine is ${arch}`]),
          ...(other
            ? [
                `its world is another than the machine’s: ${[...lacking.map((name) => `lacks ${name}`), ...(saved ? further.map((name) => `has ${name} besides`) : [])].join(', ')}`,
              ]
            : []),
          ...(overlay === undefined ? ['whether its world is the overlay’s is not known here'] : []),
        ],
      },
      await checkFiles(
        lock.packages,
        places.map(([first = '']) => ({
          repository: { url: first, mirrors: [], tag: undefined },
          stanzas: [],
          url: first,
        })),
        asker,
      ),
    ]
  } catch (error) {
    return [{ what, state: 'fails', says: [...found.says, ...wordsOf(error)] }]
  }
}
