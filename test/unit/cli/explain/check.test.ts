/** `diskless explain --check` against web servers on this machine, right and wrong. */

import { execFileSync } from 'node:child_process'
import { sign } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer as createHttp, type Server as HttpServer, type RequestListener } from 'node:http'
import { createServer as createHttps } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { makeOverlay } from '../../../../scripts/repository/overlay.ts'
import { file } from '../../../../scripts/repository/tar.ts'
import type { BootInitrd } from '../../../../src/cli/explain/boot-initrd.ts'
import { signedLock } from '../../../support/lock.ts'
import { key, makeIndex, packages, stranger, tamperedIndex } from '../../../support/scenario.ts'
import { check, listen, of } from './asking.ts'
import { nobody } from './told.ts'

const directory = mkdtempSync(join(tmpdir(), 'diskless-check-'))
const overlay = makeOverlay({ hostname: 'guest', world: ['busybox'], runlevels: {} })

/** What the web server has, by path; a function answers itself. */
const site = new Map<string, Buffer | RequestListener>()
const answer: RequestListener = (request, response) => {
  const there = site.get(request.url ?? '')
  if (typeof there === 'function') return there(request, response)
  if (there === undefined) return response.writeHead(404).end('no')
  response.writeHead(200, { 'content-length': there.length, 'accept-ranges': 'bytes' }).end(there)
}

let web: HttpServer
let secure: HttpServer
let http = ''
let https = ''
let ca: Buffer

