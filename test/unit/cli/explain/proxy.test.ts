/** `diskless explain --check` through proxies: a real one on this machine, servers behind it that nobody reaches by name. */

import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http'
import { createServer as createHttps } from 'node:https'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import { makeOverlay } from '../../../../scripts/repository/overlay.ts'
import { makeIndex, packages } from '../../../support/scenario.ts'
import { check, listen, of } from './asking.ts'

const overlay = makeOverlay({ hostname: 'guest', world: ['busybox'], runlevels: {} })
const files = new Map<string, Buffer>([
  ['/o.apkovl.tar.gz', overlay],
  ['/apks/x86_64/APKINDEX.tar.gz', makeIndex()],
  ...packages.map(({ spec, bytes }) => [`/apks/x86_64/${spec.name}-${spec.version}.apk`, bytes] as const),
])

const directory = mkdtempSync(join(tmpdir(), 'diskless-proxy-'))
const closing: { close(): unknown }[] = []
/** What the proxy was asked for, and by whom: `GET http://… us@er:p:w`. */
let asked: string[] = []
/** What the servers were asked for themselves. */
let served: string[] = []
/** What it answers instead, if it does not do its work. */
let refusal: number | undefined
let proxy = ''
let web = 0
let ca: Buffer

function serve(message: IncomingMessage, response: ServerResponse): void {
  served.push(`${message.headers.host} ${message.headers.authorization ?? ''}`.trim())
  if (message.url === '/moved') {
    response.writeHead(302, { location: 'http://elsewhere.invalid/o.apkovl.tar.gz' }).end()
    return
  }
  const bytes = files.get(message.url ?? '')
  if (bytes === undefined) response.writeHead(404).end()
  else response.writeHead(200, { 'content-length': bytes.length, 'accept-ranges': 'bytes' }).end(bytes)
}

/** Knows every name that ends in .invalid: each is the server of this test. */
function makeProxy(secure: number): Server {
  const remember = ({ method, url, headers }: IncomingMessage) => {
    const [, user = ''] = (headers['proxy-authorization'] ?? '').split(' ')
    asked.push(`${method} ${url} ${Buffer.from(user, 'base64')}`.trim())
  }
  const server = createServer((from, to) => {
    remember(from)
    if (refusal !== undefined) return to.writeHead(refusal).end()
    const { pathname, host } = new URL(from.url ?? '')
    const headers = { ...from.headers, host }
    request({ host: '127.0.0.1', port: web, path: pathname, headers }, (answer) => {
      to.writeHead(answer.statusCode ?? 500, answer.headers)
      answer.pipe(to)
    }).end()
  })
  server.on('connect', (message, socket) => {
    remember(message)
    if (refusal !== undefined) return socket.end(`HTTP/1.1 ${refusal} No\r\n\r\n`)
    const there = connect(secure, '127.0.0.1', () => socket.write('HTTP/1.1 200 Connected\r\n\r\n'))
    there.pipe(socket).pipe(there)
    for (const each of [there, socket]) each.on('error', () => {})
  })
  return server
}

