/** `diskless explain --check`, against servers on this machine: web, TLS, TFTP, NFS, each right and wrong. */

import { execFileSync } from 'node:child_process'
import { sign } from 'node:crypto'
import { createSocket, type Socket } from 'node:dgram'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer as createHttp, type Server as HttpServer, type RequestListener } from 'node:http'
import { createServer as createHttps } from 'node:https'
import { createServer as createTcp, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { makeOverlay } from '../../../scripts/repository/overlay.ts'
import { file } from '../../../scripts/repository/tar.ts'
import type { BootInitrd } from '../../../src/cli/explain/boot-initrd.ts'
import { type Asker, type Check, checkPlan } from '../../../src/cli/explain/check.ts'
import { explainCommandLine } from '../../../src/cli/explain/explanation.ts'
import type { MachineFacts } from '../../../src/cli/explain/facts.ts'
import { NoAnswer } from '../../../src/cli/explain/http.ts'
import { askNfs, askNfsPath } from '../../../src/cli/explain/nfs.ts'
import { signedLock } from '../../support/lock.ts'
import { key, makeIndex, packages, stranger, tamperedIndex } from '../../support/scenario.ts'

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

async function listen(server: Server | HttpServer): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  return typeof address === 'object' && address !== null ? address.port : 0
}

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

const nobody: MachineFacts = {
  mac: undefined,
  uuid: undefined,
  cards: [],
  memory: undefined,
  architecture: 'x86_64',
  initrd: undefined,
}

async function check(text: string, wish: Partial<Asker> = {}): Promise<readonly Check[]> {
  const machine = wish.machine ?? nobody
  const { plan } = explainCommandLine(text, machine)
  if (plan === undefined) throw new Error(`${text} is refused`)
  const keys = new Map([[key.name, Buffer.from(key.publicPem)]])
  return checkPlan(plan, { machine, ca: undefined, keys, tell: () => {}, ...wish })
}

const of = (checks: readonly Check[], what: RegExp) => {
  const found = checks.find((each) => what.test(each.what))
  if (found === undefined)
    throw new Error(`nothing about ${what}: ${checks.map((each) => each.what).join(', ')}`)
  return { state: found.state, text: found.says.join('\n') }
}
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

/** RFC 1350, with the sizes of RFC 2347 where they are asked for. */
async function tftp(
  files: Readonly<Record<string, Buffer>>,
): Promise<{ readonly port: number; readonly socket: Socket }> {
  const socket = createSocket('udp4')
  socket.on('message', (request, peer) => {
    const name = request.toString('latin1', 2).split('\0')[0] ?? ''
    const content = files[name]
    const own = createSocket('udp4')
    const send = (bytes: Buffer) => own.send(bytes, peer.port, peer.address)
    if (content === undefined) {
      own.send(Buffer.from('\0\x05\0\x01File not found\0'), peer.port, peer.address, () => own.close())
      return
    }
    own.on('message', (packet) => {
      const block = packet.readUInt16BE(2)
      if (packet.readUInt16BE(0) !== 4 || block * 1428 > content.length) return own.close()
      send(
        Buffer.concat([
          Buffer.from([0, 3, (block + 1) >> 8, (block + 1) & 255]),
          content.subarray(block * 1428, block * 1428 + 1428),
        ]),
      )
    })
    send(Buffer.from(`\0\x06blksize\x001428\0tsize\0${content.length}\0`))
  })
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve))
  return { port: socket.address().port, socket }
}

describe('TFTP', () => {
  it('has the overlay, or says that it does not', async () => {
    const { port, socket } = await tftp({ 'o.apkovl.tar.gz': overlay })
    try {
      expect(of(await check(`apkovl=tftp://127.0.0.1:${port}/o.apkovl.tar.gz`), /overlay/)).toMatchObject({
        state: 'fine',
        text: expect.stringMatching(/for guest/),
      })
      expect(of(await check(`apkovl=tftp://127.0.0.1:${port}/absent`), /overlay/)).toMatchObject({
        state: 'fails',
        text: expect.stringMatching(/the server says: File not found/),
      })
    } finally {
      socket.close()
    }
  })
})

describe('NFS', () => {
  const serve = async (reply: (call: Buffer) => Buffer | undefined) => {
    const server = createTcp((socket) => {
      socket.on('error', () => {})
      socket.on('data', (call) => {
        const bytes = reply(call)
        if (bytes === undefined) socket.destroy()
        else socket.write(bytes)
      })
    })
    return { server, at: { host: '127.0.0.1', port: await listen(server) } }
  }
  const words = (...values: readonly number[]) => {
    const bytes = Buffer.alloc(values.length * 4)
    for (const [n, value] of values.entries()) bytes.writeUInt32BE(value, n * 4)
    return bytes
  }
  /** A reply to this call, accepted with a status; what follows it. */
  const accepted = (call: Buffer, status: number, ...result: readonly number[]) =>
    Buffer.concat([
      words(0x8000_0018 + result.length * 4),
      call.subarray(4, 8),
      words(1, 0, 0, 0, status, ...result),
    ])

  it('answers by its versions', async () => {
    const { server, at } = await serve((call) => accepted(call, call.readUInt32BE(20) === 4 ? 0 : 2))
    expect(await askNfs(at)).toEqual([4])
    server.close()
  })

  // As RFC 7530 has a compound’s answer: status, tag, number of results, each operation with its status.
  it.each([
    ['a directory', [0, 0, 3, 24, 0, 15, 0, 9, 0, 1, 0x12, 12, 2, 0, 4096], { kind: 'directory' }],
    [
      'a file and its size',
      [0, 0, 3, 24, 0, 15, 0, 9, 0, 1, 0x12, 12, 1, 1, 7],
      { kind: 'file', bytes: 2 ** 32 + 7 },
    ],
    ['a device', [0, 0, 3, 24, 0, 15, 0, 9, 0, 1, 0x12, 12, 3, 0, 0], { kind: 'other' }],
    ['nothing', [2, 0, 3, 24, 0, 15, 0, 15, 2], { kind: 'missing', at: '/srv/root' }],
    ['nothing at all', [2, 0, 2, 24, 0, 15, 2], { kind: 'missing', at: '/srv' }],
    [
      'what is not told',
      [13, 0, 2, 24, 0, 15, 13],
      { kind: 'untold', why: expect.stringMatching(/error 13/) },
    ],
    ['4.1 alone', [10_021, 0, 0], { kind: 'untold', why: expect.stringMatching(/4.1 and newer/) }],
    ['an answer that is cut', [0], { kind: 'untold', why: expect.anything() }],
  ] as const)('says of a path: %s', async (_, result, found) => {
    const { server, at } = await serve((call) => accepted(call, 0, ...result))
    expect(await askNfsPath(at, '/srv/root')).toEqual(found)
    server.close()
  })

  it('is none, or is away', async () => {
    const { server, at } = await serve(() => undefined)
    await expect(askNfs(at)).rejects.toThrow(NoAnswer)
    await new Promise((resolve) => server.close(resolve))
    await expect(askNfs(at)).rejects.toThrow(/nothing listens/)
    const other = await serve(() => Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'))
    await expect(askNfs(other.at)).rejects.toThrow(/is no NFS server/)
    other.server.close()
  })

  it('that the lease names is the machine’s to ask', async () => {
    expect(of(await check('root=dhcp'), /NFS/)).toMatchObject({ state: 'unknown' })
    expect(of(await check('root=/dev/sda1'), /disk/)).toMatchObject({ state: 'unknown' })
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
