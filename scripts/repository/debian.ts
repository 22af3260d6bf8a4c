/** Debian packages: fetched with apt into a cache, read with dpkg-deb, their fields turned into apk's. */

import { execFile, execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { type Entry, readTar } from './tar.ts'

const run = promisify(execFile)
const roomy = { maxBuffer: 1 << 30 }

export interface DebianPackage {
  readonly name: string
  /** Debian's form: `1:9.2p1-2+deb12u10`. */
  readonly version: string
  readonly source: string
  readonly description: string
  readonly homepage: string
  /** `Pre-Depends` and `Depends`: each a list of alternatives. */
  readonly depends: readonly (readonly Relation[])[]
  /** Sonames that it provides: `libssl.so.3`. */
  readonly libraries: readonly string[]
  readonly entries: readonly Entry[]
}

export interface Relation {
  readonly name: string
  readonly operator: '<<' | '<=' | '=' | '>=' | '>>' | undefined
  readonly version: string
}

/**
 * Downloads what `directory` lacks, and returns each package's file. What is there is kept, whatever its version: a
 * later run is then the same, and needs no network.
 */
export async function fetchDebs(names: readonly string[], directory: string): Promise<Map<string, string>> {
  mkdirSync(directory, { recursive: true })
  const missing = names.filter((name) => !have(directory).has(name))
  if (missing.length > 0) {
    const partial = join(directory, 'partial')
    mkdirSync(partial, { recursive: true })
    await download(missing, partial, directory)
    for (const name of readdirSync(partial)) {
      if (name.endsWith('.deb')) renameSync(join(partial, name), join(directory, name))
    }
  }
  const files = have(directory)
  return new Map(
    names.map((name) => {
      const path = files.get(name)
      if (path === undefined) throw new Error(`apt-get download fetched no package ${name}`)
      return [name, path]
    }),
  )
}

function have(directory: string): Map<string, string> {
  const debs = readdirSync(directory).filter((name) => name.endsWith('.deb'))
  return new Map(debs.map((name) => [name.split('_', 1)[0] ?? name, join(directory, name)]))
}

async function download(names: readonly string[], into: string, cache: string): Promise<void> {
  const packages = names.map((name) => `${name}:amd64`)
  const sandbox = ['-o', 'APT::Sandbox::User=', '-q']
  try {
    await run('apt-get', [...sandbox, 'download', ...packages], { ...roomy, cwd: into })
    return
  } catch {
    // No lists, or old ones whose packages are gone: fetch lists of our own, which needs no root.
  }
  const lists = join(cache, 'apt')
  mkdirSync(join(lists, 'lists', 'partial'), { recursive: true })
  mkdirSync(join(lists, 'cache', 'archives', 'partial'), { recursive: true })
  const own = [...sandbox, '-o', `Dir::State::lists=${lists}/lists`, '-o', `Dir::Cache=${lists}/cache`]
  try {
    await run('apt-get', [...own, 'update'], roomy)
    await run('apt-get', [...own, 'download', ...packages], { ...roomy, cwd: into })
  } catch (cause) {
    throw new Error(
      `the demo is made of Debian 12's packages, and apt-get could not download ${names.join(' ')}; ` +
        'see that apt has a source for bookworm and that the network is up',
      { cause },
    )
  }
}

/** Opens a .deb. `source` and `version` come from the control file. */
export function readDeb(path: string): DebianPackage {
  const control = readTar(execFileSync('dpkg-deb', ['--ctrl-tarfile', path], roomy))
  const text = (name: string) => control.find((entry) => entry.path === name)?.content.toString() ?? ''
  const fields = new Map(
    text('control')
      .split(/\n(?! )/)
      .map((line): [string, string] => {
        const colon = line.indexOf(':')
        return [line.slice(0, colon), line.slice(colon + 1).trim()]
      }),
  )
  const field = (name: string) => fields.get(name) ?? ''
  return {
    name: field('Package'),
    version: field('Version'),
    source: field('Source').split(' ', 1)[0] || field('Package'),
    description: field('Description').split('\n', 1)[0] ?? '',
    homepage: field('Homepage') || 'https://packages.debian.org/bookworm/',
    depends: [...parseRelations(field('Pre-Depends')), ...parseRelations(field('Depends'))],
    libraries: parseShlibs(text('shlibs')),
    entries: readTar(execFileSync('dpkg-deb', ['--fsys-tarfile', path], roomy)),
  }
}

/** `a (>= 1), b | c` of a control file (Debian policy 7.1). */
export function parseRelations(text: string): Relation[][] {
  return text
    .split(',')
    .filter((group) => group.trim() !== '')
    .map((group) =>
      group.split('|').map((alternative): Relation => {
        const match = /^\s*([a-z0-9.+-]+)(?::\w+)?\s*(?:\((<<|<=|=|>=|>>)\s*([^)\s]+)\s*\))?\s*$/.exec(
          alternative,
        )
        if (match === null) throw new Error(`a dependency cannot be read: ${alternative}`)
        const [, name = '', operator, version = ''] = match
        return { name, operator: parseOperator(operator), version }
      }),
    )
}

function parseOperator(text: string | undefined): Relation['operator'] {
  switch (text) {
    case '<<':
    case '<=':
    case '=':
    case '>=':
    case '>>':
      return text
    default:
      return undefined
  }
}

/** deb-shlibs(5): `libssl 3 libssl3 (>= 3.0.0)` is libssl.so.3; `ld-linux-x86-64 2 …` ld-linux-x86-64.so.2. */
function parseShlibs(text: string): string[] {
  return text
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('udeb:'))
    .map((line) => {
      const [library = '', version = ''] = line.split(' ')
      return `${library}.so.${version}`
    })
}

/**
 * A Debian version in apk's grammar, `digits{.digits}{letter}{_suffix{number}}-r{number}`: the epoch goes, `9.2p1` becomes
 * `9.2_p1`, `1.0~rc2` `1.0_rc2`, what else upstream wrote goes too, and revision `2+deb12u10` becomes r2010.
 */
export function apkVersion(version: string): string {
  const plain = version.replace(/^\d+:/, '')
  const dash = plain.lastIndexOf('-')
  const upstream = dash === -1 ? plain : plain.slice(0, dash)
  const revision = dash === -1 ? plain.replace(/^[^+]*/, '0') : plain.slice(dash + 1)

  const match = /^(\d+(?:\.\d+)*)(?:p(\d+)|([a-z])(?![a-z0-9])|~(alpha|beta|pre|rc)(\d*))?/.exec(upstream)
  if (match === null) throw new Error(`the version ${version} has no form that apk knows`)
  const [, digits = '', patch, letter = '', suffix, number = ''] = match
  const tail = patch !== undefined ? `_p${patch}` : suffix !== undefined ? `_${suffix}${number}` : letter

  const first = Number(/^\d+/.exec(revision)?.[0] ?? '0')
  const update = Number(/\+deb12u(\d+)/.exec(revision)?.[1] ?? '0')
  return `${digits}${tail}-r${first * 1000 + update}`
}
