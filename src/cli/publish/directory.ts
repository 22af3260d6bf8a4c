/**
 * Publishes into a directory: what differs is written aside, whole, before anything that is there is touched (stage.ts); then
 * it is renamed into place, what others name before what names it, the manifest last. So a client finds the old state or the
 * new one, and so does who looks after a power cut.
 */

import {
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  unlinkSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { CommandError, errnoOf } from '../../../build/error.ts'
import { sha256Of } from '../../../build/root-image.ts'
import type { SigningKey } from '../lock/sign.ts'
import { claim } from './claim.ts'
import { formatManifest, type Manifest, manifestName, parseManifest } from './manifest.ts'
import { type Digested, isByDigest, type Placed } from './placed.ts'
import { type StageOptions, stage, stagingName } from './stage.ts'

export interface PublishOptions extends StageOptions {
  readonly key?: SigningKey | undefined
  /** Says what would be done, and does nothing. */
  readonly dryRun?: boolean
}

/** Paths in the directory, sorted. */
export interface Changes {
  readonly written: readonly string[]
  readonly unchanged: readonly string[]
  /** Of the publication before: no longer named by anything new. */
  readonly kept: readonly string[]
  readonly removed: readonly string[]
  /** Of what was written. */
  readonly bytes: number
}

/** Rejects with a `CommandError`; what is published is then what it was, unless the message says otherwise. */
export async function publishInto(
  directory: string,
  wanted: readonly Placed[],
  options: PublishOptions = {},
): Promise<Changes> {
  const { dryRun = false, key, onStep = () => {} } = options
  const release = claim(directory, dryRun)
  try {
    const present = readManifest(directory)
    const differing = []
    for (const placed of wanted) if (!(await isThere(directory, placed))) differing.push(placed)
    const next = nextManifest(present, wanted)
    const leavings = existsSync(directory) ? removable(directory, present, next) : []
    const same = differing.length === 0 && sameFiles(present, next)
    // Publishing the same again leaves the publication before it where it is.
    const manifest = formatManifest(same ? present : next, key)
    const told = [
      ...differing.map(({ path }) => path),
      ...(isText(directory, manifest) ? [] : [manifestName]),
    ]
    const changes: Changes = {
      written: told.sort(),
      unchanged: wanted
        .map(({ path }) => path)
        .filter((path) => !told.includes(path))
        .sort(),
      kept: [...(same ? present : next).former.keys()].sort(),
      removed: same ? [] : leavings,
      bytes: differing.reduce((sum, { size }) => sum + size, 0),
    }
    if (dryRun) return changes
    const staged = isText(directory, manifest) ? undefined : manifest
    await stage(directory, differing, staged, options)
    try {
      for (const [at, { path }] of [...differing.entries()].sort(byRank(differing))) {
        onStep(`rename ${path}`)
        moveInto(directory, String(at), path)
      }
      if (staged !== undefined) {
        onStep(`rename ${manifestName}`)
        moveInto(directory, manifestName, manifestName)
      }
      if (!same) remove(directory, leavings, onStep)
    } catch (cause) {
      throw new CommandError(`${directory} is published in part`, {
        cause,
        advice: [
          'Each loader’s file is whole, the old one or the new one, and what it names is there. Publish again.',
        ],
      })
    }
    return changes
  } finally {
    if (!dryRun) rmSync(join(directory, stagingName), { recursive: true, force: true })
    release()
  }
}

function readManifest(directory: string): Manifest {
  const path = join(directory, manifestName)
  if (!existsSync(path)) return { files: new Map(), former: new Map() }
  return parseManifest(readFileSync(path, 'utf8'), path)
}

/** Looked at, and not believed of the manifest: a file that somebody changed is written again. */
async function isThere(directory: string, { path, sha256, size }: Placed): Promise<boolean> {
  const place = join(directory, path)
  const status = statSync(place, { throwIfNoEntry: false })
  return status?.isFile() === true && status.size === size && (await sha256Of(place)) === sha256
}

function nextManifest(present: Manifest, wanted: readonly Placed[]): Manifest {
  const files = new Map(wanted.map(({ path, sha256, size }): [string, Digested] => [path, { sha256, size }]))
  const former = new Map([...present.files].filter(([path]) => !files.has(path) && outlives(path)))
  return { files, former }
}

/** What a client that began with the publication before still asks for, and what is found by its name alone is not. */
function outlives(path: string): boolean {
  return (
    isByDigest(path) ||
    path.startsWith('machines/') ||
    (path.startsWith('repositories/') && path.endsWith('.apk'))
  )
}

function sameFiles(present: Manifest, next: Manifest): boolean {
  return (
    present.files.size === next.files.size &&
    [...next.files].every(([path, { sha256 }]) => present.files.get(path)?.sha256 === sha256)
  )
}

/** What was ours and is no longer, and what a publication that did not come to its end left below files/. */
function removable(directory: string, present: Manifest, next: Manifest): readonly string[] {
  const stays = (path: string) => next.files.has(path) || next.former.has(path)
  const known = [...present.files.keys(), ...present.former.keys()]
  const files = join(directory, 'files')
  const strays = (existsSync(files) ? readdirSync(files) : []).flatMap((digest) => {
    const below = `files/${digest}`
    const isDirectory = isByDigest(`${below}/`) && statSync(join(directory, below)).isDirectory()
    return isDirectory ? readdirSync(join(directory, below)).map((name) => `${below}/${name}`) : []
  })
  return [...new Set([...known, ...strays])]
    .filter((path) => !stays(path) && existsSync(join(directory, path)))
    .sort()
}

/** What is named comes before what names it; the index of a repository after its packages. */
const ranks: readonly ((path: string) => boolean)[] = [
  isByDigest,
  (path) => path.startsWith('repositories/') && path.endsWith('.apk'),
  (path) => path.startsWith('repositories/') || path.startsWith('overlays/'),
  (path) => /^machines\/|^(grub\/grub|pxelinux)\.cfg[/-]01-/.test(path),
]

function rankOf(path: string): number {
  const rank = ranks.findIndex((fits) => fits(path))
  return rank === -1 ? ranks.length : rank
}

function byRank(differing: readonly Placed[]) {
  const rank = (at: number) => rankOf(differing[at]?.path ?? '')
  return ([a]: readonly [number, unknown], [b]: readonly [number, unknown]) => rank(a) - rank(b) || a - b
}

function moveInto(directory: string, staged: string, path: string): void {
  renameSync(join(directory, stagingName, staged), join(directory, path))
}

function isText(directory: string, text: string): boolean {
  const path = join(directory, manifestName)
  return existsSync(path) && readFileSync(path, 'utf8') === text
}

function remove(directory: string, paths: readonly string[], onStep: (what: string) => void): void {
  for (const path of paths) {
    onStep(`remove ${path}`)
    unlinkSync(join(directory, path))
    for (let above = dirname(path); above !== '.'; above = dirname(above)) {
      try {
        rmdirSync(join(directory, above))
      } catch (error) {
        // Something is left in it.
        if (errnoOf(error) === 'ENOTEMPTY' || errnoOf(error) === 'EEXIST') break
        throw error
      }
    }
  }
}
