/** lib/apk/db of a root on the fake machine: who owns which path, and the text that apk reads. */

import { createHash } from 'node:crypto'
import type { FakeFiles } from './files.ts'
import { makeTar, type TarEntry, type TarSource } from './tar.ts'

interface Entered {
  readonly name: string
  readonly stanza: string
  readonly checksum: string
  readonly triggers?: readonly string[]
  readonly scripts: ReadonlyMap<string, Buffer>
  readonly entries: readonly TarEntry[]
}

const DIRECTORY = 'lib/apk/db'

export class InstalledDatabase {
  readonly #files: FakeFiles
  readonly #root: string
  readonly #keep: ReadonlySet<string>
  /** What was installed before: its text, unchanged. */
  readonly #before: readonly string[]
  readonly #entered: Entered[] = []
  readonly #owners = new Map<string, string>()

  constructor(files: FakeFiles, root: string, keep: ReadonlySet<string>) {
    this.#files = files
    this.#root = root
    this.#keep = keep
    const text = files.text(`${root}/${DIRECTORY}/installed`) ?? ''
    this.#before = text.split(/\n\n+/).filter((stanza) => stanza.trim() !== '')
    for (const stanza of this.#before) this.#readOwners(stanza)
  }

  /** The package fields of what was there at the opening. */
  stanzas(): readonly string[] {
    return this.#before.map((stanza) => {
      const lines = stanza.split('\n')
      const files = lines.findIndex((line) => line.startsWith('F:'))
      return lines.slice(0, files === -1 ? undefined : files).join('\n')
    })
  }

  ownerOf(path: string): string | undefined {
    return this.#owners.get(path)
  }

  disown(path: string): void {
    this.#owners.delete(path)
  }

  keeps(path: string): boolean {
    return this.#keep.has(path)
  }

  enter(entered: Entered): void {
    this.#entered.push(entered)
    for (const entry of entered.entries) {
      if (entry.type !== 'directory') this.#owners.set(pathOf(entry), entered.name)
    }
  }

  scriptsOf(name: string): ReadonlyMap<string, Buffer> {
    return this.#entered.find((each) => each.name === name)?.scripts ?? new Map()
  }

  /** `broken`: packages of which a script failed; `untagged`: which lose the line with their repository's tag. */
  write(broken: ReadonlySet<string>, untagged: ReadonlySet<string>): void {
    const entered = this.#entered.map((each) =>
      untagged.has(each.name) ? { ...each, stanza: each.stanza.replace(/^s:.*\n/m, '') } : each,
    )
    const text = [...this.#before, ...entered.map((each) => this.#textOf(each, broken.has(each.name)))]
    const scripts = this.#entered.flatMap((each) => scriptsOf(each))
    const triggers = this.#entered.flatMap(({ checksum, triggers = [] }) =>
      triggers.length === 0 ? [] : [`${checksum} ${triggers.join(' ')}\n`],
    )
    this.#files.makeDirectories(`${this.#root}/${DIRECTORY}`)
    const write = (name: string, content: string | Buffer) =>
      this.#files.write(`${this.#root}/${DIRECTORY}/${name}`, Buffer.from(content))
    write('installed', text.map((stanza) => `${stanza}\n\n`).join(''))
    write('scripts.tar', makeTar(scripts))
    write('triggers', triggers.join(''))
    write('lock', '')
  }

  #readOwners(stanza: string): void {
    let name = ''
    let directory = ''
    for (const line of stanza.split('\n')) {
      if (line.startsWith('P:')) name = line.slice(2)
      else if (line.startsWith('F:')) directory = line.slice(2)
      else if (line.startsWith('R:')) {
        this.#owners.set(directory === '' ? line.slice(2) : `${directory}/${line.slice(2)}`, name)
      }
    }
  }

  /** The package's own lines, then its directories with their files: F M R a Z, defaults left out as apk does. */
  #textOf(entered: Entered, broken: boolean): string {
    const directories = new Map<string, { acl: string | undefined; files: TarEntry[] }>()
    const at = (path: string) => {
      const known = directories.get(path) ?? { acl: undefined, files: [] }
      directories.set(path, known)
      return known
    }
    for (const entry of entered.entries) {
      const path = pathOf(entry)
      if (entry.type === 'directory') at(path).acl = aclOf(entry)
      else if (this.#owners.get(path) === entered.name)
        at(path.includes('/') ? path.slice(0, path.lastIndexOf('/')) : '').files.push(entry)
    }
    const lines = [entered.stanza.trimEnd(), ...(broken ? ['f:s'] : [])]
    for (const path of [...directories.keys()].sort()) {
      const { acl, files } = at(path)
      lines.push(`F:${path}`)
      if (acl !== undefined && acl !== '0:0:755') lines.push(`M:${acl}`)
      for (const entry of files) {
        lines.push(`R:${pathOf(entry).slice(path === '' ? 0 : path.length + 1)}`)
        const own = aclOf(entry)
        if (own !== (entry.type === 'symlink' ? '0:0:777' : '0:0:644')) lines.push(`a:${own}`)
        const content = entry.type === 'symlink' ? entry.link : entry.content
        lines.push(`Z:Q1${createHash('sha1').update(content).digest('base64')}`)
      }
    }
    return lines.join('\n')
  }
}

function pathOf(entry: TarEntry): string {
  return entry.name.replace(/^\.\//, '').replace(/\/+$/, '')
}

function aclOf(entry: TarEntry): string {
  return `${entry.uid}:${entry.gid}:${entry.mode.toString(8)}`
}

/** `name-version.Q1….post-install`, as apk names them. */
function scriptsOf(entered: Entered): TarSource[] {
  const version = /^V:(.*)$/m.exec(entered.stanza)?.[1] ?? ''
  return [...entered.scripts].map(([script, content]) => ({
    name: `${entered.name}-${version}.${entered.checksum}.${script}`,
    mode: 0o755,
    content,
  }))
}
