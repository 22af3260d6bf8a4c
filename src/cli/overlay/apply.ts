/** Makes an overlay what somebody wants it to be: first what goes, then users, then what may belong to them. */

import { readdirSync, readlinkSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { CommandError } from '../../../build/error.ts'
import { readInput, readKeys } from '../../../build/inputs.ts'
import { formatWorld, makeWorld, worldWords } from '../../apk/world.ts'
import { closest } from '../../boot/closest.ts'
import { addUser, ownerOf, removeUser, setPassword } from './accounts.ts'
import { type Entry, makeDirectory, makeFile, makeSymlink, put, putText, take, textOf } from './entry.ts'
import { addSshKeys, removeSshKeys } from './ssh-keys.ts'
import type { Interfaces, PlacedFile, Service, Wishes } from './wishes.ts'

/** Which paths beside /etc the machine's next `lbu commit` packs as well: what `lbu include` writes. */
const includes = 'etc/apk/protected_paths.d/lbu.list'
const defaultServices = 'etc/.default_boot_services'

/** Of what is made or changed: seconds since 1970. */
export function timeOfChange(): number {
  const epoch = process.env.SOURCE_DATE_EPOCH
  return epoch === undefined ? Math.floor(Date.now() / 1000) : Number(epoch)
}

/** With or without the services that Alpine starts by itself where no overlay says which. */
export function emptyOverlay(startsDefaults: boolean, mtime: number, subject: string): Map<string, Entry> {
  const contents = new Map<string, Entry>()
  if (startsDefaults) putText(contents, defaultServices, '', { mtime, subject })
  putText(contents, 'etc/apk/world', 'alpine-base\n', { mtime, subject })
  return contents
}

/** `subject`: the overlay's name, for errors. Throws where one of the wishes cannot be had; the contents are then of no use. */
export function applyWishes(
  contents: Map<string, Entry>,
  wishes: Wishes,
  mtime: number,
  subject: string,
): void {
  const change = { mtime, subject }
  removeAll(contents, wishes, mtime, subject)
  changeLines(contents, 'etc/apk/world', change, (text) => {
    const gone = new Set(wishes.removed.world)
    return wishes.world.length + gone.size === 0 ? text : worldWith(text, wishes.world, gone, subject)
  })
  changeLines(contents, 'etc/apk/repositories', change, (text) =>
    linesWith(text, wishes.repositories, wishes.removed.repositories, subject),
  )
  for (const [name, bytes] of readKeys(wishes.keys)) {
    put(contents, `etc/apk/keys/${name}`, makeFile(bytes, { ...rootFile, mtime }), subject)
  }
  if (wishes.hostname !== undefined) putText(contents, 'etc/hostname', `${wishes.hostname}\n`, change)
  if (wishes.interfaces !== undefined) {
    putText(contents, 'etc/network/interfaces', interfacesText(wishes.interfaces), change)
  }
  for (const { runlevel, name } of wishes.services) {
    put(contents, linkOf({ runlevel, name }), makeSymlink(`/etc/init.d/${name}`, mtime), subject)
  }
  for (const user of wishes.users) addUser(contents, user, change)
  for (const { file, user } of wishes.passwords) setPassword(contents, user, file, change)
  const outside: string[] = []
  for (const { file, user } of wishes.sshKeys) outside.push(addSshKeys(contents, user, file, change))
  for (const file of wishes.files) {
    placeFile(contents, file, mtime, subject)
    outside.push(file.path)
  }
  const packed = [...outside, ...wishes.users.map(({ name }) => `home/${name}`)]
  includeOutside(contents, packed, change)
}

const rootFile = { uid: 0, gid: 0, user: 'root', group: 'root', mode: 0o644 }

function removeAll(contents: Map<string, Entry>, { removed }: Wishes, mtime: number, subject: string): void {
  for (const path of removed.paths) {
    if (take(contents, path)) continue
    const near = closest(path, contents.keys())
    throw new CommandError(`${subject} has no /${path} to be removed`, {
      advice: near === undefined ? [] : [`Did you mean /${near}?`],
    })
  }
  for (const service of removed.services) {
    if (take(contents, linkOf(service))) continue
    throw new CommandError(`${subject} starts no ${service.name} in the runlevel ${service.runlevel}`)
  }
  for (const { file, user } of removed.sshKeys) removeSshKeys(contents, user, file, { mtime, subject })
  for (const name of removed.users) removeUser(contents, name, { mtime, subject })
}

function linkOf({ runlevel, name }: Service): string {
  return `etc/runlevels/${runlevel}/${name}`
}

interface Change {
  readonly mtime: number
  readonly subject: string
}

function changeLines(
  contents: Map<string, Entry>,
  path: string,
  change: Change,
  how: (text: string) => string,
): void {
  const former = textOf(contents, path)
  const text = how(former ?? '')
  if (text !== (former ?? '')) putText(contents, path, text, change)
}

function worldWith(
  text: string,
  added: readonly string[],
  gone: ReadonlySet<string>,
  subject: string,
): string {
  const words = worldWords(text)
  const nameOf = (word: string) => makeWorld([word]).entries[0]?.name
  const names = new Set([...gone].map(nameOf))
  for (const word of gone) {
    if (!words.some((each) => nameOf(each) === nameOf(word))) {
      throw new CommandError(`the world of ${subject} has no ${word} to be removed`)
    }
  }
  const world = makeWorld([...words.filter((word) => !names.has(nameOf(word))), ...added])
  if (world.invalid.length === 0) return formatWorld(world)
  throw new CommandError(
    `the world of ${subject} has words that are no packages: ${world.invalid.join(', ')}`,
  )
}

function linesWith(text: string, added: readonly string[], gone: readonly string[], subject: string): string {
  const lines = text.split('\n').filter((line) => line !== '')
  for (const line of gone) {
    if (!lines.includes(line)) throw new CommandError(`${subject} names no repository ${line}`)
  }
  const kept = lines.filter((line) => !gone.includes(line))
  const all = [...kept, ...added.filter((line) => !kept.includes(line))]
  return all.length === 0 ? '' : `${all.join('\n')}\n`
}

function interfacesText(wanted: Interfaces): string {
  if (wanted.kind === 'file') return readInput(wanted.path).toString('utf8')
  const { card } = wanted
  return `auto lo\niface lo inet loopback\n\nauto ${card}\niface ${card} inet dhcp\n`
}

/** A directory with all that is in it; symlinks as they are. */
function placeFile(
  contents: Map<string, Entry>,
  { source, path, mode, user, group }: PlacedFile,
  mtime: number,
  subject: string,
): void {
  const owner = ownerOf(contents, user, group, subject)
  const place = (from: string, to: string) => {
    // What somebody names is followed, a symlink that lies in it is not.
    const found = statSync(from, { throwIfNoEntry: false })
    if (found === undefined) throw new CommandError(`the file ${from} could not be read: it is not there`)
    if (found.isDirectory()) {
      if (mode !== undefined) {
        throw new CommandError(`${from} is a directory: a mode is for a file`, {
          advice: ['Its files are 0755 where they can be run, else 0644.'],
        })
      }
      // Of root, it is a package's or made by whoever unpacks it: a mode here would count against the package's.
      const isMade = owner.uid + owner.gid > 0 || readdirSync(from).length === 0
      if (isMade && !contents.has(to))
        put(contents, to, makeDirectory({ ...owner, mode: 0o755, mtime }), subject)
      placeChildren(from, to)
    } else if (found.isFile()) {
      put(
        contents,
        to,
        makeFile(readInput(from), { ...owner, mode: mode ?? modeOf(found.mode), mtime }),
        subject,
      )
    } else throw new CommandError(`${from} is neither a file, a directory nor a symlink`)
  }
  const placeChildren = (from: string, to: string) => {
    for (const child of readdirSync(from, { withFileTypes: true }).sort(byName)) {
      const [inner, outer] = [join(from, child.name), `${to}/${child.name}`]
      if (child.isSymbolicLink()) put(contents, outer, makeSymlink(readlinkSync(inner), mtime), subject)
      else place(inner, outer)
    }
  }
  place(source, path)
}

function byName(a: { readonly name: string }, b: { readonly name: string }): number {
  return a.name < b.name ? -1 : 1
}

/** What a checkout's umask did to it is no wish. */
function modeOf(mode: number): number {
  return (mode & 0o111) === 0 ? 0o644 : 0o755
}

function includeOutside(contents: Map<string, Entry>, paths: readonly string[], change: Change): void {
  const outside = paths.filter((path) => !path.startsWith('etc/')).map((path) => `+${path}`)
  changeLines(contents, includes, change, (text) =>
    linesWith(text, [...new Set(outside)], [], change.subject),
  )
}

/** What somebody may have overlooked. */
export function notesOn(contents: ReadonlyMap<string, Entry>, wishes: Wishes): readonly string[] {
  const starts = (...names: readonly string[]) =>
    [...contents.keys()].some((path) =>
      names.some((name) => /^etc\/runlevels\/[^/]+\//.test(path) && path.endsWith(`/${name}`)),
    )
  return [
    ...(wishes.sshKeys.length > 0 && !starts('sshd', 'dropbear')
      ? ['Nothing in it starts an SSH server for the key: --world openssh --service sshd']
      : []),
    ...(wishes.interfaces !== undefined && !starts('networking')
      ? ['What --interface says counts once the service networking runs: --service boot:networking']
      : []),
  ]
}
