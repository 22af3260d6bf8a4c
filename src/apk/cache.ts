/**
 * The package cache of a medium (apk-cache(5)), where etc/apk/cache leads to: package files named by what they are, the
 * repositories' indexes as they were last seen, and `installed`, a list of what no repository has any more.
 */

import type { Sys } from '../sys/index.ts'
import { sha1 } from './sha1.ts'
import { field, numberField } from './stanza.ts'

export interface PackageCache {
  readonly directory: string
  /** Names of its files. */
  readonly files: ReadonlySet<string>
  /** Stanzas of those packages that only the cache has, and of those that are a name only (`apk add --virtual`). */
  readonly installed: readonly string[]
}

/** Rejects with a SysError where it cannot be read. `trusted`: whether to believe `installed`, which nobody signs. */
export async function openCache(
  sys: Pick<Sys, 'files'>,
  directory: string,
  trusted: boolean,
): Promise<PackageCache> {
  const files = new Set(await sys.files.list(directory))
  const text = trusted && files.has('installed') ? await sys.files.readText(`${directory}/installed`) : ''
  const installed = text.split(/\n{2,}/).filter((stanza) => {
    const name = stanza === '' ? undefined : cachedName(stanza)
    return name !== undefined && (files.has(name) || numberField(stanza, 'I') === 0)
  })
  return { directory, files, installed }
}

/** `busybox-1.36.1-r15.0a1b2c3d.apk`: the digits are the first bytes of the checksum. Undefined: the stanza is none. */
export function cachedName(stanza: string): string | undefined {
  const [name, version, checksum] = [field(stanza, 'P'), field(stanza, 'V'), field(stanza, 'C')]
  const start = checksum === undefined ? undefined : firstBytes(checksum.slice(2))
  if (name === undefined || version === undefined || start === undefined) return undefined
  return `${name}-${version}.${start}.apk`
}

/** The index of the repository, as apk saw it last. Undefined: the cache has none. */
export function cachedIndex({ directory, files }: PackageCache, url: string): string | undefined {
  const name = `APKINDEX.${sha1(url).slice(0, 8)}.tar.gz`
  return files.has(name) ? `${directory}/${name}` : undefined
}

/** Where the cache has the package. */
export function placeInCache({ directory, files }: PackageCache, stanza: string): string | undefined {
  const name = cachedName(stanza)
  return name !== undefined && files.has(name) ? `${directory}/${name}` : undefined
}

const DIGITS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'

/** Four bytes of base64 (RFC 4648), in hexadecimal. */
function firstBytes(base64: string): string | undefined {
  const values = [...base64.slice(0, 6)].map((digit) => DIGITS.indexOf(digit))
  if (values.length < 6 || values.includes(-1)) return undefined
  const bits = values.map((value) => value.toString(2).padStart(6, '0')).join('')
  return Number.parseInt(bits.slice(0, 32), 2).toString(16).padStart(8, '0')
}
