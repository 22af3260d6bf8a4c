/** Digests, signatures and passwords: nothing is in the root before all of it is known to be right. */

import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { encrypt } from '../../support/machine/openssl.ts'
import { bySearch, byUrl, overlayOf, publicPem, refusal, sign, unpack, url } from './scenario.ts'

const overlay = overlayOf('guest')
const sha256 = createHash('sha256').update(overlay).digest('hex')
const password = 'geheim'
const encryptedUrl = `${url}.aes-256-cbc`

describe('a digest', () => {
  it('is checked on a copy before anything is unpacked', async () => {
    const servers = { [url]: { body: overlay } }
    expect(await unpack(byUrl({ sha256 }), { servers })).toMatchObject({
      hostname: 'guest',
      from: url,
      sinks: ['file', 'tree'],
    })
  })

  it.each([[false], [true]])('another one is refused (optional: %s)', async (optional) => {
    const servers = { [url]: { body: overlayOf('another') } }
    const said = await refusal(byUrl({ sha256, optional }), { servers })
    expect(said).toMatch(/not the one whose digest the command line has/)
    expect(said).toContain(sha256)
  })

  it('holds for a file on a medium too', async () => {
    const path = '/media/vda1/guest.apkovl.tar.gz'
    const media = { overlays: [path] }
    expect((await unpack(bySearch({ sha256 }), { files: { [path]: overlay } }, media)).hostname).toBe('guest')
    const said = await refusal(bySearch({ sha256 }), { files: { [path]: overlayOf('another') } }, media)
    expect(said).toMatch(/digest/)
  })

  it('one that memory cannot hold is refused', async () => {
    const servers = { [url]: { body: Buffer.alloc(3 * 2 ** 20) } }
    const said = await refusal(byUrl({ sha256 }), { servers, memory: 4 * 2 ** 20 })
    expect(said).toMatch(/does not fit into the memory/)
  })
})

describe('a signature, where the initrd has keys', () => {
  const files = { '/etc/diskless/overlay-keys/ops.pub': publicPem }

  it('by one of them lets the overlay in', async () => {
    const servers = { [url]: { body: overlay }, [`${url}.sig`]: { body: sign(overlay) } }
    expect((await unpack(byUrl(), { files, servers })).hostname).toBe('guest')
  })

  it('is looked for before the query of a URL', async () => {
    const servers = {
      [`${url}?mac=1`]: { body: overlay },
      [`${url}.sig?mac=1`]: { body: sign(overlay) },
    }
    expect((await unpack(byUrl({ url: `${url}?mac=1` }), { files, servers })).hostname).toBe('guest')
  })

  it('is made over the encrypted overlay as it is, and lies beside it on a medium', async () => {
    const path = '/media/vda1/guest.apkovl.tar.gz.aes-128-cbc'
    const body = encrypt(overlay, { cipher: 'aes-128-cbc', keyDerivation: 'sha256', password })
    const onMedium = { ...files, [path]: body, [`${path}.sig`]: sign(body) }
    const media = { overlays: [path, `${path}.sig`] }
    expect((await unpack(bySearch(), { files: onMedium, typed: [password] }, media)).hostname).toBe('guest')
  })

  it.each([[false], [true]])('an unsigned overlay is refused (optional: %s)', async (optional) => {
    const said = await refusal(byUrl({ optional }), { files, servers: { [url]: { body: overlay } } })
    expect(said).toMatch(/must be signed by one of the keys of this initrd: ops\.pub/)
    expect(said).toContain('openssl dgst -sha256 -sign KEY -out FILE.sig FILE')
  })

  it('is asked for whatever the key’s file is called', async () => {
    const odd = { '/etc/diskless/overlay-keys/ops': publicPem }
    const said = await refusal(byUrl(), { files: odd, servers: { [url]: { body: overlay } } })
    expect(said).toMatch(/must be signed/)
  })

  it('of another overlay is refused, and so is one that is too long for any', async () => {
    const changed = { [url]: { body: overlay }, [`${url}.sig`]: { body: sign(overlayOf('before')) } }
    expect(await refusal(byUrl(), { files, servers: changed })).toMatch(/its signature does not fit/)
    const long = { [url]: { body: overlay }, [`${url}.sig`]: { body: Buffer.alloc(2 ** 20) } }
    expect(await refusal(byUrl(), { files, servers: long })).toMatch(/its signature could not be had/)
  })

  it('none is asked for where the overlay itself is missing and optional', async () => {
    expect((await unpack(byUrl({ optional: true }), { files })).warned.join()).toMatch(/404/)
  })
})

