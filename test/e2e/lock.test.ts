/** The demo's world by its lock, from a server whose index is gone: refused while anything is not as it was locked. */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { generateKey } from '../../scripts/repository/apk.ts'
import { password } from '../../scripts/repository/overlay.ts'
import type { Machine } from '../../src/cli/boot/machine.ts'
import { parse, writeLock } from '../../src/cli/lock.ts'
import { type Behaviour, FileServer } from '../support/qemu/server.ts'
import { bootGuest, handover, logIn, patience, type Refusal, refusal, retry, runIn } from './guest.ts'

const scratch = mkdtempSync(join(tmpdir(), 'diskless-lock-'))
const overlayName = '52:54:00:12:34:56.apkovl.tar.gz'

/** Of the demo, as its directory is now. */
async function lockBy(name: string, pem: string): Promise<Buffer> {
  const [key, out] = [join(scratch, name), join(scratch, `${name}.lock`)]
  writeFileSync(key, pem)
  const { name: keyName } = inject('signingKey')
  const words = ['--repo', `${inject('demo')}/apks=./apks`, '--apkovl', join(inject('demo'), overlayName)]
  const signing = ['--keys', join(inject('demo'), 'keys', keyName), '--sign', key, '--out', out]
  await writeLock(parse([...words, ...signing, '--arch', 'x86_64']), () => {})
  return readFileSync(out)
}

describe('a lock', () => {
  let server: FileServer
  let guest: Machine
  let lock: Buffer
  let first: Refusal

  function serve(bytes: Buffer, path?: RegExp, behaviour?: Behaviour): void {
    server.behaveWell()
    server.behave(/APKINDEX/, { kind: 'status', status: 404 })
    server.behave(/fleet\.lock$/, { kind: 'bytes', bytes })
    if (path !== undefined && behaviour !== undefined) server.behave(path, behaviour)
  }

  async function refuse(...served: Parameters<typeof serve>): Promise<Refusal> {
    serve(...served)
    retry(guest)
    return refusal(guest)
  }

  beforeAll(async () => {
    const { pem } = inject('signingKey')
    lock = await lockBy('demo.rsa', pem)
    server = await FileServer.start(inject('demo'))
    serve(Buffer.from(lock.toString().replace(/^world: /m, 'world: nano ')))
    const sources = [`apkovl=${server.url}/{MAC}.apkovl.tar.gz`, `diskless.lock=${server.url}/fleet.lock`]
    guest = await bootGuest({ memoryMb: 512, append: ['ip=dhcp', ...sources] })
    first = await refusal(guest)
  })

  afterAll(async () => {
    await guest?.stop()
    await server?.close()
    rmSync(scratch, { recursive: true, force: true })
  })

  it('that was changed after it was signed is refused', () => {
    expect(first.phase, first.text).toBe('lock')
    expect(first.text).toMatch(/fleet\.lock .*(changed|not trusted)/)
  })

  it('that a stranger signed, or that is cut short, is refused', async () => {
    const foreign = await refuse(await lockBy('stranger.rsa', generateKey()))
    expect(foreign.text).toMatch(/is signed with stranger\.rsa\.pub, a key that is not trusted here/)
    const short = await refuse(lock.subarray(0, lock.length / 2))
    expect(short.text).toMatch(/is cut short, or was never signed/)
  })

  it('of which a package has other bytes on the server is refused', async () => {
    const { phase, text } = await refuse(lock, /libc6-.*\.apk$/, { kind: 'tamper', share: 0.9 })
    expect(phase, text).toBe('packages')
    expect(text).toMatch(/libc6/)
    expect(text).toMatch(/SHA-256|damaged|corrupt/)
  })

  it('boots exactly what it has, without an index', async () => {
    serve(lock)
    retry(guest)
    await handover(guest)
    await logIn(guest, password, 2 * patience)
    const locked = [...lock.toString().matchAll(/^P:(.*)$/gm)].map(([, name]) => name)
    expect(locked.length).toBeGreaterThan(40)
    const { output } = await runIn(guest, 'grep ^P: /lib/apk/db/installed; rc-status -a | grep sshd')
    expect(output.match(/^P:.*$/gm)?.sort()).toEqual(locked.map((name) => `P:${name}`).sort())
    expect(output).toMatch(/sshd\s+\[\s+started/)
    expect(server.requests.filter((path) => path.includes('APKINDEX'))).toEqual([])
  })
})
