/** `diskless lock`: resolves a world once, for a fleet that boots exactly that. */

import { existsSync, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { CommandError } from '../../build/error.ts'
import { readInput, readKeys } from '../../build/inputs.ts'
import { ownVersion } from '../../build/own-version.ts'
import { writeWhole } from '../../build/write-whole.ts'
import { formatLock, type Lock, parseLock, splitLock } from '../apk/lock.ts'
import { makeWorld, type World, worldWords } from '../apk/world.ts'
import { showBytes } from '../boot/format.ts'
import { UsageError } from './command.ts'
import { defineCommand } from './define.ts'
import { type Changes, compareLocks, describeChanges, isEmpty } from './lock/changes.ts'
import { makeLock } from './lock/make.ts'
import { type OverlayWishes, readOverlay } from './lock/overlay.ts'
import { openRepository, parsePlace, placeInLock, type RepositoryPlace } from './lock/repository.ts'
import { isAmong, isSignedBy, readSigningKey, signLock } from './lock/sign.ts'
import { readOptions } from './options.ts'

const description = {
  name: 'lock',
  about: 'resolves a world once, into a signed file that machines boot from exactly',
  forms: ['--repo PLACE --world WORLD --keys PLACE --sign KEY --out FILE [OPTIONS]'],
  options: {
    repo: {
      type: 'string',
      multiple: true,
      value: 'PLACE',
      about:
        "a repository, a directory or a URL, the preferred one first\n  DIR: for clients it is where it is from FILE: one server has both\n  URL[|MIRROR…]: clients fetch from there\n  PLACE=URL: read here, and fetched by clients from URL (|MIRROR…), which may be relative to FILE's: ./apks\n  '@TAG PLACE': as in etc/apk/repositories",
      complete: 'directory',
    },
    world: {
      type: 'string',
      multiple: true,
      value: 'WORLD',
      about:
        'packages, separated by commas or spaces, or a file of them (a path with a slash in it: ./world); alpine-base comes by itself',
      complete: 'file',
    },
    apkovl: {
      type: 'string',
      value: 'FILE',
      about: 'an overlay: its etc/apk/world, its keys, and without --repo its repositories',
    },
    keys: {
      type: 'string',
      multiple: true,
      value: 'PLACE',
      about: 'public keys of the repositories: a file, or a directory of *.rsa.pub',
      complete: 'file',
    },
    arch: {
      type: 'string',
      value: 'ARCH',
      about: "apk's name of the machines' architecture [this machine's]",
    },
    sign: {
      type: 'string',
      value: 'KEY',
      about:
        'the private RSA key that signs the lock, PEM; its public half must be in the initrd (diskless build --keys or --overlay-key)',
      complete: 'file',
    },
    out: { type: 'string', value: 'FILE', about: 'the lock file' },
    update: {
      type: 'boolean',
      about:
        'FILE is there: lock again, and say what changed. Without --repo its own repositories, without --world and --apkovl its own world, count',
    },
    'no-fetch': {
      type: 'boolean',
      about:
        "packages that are not here are not fetched for the SHA-256 of their files: clients then go by the index's checksum alone",
    },
  },
  notes: [
    'diskless.lock=URL boots exactly what FILE says. It is replaced whole, and only when something in it changes.',
  ],
  examples: [
    {
      about: 'lock three packages and what they need, of a repository that lies here',
      command:
        'diskless lock --repo /srv/alpine/main --world openssh,chrony,nginx --keys /etc/apk/keys --sign lock.rsa --out /srv/boot/lock',
    },
    {
      about: 'the same again, with what is new in the repository',
      command: 'diskless lock --update --keys /etc/apk/keys --sign lock.rsa --out /srv/boot/lock',
    },
  ],
} as const

type Values = ReturnType<typeof readOptions<typeof description.options>>['values']

const help = "'diskless lock --help' lists the options."

export const lockCommand = defineCommand({
  ...description,
  async run({ values }, output) {
    const result = await writeLock(requestOf(values), output.tell)
    output.result(result, () => describe(result))
    return 0
  },
})

interface LockRequest {
  readonly repositories: readonly string[]
  readonly world: readonly string[]
  readonly apkovl: string | undefined
  readonly keys: readonly string[]
  readonly arch: string | undefined
  readonly sign: string
  readonly out: string
  readonly update: boolean
  readonly fetches: boolean
}

interface LockResult {
  readonly out: string
  readonly written: boolean
  readonly arch: string
  readonly made: string
  readonly signedWith: string
  readonly packages: number
  /** Of the package files, and of what they hold. */
  readonly bytes: number
  readonly installedBytes: number
  /** Against the former lock; absent where there was none. */
  readonly changes?: Changes
  readonly notes: readonly string[]
}

/** Throws a `UsageError`. */
export function parse(words: readonly string[]): LockRequest {
  return requestOf(readOptions(description, words).values)
}

function requestOf(values: Values): LockRequest {
  if (values.out === undefined) throw new UsageError('--out is missing: where to write?', help)
  if (values.sign === undefined) {
    throw new UsageError(
      '--sign is missing: machines boot only from a lock that is signed',
      'A key: openssl genrsa -out lock.rsa 2048; openssl rsa -in lock.rsa -pubout -out lock.rsa.pub',
      help,
    )
  }
  const update = values.update ?? false
  if (!update && values.world === undefined && values.apkovl === undefined) {
    throw new UsageError('--world or --apkovl is missing: which packages?', help)
  }
  if (!update && values.repo === undefined && values.apkovl === undefined) {
    throw new UsageError('--repo is missing: packages from where?', help)
  }
  return {
    repositories: values.repo ?? [],
    world: values.world ?? [],
    apkovl: values.apkovl,
    keys: values.keys ?? [],
    arch: values.arch,
    sign: values.sign,
    out: resolve(values.out),
    update,
    fetches: values['no-fetch'] !== true,
  }
}

/** Rejects with a `CommandError` or a `UsageError`, and has then written nothing. */
export async function writeLock(request: LockRequest, tell: (line: string) => void): Promise<LockResult> {
  const { out, sign } = request
  const key = readSigningKey(sign)
  const former = request.update ? readFormer(out) : undefined
  if (!request.update && existsSync(out)) {
    throw new CommandError(`${out} is there already`, {
      advice: ['--update locks again and says what changed; or write to another file.'],
    })
  }
  if (statSync(dirname(out), { throwIfNoEntry: false })?.isDirectory() !== true) {
    throw new CommandError(`${dirname(out)}, where the lock is to be, is no directory`)
  }
  const overlay = request.apkovl === undefined ? undefined : readOverlay(request.apkovl)
  const arch = request.arch ?? former?.lock.arch ?? ownArchitecture()
  const places = placesOf(request, overlay, former?.lock, arch)
  const given = readKeys(request.keys)
  const keys = new Map([...(overlay?.keys ?? []), ...given])
  if (keys.size === 0) throw new UsageError('--keys is missing: whose repositories are trusted?', help)
  const repositories = []
  for (const place of places) repositories.push(await openRepository(place, arch, keys, tell))
  const made = await makeLock({
    arch,
    world: worldOf(request, overlay, former?.lock),
    repositories,
    made: `${now()} by diskless ${ownVersion()}`,
    former: former?.lock,
    fetches: request.fetches,
    tell,
  })
  const changes = former === undefined ? undefined : compareLocks(former.lock, made)
  const stays =
    former !== undefined && changes !== undefined && isEmpty(changes) && isSignedBy(former.file, key)
  if (!stays) writeWhole(out, signLock(formatLock(made), key))
  const sum = (of: 'size' | 'installedSize') => made.packages.reduce((total, pkg) => total + pkg[of], 0)
  return {
    out,
    written: !stays,
    arch,
    made: stays ? former.lock.made : made.made,
    signedWith: key.name,
    packages: made.packages.length,
    bytes: sum('size'),
    installedBytes: sum('installedSize'),
    ...(changes === undefined ? {} : { changes }),
    notes: notesOn(made, places, isAmong(key, given), key.name),
  }
}

interface Former {
  readonly file: string
  readonly lock: Lock
}

function readFormer(out: string): Former {
  if (!existsSync(out)) {
    throw new CommandError(`${out} is not there, so nothing of it can be updated`, {
      advice: ['The first time, leave --update out.'],
    })
  }
  const file = readInput(out).toString('utf8')
  return { file, lock: parseLock(splitLock(file, out).text, out) }
}

function placesOf(
  request: LockRequest,
  overlay: OverlayWishes | undefined,
  former: Lock | undefined,
  arch: string,
): readonly RepositoryPlace[] {
  const directory = dirname(request.out)
  const named = request.repositories.length > 0 ? request.repositories : (overlay?.repositories ?? [])
  const places = named.map((text) => parsePlace(text, arch, directory))
  const all =
    places.length > 0 || former === undefined
      ? places
      : former.repositories.map(({ urls, tag }) => placeInLock(urls, tag, directory))
  if (all.length === 0) {
    throw new CommandError(`${request.apkovl ?? 'the world'} names no repository that has a URL`, {
      advice: ['Name one: --repo DIR or --repo URL.'],
    })
  }
  return all
}

/** As init puts it together. */
function worldOf(request: LockRequest, overlay: OverlayWishes | undefined, former: Lock | undefined): World {
  const given = request.world.map((text) => (text.includes('/') ? readWorld(text) : text))
  const texts = [...(overlay?.world === undefined ? [] : [overlay.world]), ...given]
  if (texts.length === 0 && former !== undefined) return former.world
  const words = texts.flatMap((text) => worldWords(text.replaceAll(',', ' ')))
  const world = makeWorld([...words, 'alpine-base'])
  if (world.invalid.length === 0) return world
  throw new CommandError(`${world.invalid.join(', ')}: no package can be called so`, {
    advice: ['An entry of a world is name, name=1.2, name~1, name>1, !name or name@tag.'],
  })
}

/** An empty one is rather a mistake than a machine with alpine-base alone. */
function readWorld(path: string): string {
  const text = readInput(path).toString('utf8')
  if (worldWords(text).length > 0) return text
  throw new CommandError(`${path} names no package`, {
    advice: ['One a line, as in etc/apk/world. For nothing besides alpine-base: --world alpine-base.'],
  })
}

function notesOn(
  { packages }: Lock,
  places: readonly RepositoryPlace[],
  trusted: boolean,
  keyName: string,
): readonly string[] {
  const unread = packages.filter(({ sha256 }) => sha256 === undefined).length
  const above = places.flatMap(({ urls }) => urls.filter((url) => url.startsWith('../')))
  return [
    ...(trusted
      ? []
      : [`${keyName} is none of --keys: the initrd must be built with it, or it refuses the lock.`]),
    ...(unread === 0 ? [] : [`${unread} packages have no SHA-256 in it: their files were not fetched.`]),
    ...above.map(
      (url) => `Clients look for ${url}, relative to the lock's URL. If that is not so: --repo DIR=URL.`,
    ),
  ]
}

/** To the second. */
function now(): string {
  const epoch = process.env.SOURCE_DATE_EPOCH
  const time = epoch === undefined ? Date.now() : Number(epoch) * 1000
  return new Date(time).toISOString().replace(/\.\d+Z$/, 'Z')
}

function ownArchitecture(): string {
  const names: Readonly<Record<string, string>> = { x64: 'x86_64', arm64: 'aarch64', ia32: 'x86' }
  return names[process.arch] ?? process.arch
}

/** For a person. */
export function describe(result: LockResult): string {
  const { changes, notes } = result
  const state = result.written ? `signed with ${result.signedWith}` : `unchanged since ${result.made}`
  const lines = [
    `${result.out}: ${result.packages} packages for ${result.arch}, ${showBytes(result.bytes)} to fetch, ${showBytes(result.installedBytes)} installed; ${state}`,
    ...(changes === undefined || isEmpty(changes)
      ? []
      : ['Changes to the former lock:', ...describeChanges(changes)]),
    ...notes.map((note) => `Note: ${note}`),
  ]
  return `${lines.join('\n')}\n`
}