describe('an encrypted overlay', () => {
  const served = (
    cipher: 'aes-128-cbc' | 'aes-192-cbc' | 'aes-256-cbc',
    by: 'pbkdf2' | 'sha256' | 'md5',
  ) => ({
    [`${url}.${cipher}`]: { body: encrypt(overlay, { cipher, keyDerivation: by, password }) },
  })
  const servers = served('aes-256-cbc', 'sha256')

  it.each([
    ['aes-128-cbc', 'pbkdf2'],
    ['aes-192-cbc', 'sha256'],
    ['aes-256-cbc', 'md5'],
  ] as const)('%s, key by %s, opens with the password that a person types', async (cipher, by) => {
    const plan = byUrl({ url: `${url}.${cipher}` })
    const done = await unpack(plan, { servers: served(cipher, by), typed: [password] })
    expect(done.hostname).toBe('guest')
    expect(done.console).toContain(`Password of the overlay ${url}.${cipher}: `)
    expect(done.console).not.toContain(password)
  })

  it('the third try may be the right one', async () => {
    const typed = ['wrong', '', password]
    const done = await unpack(byUrl({ url: encryptedUrl }), { servers, typed })
    expect(done.hostname).toBe('guest')
    expect(done.console).toMatch(/Wrong password; try 3 of 3/)
  })

  it('three wrong ones are refused, and nothing of it is in the root', async () => {
    const typed = ['wrong-1', 'wrong-2', 'wrong-3', password]
    const said = await refusal(byUrl({ url: encryptedUrl, optional: true }), { servers, typed })
    expect(said).toMatch(/none of 3 passwords opens the overlay/)
    expect(said).toContain('openssl enc -d -aes-256-cbc')
    expect(said).not.toMatch(/wrong-/)
  })

  it('nobody there ends in words', async () => {
    const said = await refusal(byUrl({ url: encryptedUrl }), { servers })
    expect(said).toMatch(/nobody gave the password .* on \/dev\/ttyS0/)
    expect(said).toMatch(/diskless\.apkovl_password=URL/)
  })

  const passwordUrls = ['http://10.0.2.2/password/{MAC}']
  const passwordOf = (text: string) => ({ 'http://10.0.2.2/password/52:54:00:00:00:01': { body: text } })

  it('opens with a password that is fetched, its line’s end cut', async () => {
    const plan = byUrl({ url: encryptedUrl, passwordUrls })
    const done = await unpack(plan, { servers: { ...servers, ...passwordOf(`${password}\n`) } })
    expect(done).toMatchObject({ hostname: 'guest', console: '' })
  })

  it('a fetched password that is wrong, empty, too long or not there is refused; nobody is asked', async () => {
    const plan = byUrl({ url: encryptedUrl, passwordUrls })
    const with_ = (change: object) => refusal(plan, { servers: { ...servers, ...change }, typed: [password] })
    expect(await with_(passwordOf('other\n'))).toMatch(/the password from .* does not open the overlay/)
    expect(await with_(passwordOf('\n'))).toMatch(/gives an empty password/)
    expect(await with_(passwordOf('x'.repeat(2000)))).toMatch(/more than 1024 bytes/)
    expect(await with_({})).toMatch(/the password of the overlay could not be fetched/)
  })

  it.each([['aes-256-ecb'], ['des3'], ['camellia-128-cbc'], ['chacha20']])(
    '%s is refused by name',
    async (cipher) => {
      const servers = { [`${url}.${cipher}`]: { body: overlay } }
      const said = await refusal(byUrl({ url: `${url}.${cipher}` }), { servers, typed: [password] })
      expect(said).toContain(`encrypted with ${cipher}`)
      expect(said).toContain('aes-256-cbc')
    },
  )

  it('one that was damaged is refused with the right password too', async () => {
    const body = encrypt(overlay, { cipher: 'aes-256-cbc', keyDerivation: 'sha256', password }).subarray(
      0,
      -16,
    )
    const typed = [password, password, password]
    const said = await refusal(byUrl({ url: encryptedUrl }), { servers: { [encryptedUrl]: { body } }, typed })
    expect(said).toMatch(/the file is damaged/)
  })
})
