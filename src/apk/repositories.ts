/**
 * etc/apk/repositories: one a line, `URL`, `path` or `@tag URL`, and `#` begins a comment line. On the kernel command
 * line `|` stands between mirrors of one repository.
 */

import { mirrorsIn } from '../boot/mirrors.ts'

export interface Repository {
  /** Without a trailing slash and without the architecture. */
  readonly url: string
  /** Others that have the same, to be asked where that one fails. */
  readonly mirrors: readonly string[]
  /** `@tag`, without the sign: only what world asks for by this tag comes from here. */
  readonly tag: string | undefined
}

const INDEX_NAME = 'APKINDEX.tar.gz'

/** A line's repository; undefined for a comment or an empty line. A URL that names the architecture or the index is cut. */
export function parseRepository(line: string, arch: string): Repository | undefined {
  const text = line.trim()
  if (text === '' || text.startsWith('#')) return undefined
  const tagged = /^@(\S+)\s+(\S.*)$/.exec(text)
  const [url = '', ...mirrors] = mirrorsIn(tagged?.[2] ?? text).map((each) => baseOf(each, arch))
  if (url.startsWith('@')) return undefined
  return { url, mirrors, tag: tagged?.[1] }
}

function baseOf(url: string, arch: string): string {
  if (url.endsWith(`/${INDEX_NAME}`)) url = url.slice(0, -INDEX_NAME.length)
  url = withoutSlashes(url)
  if (url.endsWith(`/${arch}`)) url = withoutSlashes(url.slice(0, -arch.length))
  return url
}

function withoutSlashes(url: string): string {
  return url.length > 1 ? url.replace(/(?<!:\/)\/+$/, '') : url
}

/** Every repository of a file, each once. */
export function parseRepositories(text: string, arch: string): readonly Repository[] {
  const repositories: Repository[] = []
  for (const line of text.split('\n')) {
    const repository = parseRepository(line, arch)
    if (repository === undefined) continue
    if (repositories.some(({ url, tag }) => url === repository.url && tag === repository.tag)) continue
    repositories.push(repository)
  }
  return repositories
}

export function indexUrl(url: string, arch: string): string {
  return `${url}/${arch}/${INDEX_NAME}`
}

/** `arch`: the package's own `A:`, which may be `noarch`: apk looks for it in the directory of that name. */
export function packageUrl(url: string, arch: string, name: string, version: string): string {
  return `${url}/${arch}/${name}-${version}.apk`
}
