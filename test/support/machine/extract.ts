/** Archive entries on their way into a directory of the fake machine, kept inside it. */

import { hasCode } from '../../../src/sys/index.ts'
import { refusal } from './faults.ts'
import type { FakeFiles } from './files.ts'
import type { TarEntry } from './tar.ts'
import { type Place, parentOf } from './tree.ts'

/** What is unpacked where, for whose errors. */
export interface Unpacking {
  readonly files: FakeFiles
  readonly root: string
  readonly operation: string
  /** The archive. */
  readonly subject: string
}

function leadsOut({ operation, subject }: Pick<Unpacking, 'operation' | 'subject'>, name: string) {
  return refusal('ESCAPE', operation, subject, `${name} leads out of its root; nothing is written through it`)
}

/** An entry's path without slashes at its ends and `./`; undefined for the root itself. Throws ESCAPE. */
export function safeName(name: string, whose: Pick<Unpacking, 'operation' | 'subject'>): string | undefined {
  const parts = name.split('/').filter((part) => part !== '' && part !== '.')
  if (name.startsWith('/') || parts.includes('..')) throw leadsOut(whose, name)
  return parts.length === 0 ? undefined : parts.join('/')
}

/** Where an entry goes: symlinks on the way are followed inside the root, missing directories made. */
export function placeIn(unpacking: Unpacking, name: string): Place {
  const { files, operation, subject } = unpacking
  const root = files.tree.existing(operation, unpacking.root).outer
  let at = ''
  for (const part of parentOf(`/${name}`).split('/').filter(Boolean)) {
    at += `/${part}`
    const link = files.tree.walk(operation, at, { root, follow: false })
    if (link.stats === undefined) {
      link.mount.fileSystem.makeDirectory(link.inner, 0o755)
      continue
    }
    const kind = link.stats.kind === 'symlink' ? ending(unpacking, root, at) : link.stats.kind
    if (kind === undefined) throw leadsOut(unpacking, at.slice(1))
    if (kind !== 'directory') throw refusal('ENOTDIR', operation, subject, `${name}: Not a directory`)
  }
  return files.tree.walk(operation, `/${name}`, { root, follow: false })
}

/** What a symlink ends at, inside the root. */
function ending({ files, operation }: Unpacking, root: string, path: string) {
  try {
    return files.tree.walk(operation, path, { root }).stats?.kind
  } catch (error) {
    if (hasCode(error, 'ELOOP', 'ENOENT', 'ENOTDIR')) return undefined
    throw error
  }
}

/** Puts one entry in its place, replacing what is there, but for a directory. Returns its path, or undefined for the root. */
export function extract(unpacking: Unpacking, entry: TarEntry): string | undefined {
  const name = safeName(entry.name, unpacking)
  if (name === undefined) return undefined
  try {
    put(unpacking, name, entry)
  } catch (error) {
    const { operation, subject } = unpacking
    if (hasCode(error, 'ENOSPC'))
      throw refusal('ENOSPC', operation, subject, `${name}: No space left on device`)
    throw error
  }
  return entry.type === 'directory' ? `${name}/` : name
}

function put(unpacking: Unpacking, name: string, entry: TarEntry): void {
  const place = placeIn(unpacking, name)
  const { inner } = place
  const { fileSystem } = place.mount
  if (entry.type === 'directory') {
    if (place.stats?.kind !== 'directory') {
      if (place.stats !== undefined) fileSystem.remove(inner)
      fileSystem.makeDirectory(inner, entry.mode)
    }
  } else {
    const { operation, subject } = unpacking
    if (place.stats?.kind === 'directory')
      throw refusal('EISDIR', operation, subject, `${name}: Is a directory`)
    // The target first: removing what is in the way could remove it.
    const source = entry.type === 'hardlink' ? linked(unpacking, name, entry.link) : undefined
    fileSystem.remove(inner)
    if (source !== undefined) fileSystem.hardLink(source.inner, inner)
    else if (entry.type === 'symlink') fileSystem.symlink(entry.link, inner)
    else if (entry.type === 'file') fileSystem.write(inner, entry.content, entry.mode)
    else fileSystem.makeNode(inner, entry.type === 'block' ? 'block' : 'char', '0:0', entry.mode)
  }
  if (entry.type === 'hardlink') return
  if (entry.type !== 'symlink') fileSystem.setMode(inner, entry.mode)
  fileSystem.setOwner(inner, entry.uid, entry.gid)
}

function linked(unpacking: Unpacking, name: string, link: string): Place {
  const { operation, subject } = unpacking
  const source = placeIn(unpacking, safeName(link, unpacking) ?? '')
  if (source.stats === undefined) throw refusal('ENOENT', operation, subject, `${name}: ${link} is not there`)
  return source
}
