/** Makes the demo: a signed repository and an overlay, from Debian's packages and ours. Runs again only when something changed. */

import { createHash } from 'node:crypto'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import {
  generateKey,
  indexText,
  loadKey,
  makePackage,
  type SigningKey,
  signed,
  unsignedIndex,
} from './apk.ts'
import { fetchDebs, readDeb } from './debian.ts'
import { demoOverlay } from './overlay.ts'
import { ownPackages } from './own.ts'
import { recipes, specOf } from './packages.ts'

export interface Demo {
  /** Holds `apks/.boot_repository`, `apks/x86_64/`, `keys/` and the overlay. */
  readonly directory: string
  readonly overlay: string
  /** A directory of public keys, for the initrd. */
  readonly keys: string
  readonly key: SigningKey
  readonly packages: number
  /** Of all packages, together. */
  readonly bytes: number
}

type Paths = Omit<Demo, 'packages' | 'bytes'>

/** Of what a demo was made from; a demo without it is not whole. */
const stampName = '.stamp'

/** Of QEMU's first card: the overlay is asked for by {MAC}. */
const mac = '52:54:00:12:34:56'

const here = dirname(fileURLToPath(import.meta.url))
const busybox = createRequire(import.meta.url).resolve('busybox-static/bin/busybox')

/** Outside of the checkout, so that a fresh clone finds what an older one fetched. */
export function cacheDirectory(): string {
  return join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'diskless')
}

export async function makeDemo(directory: string, cache = cacheDirectory()): Promise<Demo> {
  const key = demoKey(cache)
  const debs = await fetchDebs(Object.keys(recipes), join(cache, 'debs'))
  const demo = describe(directory, key)
  const stamp = join(directory, stampName)
  const wanted = fingerprint(key, [...debs.values()])
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return measure(demo)

  // Made beside its place, then put there at once: somebody may be serving what is there now.
  const fresh = describe(`${directory}.${process.pid}`, key)
  write(fresh, debs)
  writeFileSync(join(fresh.directory, stampName), wanted)
  const old = `${fresh.directory}.old`
  if (existsSync(directory)) renameSync(directory, old)
  renameSync(fresh.directory, directory)
  rmSync(old, { recursive: true, force: true })
  return measure(demo)
}

function write(demo: Paths, debs: ReadonlyMap<string, string>): void {
  const { directory, key } = demo
  const repository = join(directory, 'apks', 'x86_64')
  mkdirSync(repository, { recursive: true })
  mkdirSync(demo.keys)
  writeFileSync(join(directory, 'apks', '.boot_repository'), '')
  writeFileSync(join(demo.keys, key.name), key.publicPem)

  const debian = new Map([...debs].map(([name, path]) => [name, readDeb(path)]))
  const specs = [...debian.values()].map((deb) => specOf(deb, debian))
  const versions = new Map(specs.map((spec) => [spec.name, spec.version]))
  const packages = [...specs, ...ownPackages(key, busybox, versions)]
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .map((spec) => makePackage(spec, key))
  for (const { spec, bytes } of packages) {
    writeFileSync(join(repository, `${spec.name}-${spec.version}.apk`), bytes)
  }
  const index = unsignedIndex(indexText(packages), 'diskless demo')
  writeFileSync(join(repository, 'APKINDEX.tar.gz'), signed(index, key, 'RSA256'))
  writeFileSync(demo.overlay, demoOverlay())
}

function describe(directory: string, key: SigningKey): Paths {
  return { directory, key, keys: join(directory, 'keys'), overlay: join(directory, `${mac}.apkovl.tar.gz`) }
}

function measure(demo: Paths): Demo {
  const repository = join(demo.directory, 'apks', 'x86_64')
  const apks = readdirSync(repository).filter((name) => name.endsWith('.apk'))
  const bytes = apks.reduce((sum, name) => sum + statSync(join(repository, name)).size, 0)
  return { ...demo, packages: apks.length, bytes }
}

/** Made once on a machine, at the first set-up; it signs nothing that leaves it. */
function demoKey(cache: string): SigningKey {
  const path = join(cache, 'demo.rsa')
  if (!existsSync(path)) {
    mkdirSync(cache, { recursive: true })
    writeFileSync(path, generateKey(), { mode: 0o600, flag: 'wx' })
  }
  return loadKey('diskless-demo.rsa.pub', readFileSync(path, 'utf8'))
}

/** Everything that the result is made from: this code, the key, busybox, and which packages were fetched. */
function fingerprint(key: SigningKey, debs: readonly string[]): string {
  const hash = createHash('sha256').update(key.publicPem)
  for (const name of readdirSync(here).sort()) hash.update(name).update(readFileSync(join(here, name)))
  for (const path of [busybox, ...debs]) hash.update(`${path} ${statSync(path).size}\n`)
  return hash.digest('hex')
}
