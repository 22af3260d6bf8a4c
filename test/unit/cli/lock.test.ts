/** `diskless lock` on real repositories in a directory and behind a web server. */

import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { createServer, type Server } from 'node:http'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { CommandError } from '../../../build/error.ts'
import { packageRoot } from '../../../build/paths.ts'
import { generateKey, type Package, type PackageSpec } from '../../../scripts/repository/apk.ts'
import { makeOverlay } from '../../../scripts/repository/overlay.ts'
import { file } from '../../../scripts/repository/tar.ts'
import { type Lock, parseLock, splitLock } from '../../../src/apk/lock.ts'
import { UsageError } from '../../../src/cli/command.ts'
import { describe as describeResult, parse, writeLock } from '../../../src/cli/lock.ts'
import { chainOf } from '../../../src/sys/index.ts'
import { key, makeIndex, packageOf, stranger } from '../../support/scenario.ts'

const directory = mkdtempSync(join(tmpdir(), 'diskless-lock-'))
const www = join(directory, 'www')
const out = join(www, 'fleet.lock')
const keys = join(directory, key.name)
const program = join(packageRoot, 'bin/diskless')
const signing = join(directory, 'ops.rsa')

/** What is printed, or why nothing was done. */
interface Said {
  readonly stdout: string
  readonly stderr: string
}

async function diskless(...words: string[]): Promise<Said> {
  try {
    return { stdout: describeResult(await writeLock(parse(words), () => {})), stderr: '' }
  } catch (error) {
    if (!(error instanceof CommandError || error instanceof UsageError)) throw error
    return { stdout: '', stderr: [...chainOf(error), ...error.advice].join('\n') }
  }
}

const lock = (...words: string[]) => diskless('--keys', keys, '--sign', signing, '--out', out, ...words)

/** A repository below the web server’s directory. */
function serve(packages: readonly Package[], place = 'apks', by = key): void {
  const repository = join(www, place, 'x86_64')
  rmSync(repository, { recursive: true, force: true })
  mkdirSync(repository, { recursive: true })
  writeFileSync(join(repository, 'APKINDEX.tar.gz'), makeIndex(packages, by))
  for (const { spec, bytes } of packages)
    writeFileSync(join(repository, `${spec.name}-${spec.version}.apk`), bytes)
}

const pkg = (name: string, spec: Partial<PackageSpec> = {}) =>
  packageOf({ name, entries: [file(`usr/share/${name}`, `${name} ${spec.version}`)], ...spec })
const base = pkg('alpine-base', { depends: ['libc'] })
const libc = pkg('libc', { provides: ['so:libc=1'] })
const curl = pkg('curl', { depends: ['so:libc'], version: '8.5-r0' })

function readLock(): Lock {
  const { text, keyName } = splitLock(readFileSync(out, 'utf8'), out)
  expect(keyName).toBe('ops.rsa.pub')
  return parseLock(text, out)
}

const labels = ({ packages }: Lock) => packages.map(({ name, version }) => `${name}-${version}`)

let server: Server
let url = ''
const requests: string[] = []