beforeAll(async () => {
  const [certificate, secret] = [join(directory, 'cert.pem'), join(directory, 'key.pem')]
  const kind = ['-nodes', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-days', '2']
  const name = ['-subj', '/CN=boot.invalid', '-addext', 'subjectAltName=DNS:boot.invalid']
  execFileSync('openssl', ['req', '-x509', ...kind, ...name, '-keyout', secret, '-out', certificate], {
    stdio: 'ignore',
  })
  ca = readFileSync(certificate)
  const plain = createServer(serve)
  const secure = createHttps({ cert: ca, key: readFileSync(secret) }, serve)
  web = await listen(plain)
  const between = makeProxy(await listen(secure))
  proxy = `http://127.0.0.1:${await listen(between)}`
  closing.push(plain, secure, between)
})

beforeEach(() => {
  asked = []
  served = []
  refusal = undefined
})

afterAll(() => {
  for (const each of closing) each.close()
  rmSync(directory, { recursive: true, force: true })
})

it('a whole boot is asked for through it, with its password and nobody else’s, and the rows say so', async () => {
  const line = 'apkovl=http://a:b@boot.invalid/o.apkovl.tar.gz alpine_repo=http://boot.invalid/apks'
  const checks = await check(`${line} http_proxy=${proxy.replace('//', '//us%40er:p%3Aw@')}`)
  expect(checks.map(({ what, state }) => `${state} ${what}`)).toEqual([
    'fine The overlay',
    'fine The repository http://boot.invalid/apks',
    'fine The world: alpine-base and busybox',
    'fine Packages: the 3 largest of 3',
    'unknown The lease',
  ])
  expect(asked).toHaveLength(5)
  expect(asked[0]).toBe('GET http://boot.invalid/o.apkovl.tar.gz us@er:p:w')
  // a:b
  expect(served[0]).toBe('boot.invalid Basic YTpi')
  expect(of(checks, /overlay/).text).toContain(`through the proxy ${proxy.replace('//', '//us%40er:***@')}`)
  expect(JSON.stringify(checks)).not.toContain('p%3Aw')
})

it('https through a tunnel, in which the server’s own certificate counts', async () => {
  const line = `apkovl=https://boot.invalid/o.apkovl.tar.gz https_proxy=${proxy.replace('//', '//u:secret@')}`
  expect(of(await check(line, { ca }), /overlay/)).toMatchObject({
    state: 'fine',
    text: expect.stringMatching(/through the proxy http:\/\/u:\*\*\*@127.*certificate of boot.invalid/),
  })
  expect(asked).toEqual(['CONNECT boot.invalid:443 u:secret'])
  expect(of(await check(line.replace('boot.invalid', 'other.invalid'), { ca }), /overlay/)).toMatchObject({
    state: 'fails',
    text: expect.stringMatching(/through the proxy .*: its certificate is for another name/),
  })
  expect(of(await check(line), /overlay/).text).toMatch(/through the proxy .*not trusted by this machine/)
})

it('those that no_proxy= names are asked themselves, and http is not what https_proxy= is for', async () => {
  const line = `apkovl=http://127.0.0.1:${web}/o.apkovl.tar.gz`
  for (const wish of [`http_proxy=${proxy} no_proxy=127.0.0.0/8`, `https_proxy=${proxy}`]) {
    const { state, text } = of(await check(`${line} ${wish}`), /overlay/)
    expect(state).toBe('fine')
    expect(text).not.toContain('proxy')
  }
  expect(asked).toEqual([])
  expect(served).toHaveLength(2)
})

it('what leads elsewhere is followed through the same proxy, as init does', async () => {
  const checks = await check(`apkovl=http://boot.invalid/moved http_proxy=${proxy}`)
  expect(of(checks, /overlay/)).toMatchObject({ state: 'fine', text: expect.stringMatching(/leads to/) })
  expect(asked).toEqual(['GET http://boot.invalid/moved', 'GET http://elsewhere.invalid/o.apkovl.tar.gz'])
})

it('a proxy that is away is who does not answer; a server that is away behind it is not', async () => {
  const gone = createServer()
  const away = `http://127.0.0.1:${await listen(gone)}`
  await new Promise((resolve) => gone.close(resolve))
  for (const scheme of ['http', 'https']) {
    const line = `apkovl=${scheme}://boot.invalid/o.apkovl.tar.gz`
    expect(of(await check(`${line} http_proxy=${away} https_proxy=${away}`), /overlay/)).toEqual({
      state: 'fails',
      text: `${scheme}://boot.invalid/o.apkovl.tar.gz: the proxy ${away}: it refuses the connection: is the server running, and on this port?`,
    })
  }
  expect(of(await check(`apkovl=http://boot.invalid/absent http_proxy=${proxy}`), /overlay/).text).toBe(
    `http://boot.invalid/absent: through the proxy ${proxy}: the server says 404 Not Found`,
  )
})

it.each([
  [407, /the proxy .* says 407 .*: it wants http:\/\/USER:PASSWORD@ before its name/],
  [503, /the proxy .*503/],
])('a proxy that says %i', async (status, says) => {
  refusal = status
  for (const scheme of ['http', 'https']) {
    const line = `apkovl=${scheme}://boot.invalid/o.apkovl.tar.gz http_proxy=${proxy} https_proxy=${proxy}`
    expect(of(await check(line), /overlay/)).toMatchObject({
      state: 'fails',
      text: expect.stringMatching(says),
    })
  }
})