beforeAll(async () => {
  const [certificate, secret] = [join(directory, 'cert.pem'), join(directory, 'key.pem')]
  const kind = ['-nodes', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-days', '2']
  const name = ['-subj', '/CN=boot.example', '-addext', 'subjectAltName=IP:127.0.0.1']
  execFileSync('openssl', ['req', '-x509', ...kind, ...name, '-keyout', secret, '-out', certificate], {
    stdio: 'ignore',
  })
  ca = readFileSync(certificate)
  web = createHttp(answer)
  secure = createHttps({ cert: ca, key: readFileSync(secret) }, answer)
  http = `http://127.0.0.1:${await listen(web)}`
  https = `https://127.0.0.1:${await listen(secure)}`
})

beforeEach(() => {
  site.clear()
  site.set('/o.apkovl.tar.gz', overlay)
  site.set('/apks/x86_64/APKINDEX.tar.gz', makeIndex())
  for (const { spec, bytes } of packages) site.set(`/apks/x86_64/${spec.name}-${spec.version}.apk`, bytes)
})

afterAll(() => {
  web.close()
  secure.close()
  rmSync(directory, { recursive: true, force: true })
})

const good = () => `apkovl=${http}/o.apkovl.tar.gz alpine_repo=${http}/apks`

describe('a boot that works', () => {
  it('is fine in all that can be asked, and says what cannot', async () => {
    const checks = await check(good())
    expect(checks.map(({ what, state }) => `${state} ${what}`)).toEqual([
      'fine The overlay',
      `fine The repository ${http}/apks`,
      'fine The world: alpine-base and busybox',
      'fine Packages: the 3 largest of 3',
      'unknown The lease',
    ])
    expect(of(checks, /overlay/).text).toMatch(/o\.apkovl\.tar\.gz: \d+ B\n.*for guest; world: busybox/)
    expect(of(checks, /repository/).text).toMatch(/3 packages \(test\), signed by test@.*: right/)
    expect(of(checks, /world/).text).toMatch(/3 packages, .* to fetch, .* installed/)
  })

  it('asks for the machine’s own files by its MAC, or says that it has to be told', async () => {
    const line = `apkovl=${http}/{MAC}.tar.gz`
    expect(of(await check(line), /overlay/)).toMatchObject({
      state: 'unknown',
      text: expect.stringMatching(/--mac says whose/),
    })
    site.set('/52:54:00:12:34:56.tar.gz', overlay)
    const machine = { ...nobody, mac: '52:54:00:12:34:56' }
    expect(of(await check(line, { machine }), /overlay/).state).toBe('fine')
  })

  it('goes by the overlay that a medium is going to have', async () => {
    const line = `apkovl=sda1 alpine_repo=${http}/apks`
    expect(of(await check(line), /overlay/)).toMatchObject({
      state: 'unknown',
      text: expect.stringMatching(/--apkovl says which/),
    })
    expect(of(await check(line), /world/).text).toMatch(/what the overlay adds to it is not known/)
    const checks = await check(line, { overlay: { name: 'x.apkovl.tar.gz', bytes: overlay } })
    expect(of(checks, /world: alpine-base and busybox/).state).toBe('fine')
    const broken = { name: 'x.apkovl.tar.gz', bytes: overlay.subarray(0, 100) }
    expect(of(await check(line, { overlay: broken }), /overlay/).state).toBe('fails')
  })

  it('goes by the overlay’s own repositories and keys', async () => {
    site.set(
      '/o.apkovl.tar.gz',
      makeOverlay({
        hostname: 'guest',
        world: ['busybox'],
        runlevels: {},
        entries: [
          file('etc/apk/repositories', `${http}/apks\n`),
          file(`etc/apk/keys/${key.name}`, key.publicPem),
        ],
      }),
    )
    const checks = await check(`apkovl=${http}/o.apkovl.tar.gz`, { keys: new Map() })
    expect(of(checks, /repository/)).toMatchObject({ state: 'fine', text: expect.stringMatching(/right/) })
    expect(of(checks, /world/).state).toBe('fine')
  })
})

describe('what would fail', () => {
  it('an overlay that is not there, is cut short, or is none', async () => {
    expect(of(await check(`apkovl=${http}/absent`), /overlay/)).toMatchObject({
      state: 'fails',
      text: expect.stringMatching(/the server says 404/),
    })
    site.set('/o.apkovl.tar.gz', overlay.subarray(0, 300))
    expect(of(await check(good()), /overlay/)).toMatchObject({
      state: 'fails',
      text: expect.stringMatching(/cut short/),
    })
    site.set('/o.apkovl.tar.gz', Buffer.from('<html>'))
    expect(of(await check(good()), /overlay/)).toMatchObject({
      state: 'fails',
      text: expect.stringMatching(/no overlay/),
    })
    site.set('/o.apkovl.tar.gz', (_, response) =>
      response.writeHead(200, { 'content-length': 5000 }).end('short').destroy(),
    )
    expect(of(await check(good()), /overlay/)).toMatchObject({
      state: 'fails',
      text: expect.stringMatching(/broke/),
    })
  })

  it('an overlay of another digest, and not one that is optional and away', async () => {
    const wrong = await check(`${good()} diskless.apkovl_sha256=${'0'.repeat(64)}`)
    expect(of(wrong, /overlay/)).toMatchObject({
      state: 'fails',
      text: expect.stringMatching(/its SHA-256 is [\da-f]{64}, and/),
    })
    const optional = await check(`apkovl=${http}/absent diskless.apkovl=optional`)
    expect(of(optional, /overlay/)).toMatchObject({
      state: 'unknown',
      text: expect.stringMatching(/optional/),
    })
  })

  it('an overlay whose signature the initrd wants', async () => {
    const overlayKeys = new Map([[key.name, Buffer.from(key.publicPem)]])
    const initrd: BootInitrd = {
      path: 'initrd',
      init: { kind: 'none' },
      kernel: '6.1.0',
      builtAt: undefined,
      keys: new Map(),
      overlayKeys,
      certificates: undefined,
      clientCertificate: false,
      modloop: { sha256: 'x', size: 9999 },
      modules: new Set(),
      keymaps: [],
      missingFirmware: new Map(),
      has: () => false,
      driversOf: () => [],
    }
    const machine = { ...nobody, initrd }
    expect(of(await check(good(), { machine }), /overlay/)).toMatchObject({
      state: 'fails',
      text: expect.stringMatching(/signature cannot be had/),
    })
    site.set('/o.apkovl.tar.gz.sig', sign('sha256', overlay, stranger.privateKey))
    expect(of(await check(good(), { machine }), /overlay/).text).toMatch(/by none of test@/)
    site.set('/o.apkovl.tar.gz.sig', sign('sha256', overlay, key.privateKey))
    expect(of(await check(good(), { machine }), /overlay/)).toMatchObject({
      state: 'fine',
      text: expect.stringMatching(/signed by test@/),
    })
    site.set('/modloop', Buffer.alloc(4096))
    const modloop = of(await check(`${good()} modloop=${http}/modloop`, { machine }), /modloop/)
    expect(modloop).toMatchObject({
      state: 'fails',
      text: expect.stringMatching(/neither squashfs nor erofs\n.*9999 bytes, and this one has 4096/),
    })
  })

  it('an index by a stranger, one that was changed, one that is away', async () => {
    site.set('/apks/x86_64/APKINDEX.tar.gz', makeIndex(packages, stranger))
    expect(of(await check(good()), /repository/)).toMatchObject({
      state: 'fails',
      text: expect.stringMatching(/stranger@.*not checked/),
    })
    site.set('/apks/x86_64/APKINDEX.tar.gz', tamperedIndex())
    expect(of(await check(good()), /repository/)).toMatchObject({
      state: 'fails',
      text: expect.stringMatching(/WRONG/),
    })
    site.delete('/apks/x86_64/APKINDEX.tar.gz')
    expect(of(await check(good()), /repository/)).toMatchObject({
      state: 'fails',
      text: expect.stringMatching(/404/),
    })
  })

  it('a world that does not resolve, with what is missing and what there is', async () => {
    const world = of(await check(`${good()} pkgs=busibox`), /world/)
    expect(world).toMatchObject({
      state: 'fails',
      text: expect.stringMatching(/busibox cannot be had.*there is busybox.*would boot without/),
    })
    expect(of(await check(`${good()} pkgs=zzz diskless.world=strict`), /world/).text).toMatch(
      /the boot would stop/,
    )
  })

  it('a mirror that has the index and not the packages', async () => {
    site.delete('/apks/x86_64/busybox-1.0-r0.apk')
    site.set('/apks/x86_64/alpine-base-1.0-r0.apk', Buffer.from('short'))
    const found = of(await check(good()), /Packages/)
    expect(found.state).toBe('fails')
    expect(found.text).toMatch(/busybox-1.0-r0.apk: the server says 404/)
    expect(found.text).toMatch(/alpine-base-1.0-r0.apk: 5 bytes, and \d+ in the index/)
  })

  it('a root that is larger than the memory', async () => {
    const machine = { ...nobody, memory: 50_000 }
    expect(of(await check(good(), { machine }), /world/).text).toMatch(/the root would not fit/)
  })
})

describe('mirrors', () => {
  it('are all asked, and one is enough', async () => {
    const checks = await check(
      `apkovl=http://127.0.0.1:1/x|${http}/o.apkovl.tar.gz alpine_repo=${http}/gone|${http}/apks`,
    )
    expect(of(checks, /overlay/)).toMatchObject({
      state: 'fine',
      text: expect.stringMatching(/127.0.0.1:1\/x: it refuses.*another mirror has it/),
    })
    expect(of(checks, /world/).state).toBe('fine')
    expect(of(checks, /Packages/).state).toBe('fine')
  })
})

describe('a lock', () => {
  it('is checked as init checks it: signature, world, packages', async () => {
    site.set('/fleet/a.lock', Buffer.from(signedLock()))
    const line = `apkovl=${http}/o.apkovl.tar.gz diskless.lock=${http}/fleet/a.lock`
    const checks = await check(line)
    expect(of(checks, /lock/)).toMatchObject({
      state: 'fine',
      text: expect.stringMatching(/signed by test@.*right\n3 packages/),
    })
    expect(of(checks, /Packages/).state).toBe('fine')
    expect(of(await check(`${line} pkgs=nginx`), /lock/)).toMatchObject({
      state: 'fails',
      text: expect.stringMatching(/lacks nginx/),
    })
    site.set('/fleet/a.lock', Buffer.from(signedLock().replace('made: 2026', 'made: 2025')))
    expect(of(await check(line), /lock/)).toMatchObject({
      state: 'fails',
      text: expect.stringMatching(/WRONG/),
    })
    site.set('/fleet/a.lock', Buffer.from(signedLock().slice(0, 400)))
    expect(of(await check(line), /lock/)).toMatchObject({
      state: 'fails',
      text: expect.stringMatching(/no signature at its end/),
    })
  })
})

describe('https', () => {
  const line = () => `apkovl=${https}/o.apkovl.tar.gz`

  it('by an authority that is given, with whose certificate and until when', async () => {
    expect(of(await check(line(), { ca }), /overlay/)).toMatchObject({
      state: 'fine',
      text: expect.stringMatching(/certificate of boot.example by boot.example, until 20/),
    })
  })

  it('by none that is trusted, and led away from https', async () => {
    expect(of(await check(line()), /overlay/)).toMatchObject({
      state: 'fails',
      text: expect.stringMatching(/not trusted by this machine/),
    })
    site.set('/o.apkovl.tar.gz', (_, response) => response.writeHead(302, { location: `${http}/x` }).end())
    expect(of(await check(line(), { ca }), /overlay/).text).toMatch(/leads from https to http/)
  })

  it('http that leads elsewhere is followed, and not for ever', async () => {
    site.set('/a', (_, response) => response.writeHead(301, { location: '/o.apkovl.tar.gz' }).end())
    expect(of(await check(`apkovl=${http}/a`), /overlay/)).toMatchObject({
      state: 'fine',
      text: expect.stringMatching(/leads to http/),
    })
    site.set('/a', (_, response) => response.writeHead(301, { location: '/a' }).end())
    expect(of(await check(`apkovl=${http}/a`), /overlay/).text).toMatch(/leads on and on/)
  })
})

describe('an image', () => {
  it('is known by its beginning', async () => {
    const image = Buffer.alloc(200_000)
    image.write('hsqs', 0, 'latin1')
    site.set('/i', image)
    const machine = { ...nobody, memory: 300_000 }
    expect(of(await check(`root=live:${http}/i`, { machine }), /image/)).toMatchObject({
      state: 'fine',
      text: expect.stringMatching(/200 kB[\s\S]*squashfs[\s\S]*more than half/),
    })
    expect(of(await check(`root=live:${http}/o.apkovl.tar.gz`), /image/).state).toBe('fails')
  })
})
