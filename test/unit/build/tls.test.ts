import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { readAuthorities, readClientIdentity } from '../../../build/tls.ts'

const scratch = mkdtempSync(join(tmpdir(), 'diskless-tls-'))
afterAll(() => rmSync(scratch, { recursive: true }))

/** A certificate that signs itself, and its key. */
function make(name: string) {
  const [certificate, key] = [join(scratch, name), join(scratch, `${name}.key`)]
  const kind = ['-nodes', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-days', '2']
  execFileSync(
    'openssl',
    ['req', '-x509', ...kind, '-subj', `/CN=${name}`, '-keyout', key, '-out', certificate],
    { stdio: 'ignore' },
  )
  return { certificate, key }
}

const us = make('us')
const other = make('other')
const place = (name: string, text: string) => {
  writeFileSync(join(scratch, name), text)
  return join(scratch, name)
}

describe('authorities', () => {
  it('are the certificates of a file, each once, and nothing else of it', () => {
    const pem = readFileSync(us.certificate, 'utf8').trim()
    const bundle = place('bundle', `# ours\n${pem}\n\n${pem}\n${readFileSync(us.key, 'utf8')}`)
    expect(readAuthorities(bundle).toString()).toBe(`${pem}\n`)
  })

  it.skipIf(!existsSync('/etc/ssl/certs/ca-certificates.crt'))('are the public ones of this machine', () => {
    expect(
      readAuthorities('public')
        .toString()
        .match(/BEGIN CERTIFICATE/g)?.length,
    ).toBeGreaterThan(50)
  })

  it.each([
    ['no certificate in PEM', 'nothing'],
    ['cannot be read', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----'],
  ])('are refused: %s', (said, text) => {
    expect(() => readAuthorities(place('bad', text))).toThrow(said)
  })
})

describe('who this machine is', () => {
  it('is a certificate and its key in one file', () => {
    const text = readClientIdentity(us).toString()
    expect(text).toMatch(/^-----BEGIN CERTIFICATE-----[\s\S]+-----BEGIN PRIVATE KEY-----[\s\S]+\n$/)
  })

  it.each([
    ['is not that of the first certificate', { ...us, key: other.key }],
    ['no private key that can be used without a password', { ...us, key: us.certificate }],
    ['no certificate in PEM', { ...us, certificate: us.key }],
  ])('is refused: %s', (said, identity) => {
    expect(() => readClientIdentity(identity)).toThrow(said)
  })
})
