/** Overlays that are encrypted, signed, named by their digest: what opens them, and what each refusal says. */

import { createHash, createSign, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { build } from '../../build/index.ts'
import { kernelDirectory } from '../../scripts/kernel.ts'
import { password } from '../../scripts/repository/overlay.ts'
import type { Machine } from '../../src/cli/boot/machine.ts'
import { copyTo, makeDisk, makeFileSystem } from '../support/disks/index.ts'
import { FileServer } from '../support/qemu/server.ts'
import { bootGuest, handover, logIn, patience, type Refusal, refusal, retry, runIn } from './guest.ts'
import { encrypt, overlayOf, repositoryFiles } from './stick.ts'

const secret = 'correct horse'
const scratch = mkdtempSync(join(tmpdir(), 'diskless-locked-'))
afterAll(() => rmSync(scratch, { recursive: true }))

async function nothingBuilt(guest: Machine): Promise<void> {
  expect((await runIn(guest, 'find /sysroot -type f; ls /run/diskless/overlay')).output).toMatch(
    /^ls: .*No such file or directory\n$/,
  )
}

describe('an encrypted overlay on a USB disk', () => {
  let guest: Machine
  afterAll(() => guest?.stop())

  async function give(words: readonly string[]): Promise<void> {
    for (const word of words) {
      await guest.console.waitFor(/Password of the overlay .*: $/, 2 * patience)
      guest.type(`${word}\n`)
    }
  }

  beforeAll(async () => {
    const content = await makeFileSystem({
      type: 'ext4',
      label: 'SAFE',
      size: 64 * 2 ** 20,
      options: ['-O', '64bit'],
      files: {
        ...repositoryFiles(),
        'box.apkovl.tar.gz.aes-256-cbc': encrypt(overlayOf('locked'), secret, '-pbkdf2'),
      },
    })
    const image = copyTo(await makeDisk({ table: 'dos', partitions: [{ content }] }), join(scratch, 'usb'))
    guest = await bootGuest({
      cards: [],
      disks: [{ bus: 'usb', image }],
      initrd: inject('fullInitrd'),
      append: ['ovl_dev=LABEL=SAFE:ext4'],
    })
  })

  it('stays closed to three wrong passwords, and nothing is built', async () => {
    await give(['', 'wrong', 'correct hors'])
    const { phase, text } = await refusal(guest)
    expect(phase, text).toBe('overlay')
    expect(text).toMatch(
      /none of 3 passwords opens the overlay \/media\/sda1\/box\.apkovl\.tar\.gz\.aes-256-cbc/,
    )
    expect(text).toMatch(/openssl enc -d -aes-256-cbc -in FILE/)
    await nothingBuilt(guest)
  })

  it('opens to the third password after two wrong ones, and boots', async () => {
    retry(guest)
    await give(['wrong', 'again'])
    await guest.console.waitFor(/Wrong password; try 3 of 3\. /, patience)
    await give([secret])
    await logIn(guest, password, 2 * patience)
    expect((await runIn(guest, 'hostname; grep sda1 /proc/mounts')).output).toMatch(
      /^locked\n\/dev\/sda1 \/media\/sda1 ext4 ro/,
    )
    expect(guest.console.text).not.toContain(secret)
  })
})

describe('an overlay that must be signed, has a digest, and a password that is fetched', () => {
  const pair = () => generateKeyPairSync('rsa', { modulusLength: 2048 })
  const admin = pair()
  const place = 'box.apkovl.tar.gz.aes-256-cbc'
  const bytes = encrypt(overlayOf('signed'), secret)
  const other = encrypt(overlayOf('evil'), secret)
  let server: FileServer
  let guest: Machine

  beforeAll(async () => {
    const key = join(scratch, 'admin.pem')
    writeFileSync(key, admin.publicKey.export({ type: 'spki', format: 'pem' }))
    const { initrd } = await build({
      kernel: await kernelDirectory(),
      modules: ['virtio'],
      keys: [join(inject('demo'), 'keys')],
      overlayKeys: [key],
      level: 3,
      out: join(scratch, 'out'),
    })
    server = await FileServer.start(inject('demo'))
    serve(other, sign(other, admin.privateKey), secret)
    guest = await bootGuest({
      initrd,
      append: [
        ...['quiet', 'ip=dhcp', `apkovl=${server.url}/${place}`, `alpine_repo=${server.url}/apks`],
        `diskless.apkovl_sha256=${createHash('sha256').update(bytes).digest('hex')}`,
        `diskless.apkovl_password=${server.url}/password`,
      ],
    })
  })
  afterAll(async () => {
    await guest?.stop()
    await server?.close()
  })

  function sign(what: Buffer, key: KeyObject): Buffer {
    return createSign('sha256').update(what).sign(key)
  }

  function serve(overlay: Buffer, signature: Buffer | undefined, word: string): void {
    server.behaveWell()
    server.behave(/aes-256-cbc$/, { kind: 'bytes', bytes: overlay })
    if (signature !== undefined) server.behave(/\.sig$/, { kind: 'bytes', bytes: signature })
    server.behave(/password$/, { kind: 'bytes', bytes: Buffer.from(`${word}\n`) })
  }

  async function refused(): Promise<Refusal> {
    const refused = await refusal(guest)
    expect(refused.phase, refused.text).toBe('overlay')
    expect(refused.text).toMatch(/What to do/)
    expect(refused.text).toContain(place)
    await nothingBuilt(guest)
    return refused
  }

  async function refuse(...served: Parameters<typeof serve>): Promise<string> {
    serve(...served)
    retry(guest)
    return (await refused()).text
  }

  it('is refused when it is signed, and another one', async () => {
    expect((await refused()).text).toMatch(/not the one whose digest the command line has/)
  })

  it('is refused without a signature', async () => {
    expect(await refuse(bytes, undefined, secret)).toMatch(
      /must be signed by one of the keys of this initrd: admin\.pem; its signature could not be had[\s\S]*404/,
    )
  })

  it('is refused when a stranger signed it', async () => {
    expect(await refuse(bytes, sign(bytes, pair().privateKey), secret)).toMatch(/its signature does not fit/)
  })

  it('is refused when another one was signed', async () => {
    expect(await refuse(bytes, sign(other, admin.privateKey), secret)).toMatch(/its signature does not fit/)
  })

  it('is refused when the password is wrong, or empty', async () => {
    const signature = sign(bytes, admin.privateKey)
    expect(await refuse(bytes, signature, 'wrong')).toMatch(
      /the password from http.* does not open the overlay/,
    )
    expect(await refuse(bytes, signature, '')).toMatch(/gives an empty password/)
  })

  it('boots when all is right', async () => {
    serve(bytes, sign(bytes, admin.privateKey), secret)
    retry(guest)
    await handover(guest)
    await logIn(guest, password)
    expect((await runIn(guest, 'hostname')).output).toBe('signed\n')
    expect(guest.console.text).not.toContain(secret)
  })
})
