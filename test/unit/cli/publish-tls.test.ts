/** `diskless publish` of an https URL: nginx run on the very file, and certificates that no machine would take. */

import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { get } from 'node:https'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { CommandError } from '../../../build/error.ts'
import { gather } from '../../../src/cli/publish/gather.ts'
import { readWishes } from '../../../src/cli/publish/wishes.ts'
import { listen } from './explain/asking.ts'

const directory = mkdtempSync(join(tmpdir(), 'diskless-tls-'))
const at = (name: string) => join(directory, name)

function certificate(name: string, subject: string): void {
  const kind = ['-nodes', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-days', '2']
  const names = ['-subj', '/CN=boot', '-addext', `subjectAltName=${subject}`]
  const files = ['-keyout', at(`${name}.key`), '-out', at(`${name}.pem`)]
  execFileSync('openssl', ['req', '-x509', ...kind, ...names, ...files], { stdio: 'ignore' })
}

beforeAll(() => {
  mkdirSync(at('boot'))
  for (const name of ['vmlinuz', 'initrd']) writeFileSync(at(`boot/${name}`), `the ${name}`)
  certificate('here', 'IP:127.0.0.1')
  certificate('other', 'DNS:boot.example')
})
afterAll(() => rmSync(directory, { recursive: true, force: true }))

async function publish(more: object): Promise<{ readonly notes: string; readonly nginx: string }> {
  const { wishes, problems } = readWishes({ boot: 'boot', loaders: [], ...more }, directory)
  expect(problems).toEqual([])
  const { notes, placed } = await gather(wishes, {
    directory: at('boot'),
    workshop: at('workshop'),
    tell: () => {},
  })
  const content = placed.find(({ path }) => path === 'servers/nginx.conf')?.content
  return { notes: notes.join('\n'), nginx: content?.kind === 'bytes' ? content.bytes.toString() : '' }
}

const tls = { certificate: 'here.pem', key: 'here.key' }

describe('an https URL', () => {
  it('has nginx serve TLS where there is a certificate, and else says who is to do it, and who is trusted', async () => {
    const { notes, nginx } = await publish({ url: 'https://127.0.0.1/x/', tls, loaders: ['ipxe'] })
    expect(nginx).toMatch(/^ {4}listen 443 ssl;\n {4}ssl_certificate "\/.*here\.pem";\n.*"\/.*here\.key";$/m)
    expect(notes).toMatch(/init takes certificates of those authorities alone/)
    expect(notes).toMatch(/iPXE takes certificates of public authorities/)
    expect(notes).not.toMatch(/nginx\.conf/)
    const without = await publish({ url: 'https://127.0.0.1/' })
    expect(without.nginx).toMatch(/^ {4}listen 80;$/m)
    expect(without.notes).toMatch(/nginx\.conf has no certificate: it listens on port 80/)
    expect((await publish({ url: 'http://127.0.0.1/' })).notes).not.toMatch(/https|certificate/)
  })

  it.each([
    [
      { certificate: 'other.pem', key: 'other.key' },
      /is not for 127\.0\.0\.1[\s\S]*It is for DNS:boot\.example/,
    ],
    [{ ...tls, certificate: 'absent.pem' }, /absent\.pem could not be read/],
    [{ ...tls, certificate: 'here.key' }, /here\.key is no certificate in PEM/],
    [{ ...tls, key: 'absent.key' }, /the key .*absent\.key of the certificate is not there/],
  ])('with a certificate that no machine would take is refused: %o', async (given, message) => {
    const refusal = publish({ url: 'https://127.0.0.1/', tls: given }).catch((error: unknown) =>
      error instanceof CommandError ? [error.message, ...error.advice].join('\n') : error,
    )
    expect(await refusal).toMatch(message)
  })

  it('is what tls is for, and both of its files are named', () => {
    const problems = (value: object) => readWishes({ boot: 'boot', ...value }, directory).problems
    expect(problems({ url: 'http://a/', tls })).toEqual([
      'tls is given, and url is http://a/: https:// is what it is for',
    ])
    expect(problems({ url: 'https://a/', tls: { certificate: 'a' } })).toEqual([
      expect.stringMatching(/^tls\.key is missing/),
    ])
  })

  const programs = ['/usr/sbin', '/usr/bin'].some((place) => existsSync(join(place, 'nginx')))
  const able = programs && process.geteuid?.() === 0
  it.skipIf(!able)(
    'is served by nginx with that file, and no plain HTTP with it (needs nginx, and root for it)',
    async () => {
      const free = createServer()
      const port = await listen(free)
      await new Promise((resolve) => free.close(resolve))
      const { nginx } = await publish({ url: `https://127.0.0.1:${port}/`, tls })
      writeFileSync(at('nginx.conf'), nginx)
      const globals = `daemon off; master_process off; user root; pid ${at('pid')}; error_log stderr notice;`
      const server = spawn('nginx', ['-e', 'stderr', '-g', globals, '-c', at('nginx.conf')], {
        stdio: ['ignore', 'ignore', 'pipe'],
        env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` },
      })
      try {
        let said = ''
        server.stderr.setEncoding('utf8').on('data', (text: string) => {
          said += text
        })
        while (!said.includes('OS: Linux')) {
          const ended = once(server, 'close').then(() => Promise.reject(new Error(`nginx ended: ${said}`)))
          await Promise.race([once(server.stderr, 'data'), ended])
        }
        const ca = readFileSync(at('here.pem'))
        const body = await new Promise<string>((resolve, reject) => {
          get(`https://127.0.0.1:${port}/vmlinuz`, { ca }, (answer) => {
            let text = ''
            answer.setEncoding('utf8').on('data', (each: string) => {
              text += each
            })
            answer.on('end', () => resolve(`${answer.statusCode} ${text}`))
          }).on('error', reject)
        })
        expect(body).toBe('200 the vmlinuz')
        expect((await fetch(`http://127.0.0.1:${port}/vmlinuz`)).status).toBe(400)
      } finally {
        // It takes its own file away, in the directory that goes after this.
        server.kill()
        if (server.exitCode === null && server.signalCode === null) await once(server, 'close')
      }
    },
  )
})