beforeAll(async () => {
  mkdirSync(www)
  writeFileSync(keys, key.publicPem)
  writeFileSync(signing, generateKey())
  server = createServer(({ url: path = '' }, response) => {
    requests.push(path)
    const place = join(www, path)
    const there = statSync(place, { throwIfNoEntry: false })?.isFile() === true
    response.writeHead(there ? 200 : 404).end(there ? readFileSync(place) : 'no')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  url = typeof address === 'object' && address !== null ? `http://127.0.0.1:${address.port}` : ''
})

beforeEach(() => {
  rmSync(out, { force: true })
  requests.length = 0
  serve([base, libc, curl])
})

afterAll(() => {
  server.close()
  rmSync(directory, { recursive: true, force: true })
})

describe('diskless lock', () => {
  it('locks a directory, which clients find where it is from the lock', async () => {
    const { stdout, stderr } = await lock('--repo', `${www}/apks`, '--world', 'curl')
    expect(stderr).toBe('')
    expect(stdout).toMatch(
      /fleet\.lock: 3 packages for x86_64, .* kB to fetch, .* installed; signed with ops/,
    )
    expect(stdout).toMatch(/Note: ops\.rsa\.pub is none of --keys/)
    const made = readLock()
    expect(labels(made)).toEqual(['libc-1.0-r0', 'alpine-base-1.0-r0', 'curl-8.5-r0'])
    expect(made.repositories).toEqual([{ urls: ['apks'], tag: undefined }])
    expect(made.packages.map(({ sha256 }) => sha256)).toEqual(
      [libc, base, curl].map(({ bytes }) => createHash('sha256').update(bytes).digest('hex')),
    )
    expect(readdirSync(www).sort()).toEqual(['apks', 'fleet.lock'])
  })

  it('locks what an overlay asks for, tags and files of the world besides, for clients of a URL', async () => {
    serve([pkg('nano', { version: '9-r0' })], 'edge')
    writeFileSync(join(directory, 'world'), 'nano@edge\n')
    const overlay = join(directory, 'guest.apkovl.tar.gz')
    const entries = [file(`etc/apk/keys/${key.name}`, key.publicPem)]
    writeFileSync(overlay, makeOverlay({ hostname: 'guest', world: ['curl'], runlevels: {}, entries }))
    const words = ['--repo', `${www}/apks=http://boot.example.org/apks|./apks`, '--repo', `@edge ${www}/edge`]
    const { stderr } = await diskless(
      ...['--apkovl', overlay, '--world', `${directory}/world`, ...words, '--sign', signing, '--out', out],
    )
    expect(stderr).toBe('')
    const made = readLock()
    expect(made.world.entries.map(({ name, tag }) => [name, tag])).toEqual([
      ['alpine-base', undefined],
      ['curl', undefined],
      ['nano', 'edge'],
    ])
    expect(made.repositories).toEqual([
      { urls: ['http://boot.example.org/apks', './apks'], tag: undefined },
      { urls: ['edge'], tag: 'edge' },
    ])
    expect(made.packages.find(({ name }) => name === 'nano')).toMatchObject({
      repositories: [1],
      tag: 'edge',
    })
  })

  it('fetches from a URL, mirrors in turn; what it fetched before, it does not fetch again', async () => {
    const first = await lock('--repo', `${url}/none|${url}/apks/x86_64`, '--world', 'curl')
    expect(first.stderr).toBe('')
    expect(readLock().repositories).toEqual([{ urls: [`${url}/none`, `${url}/apks`], tag: undefined }])
    expect(requests.filter((path) => path.startsWith('/apks') && path.endsWith('.apk'))).toHaveLength(3)
    requests.length = 0
    const second = await lock('--update')
    expect(second.stdout).toMatch(/unchanged since/)
    expect(requests.filter((path) => path.endsWith('.apk'))).toEqual([])

    rmSync(out)
    const third = await lock('--repo', `${url}/apks`, '--world', 'curl', '--no-fetch')
    expect(third.stdout).toMatch(/Note: 3 packages have no SHA-256/)
    expect(requests.filter((path) => path.endsWith('.apk'))).toEqual([])
    expect(readLock().packages.every(({ sha256 }) => sha256 === undefined)).toBe(true)
  })

  it('updates: says what changed, and leaves the file alone where nothing did', async () => {
    await lock('--repo', `${www}/apks`, '--world', 'curl')
    const before = readFileSync(out, 'utf8')
    expect((await lock('--repo', `${www}/apks`, '--world', 'curl')).stderr).toMatch(
      /is there already\n--update/,
    )
    await lock('--update')
    expect(readFileSync(out, 'utf8')).toBe(before)

    const rebuilt = packageOf({ ...libc.spec, built: libc.spec.built + 1 })
    const nghttp = pkg('nghttp')
    serve([base, rebuilt, nghttp, pkg('curl', { version: '8.6-r0', depends: ['nghttp'] })])
    const { stdout, stderr } = await lock('--update')
    expect(stdout, stderr).toContain(
      [
        'Changes to the former lock:',
        '  added    nghttp-1.0-r0',
        '  changed  curl 8.5-r0 -> 8.6-r0',
        '  rebuilt  libc-1.0-r0: another content under the same version',
        '',
      ].join('\n'),
    )
    const words = ['lock', '--update', '--keys', keys, '--sign', signing, '--out', out, '--json']
    const json = spawnSync(process.execPath, [program, ...words, '--world', 'nghttp'], { encoding: 'utf8' })
    expect(JSON.parse(json.stdout)).toMatchObject({
      written: true,
      packages: 3,
      changes: { world: { added: ['nghttp'], removed: ['curl'] }, removed: ['curl-8.6-r0'], added: [] },
    })
  })

  it('signs anew for another key, with nothing else changed', async () => {
    await lock('--repo', `${www}/apks`, '--world', 'curl')
    const other = join(directory, 'other', 'ops.rsa')
    mkdirSync(dirname(other), { recursive: true })
    writeFileSync(other, generateKey())
    const before = readFileSync(out, 'utf8')
    const { stderr } = await diskless('--update', '--keys', keys, '--sign', other, '--out', out)
    expect(stderr).toBe('')
    expect(readFileSync(out, 'utf8')).not.toBe(before)
  })
})

describe('diskless lock refuses, with what to do, and writes nothing:', () => {
  const words = ['--repo', `${www}/apks`, '--world', 'curl']

  async function refused(...given: string[]): Promise<string> {
    const { stderr } = await lock(...given)
    expect(stderr).not.toBe('')
    expect(readdirSync(www)).not.toContain('fleet.lock')
    return stderr
  }

  it('a world that cannot be had whole', async () => {
    serve([base, libc, pkg('curl', { depends: ['so:missing'] })])
    const said = await refused('--repo', `${www}/apks`, '--world', 'curl,crul')
    expect(said).toMatch(/crul cannot be had: nothing provides crul/)
    expect(said).toMatch(/curl cannot be had: curl-1\.0-r0 needs so:missing: nothing provides so:missing/)
    expect(await refused('--repo', `${www}/apks`, '--world', 'curl=')).toMatch(
      /curl=: no package can be called/,
    )
  })

  it('an index that is unsigned, by a stranger, changed, missing, or of apk-tools 3', async () => {
    const index = join(www, 'apks/x86_64/APKINDEX.tar.gz')
    const good = readFileSync(index)
    serve([base, libc, curl], 'apks', stranger)
    expect(await refused(...words)).toContain(`signed with ${stranger.name}, which is none of the keys given`)
    serve([base, libc, curl], 'apks', { ...stranger, name: key.name })
    expect(await refused(...words)).toMatch(/does not match its signature/)
    const unsigned = good.subarray(good.indexOf(Buffer.from([0x1f, 0x8b, 8]), 10))
    for (const [bytes, why] of [
      [unsigned, /is not signed/],
      [good.subarray(0, 300), /cut short/],
      [Buffer.from('ADB.'), /of apk-tools 3/],
      [Buffer.from('<html>'), /neither an index nor a package/],
    ] as const) {
      writeFileSync(index, bytes)
      expect(await refused(...words)).toMatch(why)
    }
    unlinkSync(index)
    expect(await refused(...words)).toMatch(/could not be read.*another architecture/s)
    expect(await refused('--repo', `${url}/none`, '--world', 'curl')).toMatch(/could not be fetched: .*404/)
    expect(await refused('--repo', 'tftp://10.0.0.1/a', '--world', 'curl')).toMatch(/only http and https/)
  })

  it('a package that is not what the index says, or not there', async () => {
    const path = join(www, 'apks/x86_64/curl-8.5-r0.apk')
    const flipped = Buffer.from(curl.bytes)
    flipped[flipped.length - 20] = (flipped.at(-20) ?? 0) ^ 1
    const other = pkg('curl', { depends: ['so:libc'], version: '8.5-r0', built: 1_600_000_000 })
    writeFileSync(path, flipped)
    expect(await refused(...words)).toMatch(/curl-8\.5-r0\.apk is damaged/)
    writeFileSync(path, curl.bytes.subarray(0, -1))
    expect(await refused(...words)).toMatch(/has \d+ bytes, and \d+ in the index/)
    writeFileSync(path, other.bytes)
    expect(await refused(...words)).toMatch(/is not the package of the index|bytes, and/)
    unlinkSync(path)
    expect(await refused(...words)).toMatch(/curl-8\.5-r0\.apk could not be read/)
  })

  it('what it cannot work with', async () => {
    expect(await refused('--world', 'curl')).toMatch(/--repo is missing/)
    expect(await refused('--repo', `${www}/apks`)).toMatch(/--world or --apkovl is missing/)
    writeFileSync(join(www, 'world'), '\n')
    const none = ['--repo', `${www}/apks`, '--world', `${www}/world`]
    expect(await refused(...none)).toMatch(/world names no package\n.*--world alpine-base/s)
    expect(await refused('--update')).toMatch(/is not there, so nothing of it can be updated/)
    const locking = [...words, '--out', out]
    expect((await diskless(...locking)).stderr).toMatch(/--sign is missing.*openssl genrsa/s)
    expect((await diskless(...locking, '--sign', signing)).stderr).toMatch(/--keys is missing/)
    expect((await diskless(...locking, '--keys', keys, '--sign', keys)).stderr).toMatch(/is no private key/)
    expect((await diskless('--wrold', 'curl')).stderr).toMatch(/Did you mean '--world'/)
    const { status, stderr } = spawnSync(process.execPath, [program, 'lock', '--repo'], { encoding: 'utf8' })
    expect({ status, stderr }).toMatchObject({
      status: 2,
      stderr: expect.stringMatching(/^diskless: --repo takes a value: --repo PLACE/),
    })
  })
})
