/** Earlier overlays of lbu's. */

import { describe, expect, it } from 'vitest'
import { encrypt } from '../../support/machine/openssl.ts'
import { bySearch, byUrl, onDevice, overlayOf, refusal, unpack, url } from './scenario.ts'

const vda1 = '/media/vda1'
const names = [
  'guest.apkovl.tar.gz',
  'guest.20260101120000.tar.gz',
  'guest.20260101180000.tar.gz',
  'guest.20251231000000.tar.gz',
  'other.20260101190000.tar.gz',
]
const files = Object.fromEntries(names.map((name) => [`${vda1}/${name}`, overlayOf(name)]))
const media = {
  media: [{ target: vda1 }],
  overlays: [`${vda1}/guest.apkovl.tar.gz`],
  overlayTarget: vda1,
}
const chosen = async (backup: string) => (await unpack(bySearch({ backup }), { files }, media)).hostname

describe('a backup on a medium', () => {
  it('by its name, its date, or the newest of this host whose date begins so', async () => {
    expect(await chosen('guest.20260101120000.tar.gz')).toBe('guest.20260101120000.tar.gz')
    expect(await chosen('20260101120000')).toBe('guest.20260101120000.tar.gz')
    expect(await chosen('20260101')).toBe('guest.20260101180000.tar.gz')
    expect(await chosen('2025')).toBe('guest.20251231000000.tar.gz')
    expect(await chosen('other.20260101190000.tar.gz')).toBe('other.20260101190000.tar.gz')
  })

  it('is there even when the present overlay is gone', async () => {
    const { [`${vda1}/guest.apkovl.tar.gz`]: _, ...left } = files
    const plan = onDevice('/guest.apkovl.tar.gz', { backup: '2025' })
    expect((await unpack(plan, { files: left }, media)).hostname).toBe('guest.20251231000000.tar.gz')
    const ambiguous = await refusal(onDevice(undefined, { backup: '20260101' }), { files: left }, media)
    expect(ambiguous).toMatch(/several backups could be meant: .*other.*guest/)
  })

  it('that is not there is refused, and those that are there are listed', async () => {
    const said = await refusal(bySearch({ backup: '2024' }), { files }, media)
    expect(said).toMatch(/no backup of the overlay is named, or dated, 2024/)
    expect(said).toContain(`${vda1}/guest.20251231000000.tar.gz`)
    expect(said).not.toContain('apkovl.tar.gz')
  })

  it('may be encrypted', async () => {
    const password = 'geheim'
    const body = encrypt(overlayOf('then'), { cipher: 'aes-256-cbc', keyDerivation: 'sha256', password })
    const encrypted = { ...files, [`${vda1}/guest.20200101000000.tar.gz.aes-256-cbc`]: body }
    const plan = bySearch({ backup: '2020' })
    expect((await unpack(plan, { files: encrypted, typed: [password] }, media)).hostname).toBe('then')
  })
})

describe('a backup on a server', () => {
  const servers = {
    [url]: { body: overlayOf('now') },
    'http://10.0.2.2/guest.20260101120000.tar.gz': { body: overlayOf('then') },
  }

  it.each([['20260101120000'], ['guest.20260101120000.tar.gz']])(
    '%s is beside the overlay',
    async (backup) => {
      expect((await unpack(byUrl({ backup }), { servers })).hostname).toBe('then')
    },
  )

  it('needs the whole date', async () => {
    const said = await refusal(byUrl({ backup: '2026' }), { servers })
    expect(said).toMatch(/a server cannot be asked which backups there are/)
  })
})
