/** Repositories that must not be trusted, or do not answer: each ends in a message and the shell. */

import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { generateKey, loadKey, type SigningKey, signed, unsignedIndex } from '../../scripts/repository/apk.ts'
import { makeOverlay } from '../../scripts/repository/overlay.ts'
import { readTar } from '../../scripts/repository/tar.ts'
import type { Machine } from '../../src/cli/boot/machine.ts'
import { type Behaviour, FileServer } from '../support/qemu/server.ts'
import { bootGuest, handover, patience, type Refusal, refusal, retry, runIn } from './guest.ts'

const indexPath = /APKINDEX/

describe('a repository', () => {
  const { name, pem } = inject('signingKey')
  const key = loadKey(name, pem)
  const index = readFileSync(`${inject('demo')}/apks/x86_64/APKINDEX.tar.gz`)
  const text =
    readTar(gunzipSync(index))
      .find(({ path }) => path === 'APKINDEX')
      ?.content.toString() ?? ''
  const unsigned = unsignedIndex(text, 'not the demo')
  let server: FileServer
  let guest: Machine

  beforeAll(async () => {
    server = await FileServer.start(inject('demo'))
    serveOverlay([])
    server.behave(indexPath, { kind: 'status', status: 404 })
    guest = await bootGuest({
      memoryMb: 320,
      append: [
        'quiet',
        'ip=dhcp',
        `apkovl=${server.url}/box.apkovl.tar.gz`,
        `alpine_repo=${server.url}/apks`,
      ],
    })
    expect((await refusal(guest)).text).toMatch(/404/)
  })

  afterAll(async () => {
    await guest?.stop()
    await server?.close()
  })

  function serveOverlay(world: readonly string[]): void {
    server.behave(/apkovl/, { kind: 'bytes', bytes: makeOverlay({ hostname: 'box', world, runlevels: {} }) })
  }

  async function refuse(path: RegExp, behaviour: Behaviour): Promise<Refusal> {
    server.behaveWell()
    serveOverlay([])
    server.behave(path, behaviour)
    retry(guest)
    const refused = await refusal(guest)
    expect(refused.text).toMatch(/What to do/)
    return refused
  }

  const indexIs = (bytes: Buffer) => refuse(indexPath, { kind: 'bytes', bytes })
  const stranger = (keyName: string): SigningKey => loadKey(keyName, generateKey())

  it('whose index is not signed', async () => {
    expect((await indexIs(unsigned)).text).toMatch(/sign/)
  })

  it('whose index a stranger signed', async () => {
    const { text } = await indexIs(signed(unsigned, stranger('stranger.rsa.pub'), 'RSA256'))
    expect(text).toMatch(/stranger\.rsa\.pub/)
  })

  it('whose index a stranger signed in the name of our key', async () => {
    expect((await indexIs(signed(unsigned, stranger(name), 'RSA256'))).text).toMatch(/signature|sign/)
  })

  it('whose index was changed after it was signed', async () => {
    const good = signed(unsigned, key, 'RSA256')
    const other = unsignedIndex(text.replace(/^V:.*$/m, 'V:9-r9'), 'not the demo')
    const { text: shown } = await indexIs(
      Buffer.concat([good.subarray(0, good.length - unsigned.length), other]),
    )
    expect(shown).toMatch(/signature|sign/)
  })

  it('whose index is no index', async () => {
    expect((await indexIs(Buffer.from('<html>Sorry</html>\n'.repeat(50)))).phase).toMatch(/index|packages/)
  })

  it('with a package whose digest is wrong', async () => {
    const { phase, text } = await refuse(/libc6-.*\.apk$/, { kind: 'tamper', share: 0.9 })
    expect(phase, text).toBe('packages')
    expect(text).toMatch(/libc6/)
    expect(text).toMatch(/digest|checksum|damaged|SHA|corrupt/i)
  })

  it('with a package that is another than the index says', async () => {
    const other = readFileSync(`${inject('demo')}/apks/x86_64/alpine-base-3.19.1-r0.apk`)
    const { phase, text } = await refuse(/openrc-.*\.apk$/, { kind: 'bytes', bytes: other })
    expect(phase, text).toBe('packages')
    expect(text).toMatch(/openrc/)
  })

  it('left nothing half-built mounted', async () => {
    const { output } = await runIn(
      guest,
      'ls /sysroot/sbin/init /sysroot/sbin/openrc 2>&1 | grep -v "No such"',
    )
    expect(output.trim()).toBe('')
  })

  it('without a package of the world: the boot goes on without it, and says so loudly', async () => {
    server.behaveWell()
    serveOverlay(['no-such-package', 'beacon'])
    retry(guest)
    const warning = await guest.events.waitFor('warning', {}, patience)
    expect(String(warning.fields.text)).toMatch(/no-such-package/)
    await handover(guest)
    expect(guest.console.text).toMatch(/no-such-package/)
    await guest.console.waitFor(/ login: $/, patience)
    expect(server.requests.some((path) => /beacon-1/.test(path))).toBe(true)
  })
})
