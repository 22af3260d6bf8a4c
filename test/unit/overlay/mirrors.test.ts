/** An overlay that several servers have: the next one is asked, and nothing of a wrong one is ever in the root. */

import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import type { Answer } from '../../support/machine/index.ts'
import { encrypt } from '../../support/machine/openssl.ts'
import { byUrl, overlayOf, publicPem, refusal, sign, unpack } from './scenario.ts'

const first = 'http://a.example/guest.apkovl.tar.gz'
const second = 'http://b.example/guest.apkovl.tar.gz'
const urls = [first, second]
const overlay = overlayOf('guest')
const sha256 = createHash('sha256').update(overlay).digest('hex')
const good = { body: overlay }
const notThere = { status: 404 }
const keys = { '/etc/diskless/overlay-keys/ops.pub': publicPem }

describe('an overlay of several mirrors', () => {
  it.each<[string, Answer]>([
    ['has none', notThere],
    ['refuses', { fails: 'ECONNREFUSED' }],
    ['has another one, by the digest', { body: overlayOf('old') }],
    ['breaks off again and again', { ...good, truncateAt: 60 }],
  ])('comes from the second where the first %s', async (_, answer) => {
    const servers = { [first]: answer, [second]: good }
    expect(await unpack(byUrl({ urls, sha256 }), { servers })).toMatchObject({
      hostname: 'guest',
      from: second,
    })
  })

  it('comes from the first where that has it, and the second is not asked', async () => {
    expect(await unpack(byUrl({ urls }), { servers: { [first]: good } })).toMatchObject({ from: first })
  })

  it('is unpacked from a copy: half of an older one would stay in the root', async () => {
    const servers = { [first]: { body: overlayOf('old'), truncateAt: 60 }, [second]: good }
    expect(await unpack(byUrl({ urls }), { servers })).toMatchObject({
      hostname: 'guest',
      sinks: expect.arrayContaining(['file', 'tree']),
    })
  })

  it('is had by none: what each of them said', async () => {
    const said = await refusal(byUrl({ urls }), {
      servers: { [first]: notThere, [second]: { fails: 'ECONNREFUSED' } },
    })
    expect(said).toMatch(
      /from 2 mirrors in \d+ s: http:\/\/a\.example\/\S+ .*404.*; http:\/\/b\.example\/\S+ /,
    )
  })

  it.each([
    ['nowhere: excused', notThere, true],
    ['wrong at the one and nowhere else: not excused', { body: overlayOf('old') }, false],
  ])('that is optional, and %s', async (_, answer, excused) => {
    const plan = byUrl({ urls, sha256, optional: true })
    const servers = { [first]: answer, [second]: notThere }
    if (excused) {
      expect((await unpack(plan, { servers })).warned.join()).toContain('marked optional, is missing')
    } else {
      const said = await refusal(plan, { servers })
      expect(said).toContain('not the one whose digest the command line has')
      expect(said).toMatch(/b\.example\S+ .*404/)
    }
  })

  it('are not mirrors where their names say that they are packed otherwise', async () => {
    expect(await refusal(byUrl({ urls: [first, `${second}.aes-256-cbc`] }))).toContain('not mirrors of one')
  })

  it('and its password have their own', async () => {
    const suffix = '.aes-256-cbc'
    const passwordUrls = ['http://a.example/pw', 'http://b.example/pw']
    const servers = {
      [`${second}${suffix}`]: {
        body: encrypt(overlay, { cipher: 'aes-256-cbc', keyDerivation: 'pbkdf2', password: 'geheim' }),
      },
      'http://b.example/pw': { body: 'geheim\n' },
    }
    const plan = byUrl({ urls: urls.map((url) => `${url}${suffix}`), passwordUrls })
    expect(await unpack(plan, { servers })).toMatchObject({ hostname: 'guest' })
  })
})

describe('signed', () => {
  const old = overlayOf('old')

  it.each<[string, Record<string, Answer>]>([
    ['has no signature', { [first]: good }],
    ['has one of another overlay', { [first]: { body: old }, [`${first}.sig`]: { body: sign(overlay) } }],
  ])('it is the second’s, with its own signature, where the first %s', async (_, servers) => {
    const { hostname, from, warned } = await unpack(byUrl({ urls }), {
      files: keys,
      servers: { ...servers, [second]: good, [`${second}.sig`]: { body: sign(overlay) } },
    })
    expect({ hostname, from }).toEqual({ hostname: 'guest', from: second })
    expect(warned.join()).toMatch(/a\.example.* must be signed .*another mirror is asked/)
  })

  it.each<[string, Record<string, Answer>]>([
    ['has none', {}],
    ['has none that is signed', { [second]: good }],
  ])(
    'it is refused where the first is signed wrong and the second %s, optional or not',
    async (_, servers) => {
      const wrong = { [first]: { body: old }, [`${first}.sig`]: { body: sign(overlay) } }
      const plan = byUrl({ urls, optional: true })
      const said = await refusal(plan, { files: keys, servers: { ...wrong, ...servers } })
      expect(said).toMatch(/a\.example\S+ must be signed .*does not fit/)
      expect(said).toMatch(/b\.example\S+.*404/)
    },
  )
})
