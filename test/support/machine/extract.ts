/** Archive entries on their way into a directory of the fake machine, kept inside it. */

import { hasCode } from '../../../src/sys/index.ts'
import { refusal } from './faults.ts'
import type { FakeFiles } from './files.ts'
import type { TarEntry } from './tar.ts'
import { type Place, parentOf } from './tree.ts'

/** An entry's path without slashes at its ends and `./`; undefined for the root itself. Throws ESCAPE. */
export function safeName(name: string, operation: string): string | undefined {
  if (name.startsWith('/')) throw refusal('ESCAPE', operation, name, 'an absolute name')
  const parts = name.split('/').filter((part) => part !== '' && part !== '.')
  if (parts.includes('..')) throw refusal('ESCAPE', operation, name, 'leads out of its root')
  return parts.length === 0 ? undefined : parts.join('/')
}

/** Where an entry goes: symlinks on the way are followed inside the root, missing directories made. */
export function placeIn(files: FakeFiles, root: string, name: string, operation: string): Place {
  const outer = files.tree.existing(operation, root).outer
  const parent = parentOf(`/${name}`)
  let place = files.tree.walk(operation, '/', { root: outer })
  let at = ''
  for (const part of parent.split('/').filter(Boolean)) {
    at += `/${part}`
    place = files.tree.walk(operation, at, { root: outer })
    if (place.stats === undefined) {
      place.mount.fileSystem.makeDirectory(place.inner, 0o755)
    } else if (place.stats.kind !== 'directory') throw refusal('ENOTDIR', operation, name)
  }
  return files.tree.walk(operation, `/${name}`, { root: outer, follow: false })
}

/** Puts one entry in its place, replacing what is there, but for a directory. Returns its path, or undefined for the root. */
export function extract(
  files: FakeFiles,
  root: string,
  entry: TarEntry,
  operation: string,
): string | undefined {
  const name = safeName(entry.name, operation)
  if (name === undefined) return undefined
  try {
    const place = placeIn(files, root, name, operation)
    const { fileSystem } = place.mount
    const { inner } = place
    if (entry.type === 'directory') {
      if (place.stats?.kind !== 'directory') {
        if (place.stats !== undefined) fileSystem.remove(inner)
        fileSystem.makeDirectory(inner, entry.mode)
      }
    } else {
      if (place.stats?.kind === 'directory') throw refusal('EISDIR', operation, name)
      fileSystem.remove(inner)
      if (entry.type === 'symlink') fileSystem.symlink(entry.link, inner)
      else if (entry.type === 'hardlink') {
        const target = safeName(entry.link, operation) ?? ''
        const source = placeIn(files, root, target, operation)
        if (source.stats === undefined) throw refusal('ENOENT', operation, name)
        fileSystem.hardLink(source.inner, inner)
      } else if (entry.type === 'file') fileSystem.write(inner, entry.content, entry.mode)
      else fileSystem.makeNode(inner, entry.type === 'block' ? 'block' : 'char', '0:0', entry.mode)
    }
    if (entry.type !== 'symlink') fileSystem.setMode(inner, entry.mode)
    fileSystem.setOwner(inner, entry.uid, entry.gid)
  } catch (error) {
    if (hasCode(error, 'ENOSPC')) throw refusal('ENOSPC', operation, name)
    throw error
  }
  return entry.type === 'directory' ? `${name}/` : name
}
