/** The modloop service of a real Alpine, with a modloop that init fetched. */

import { createPublicKey, generateKeyPairSync } from 'node:crypto'
import { copyFileSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { build } from '../../build/index.ts'
import { kernelDirectory } from '../../scripts/kernel.ts'
import { makeOverlay, password } from '../../scripts/repository/overlay.ts'
import type { Machine } from '../../src/cli/boot/machine.ts'
import { alpineMedia, alpineName, makeModloop, openAlpine } from '../support/alpine.ts'
import { signModloop } from '../support/modloop.ts'
import { FileServer } from '../support/qemu/server.ts'
import { bootGuest, logIn, patience, runIn } from './guest.ts'

describe.skipIf(alpineMedia === undefined)(alpineName('Alpine’s own modloop service'), () => {
  let scratch = ''
  let server: FileServer
  let guest: Machine

  beforeAll(async () => {
    const alpine = openAlpine()
    scratch = alpine.scratch
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
    const key = { name: 'site.rsa.pub', pem: String(privateKey.export({ type: 'pkcs8', format: 'pem' })) }
    writeFileSync(join(scratch, key.name), createPublicKey(key.pem).export({ type: 'spki', format: 'pem' }))
    const modloop = join(scratch, 'modloop-own')
    copyFileSync(await makeModloop(), modloop)
    const { initrd } = await build({
      kernel: await kernelDirectory(),
      modules: ['virtio', 'common-ethernet'],
      keys: [alpine.keys, join(scratch, key.name)],
      modloop,
      modloopSignatures: [signModloop(modloop, key)],
      level: 3,
      out: join(scratch, 'boot'),
    })
    server = await FileServer.start(alpine.media)
    const overlay = makeOverlay({
      hostname: 'alpine',
      world: ['alpine-base', 'openssl'],
      runlevels: { sysinit: ['devfs', 'dmesg', 'modloop'], boot: ['hostname', 'modules'] },
    })
    server.behave(/apkovl/, { kind: 'bytes', bytes: overlay })
    server.behave(/modloop/, { kind: 'bytes', bytes: readFileSync(modloop) })
    guest = await bootGuest({
      initrd,
      memoryMb: 1024,
      append: [
        ...['ip=dhcp', `apkovl=${server.url}/box.apkovl.tar.gz`, `alpine_repo=${server.url}/apks`],
        `modloop=${server.url}/boot/modloop-own`,
      ],
    })
    await logIn(guest, password, 2 * patience)
  }, 4 * patience)

  afterAll(async () => {
    await guest?.stop()
    await server?.close()
    if (scratch !== '') rmSync(scratch, { recursive: true, force: true })
  })

  it('verifies it, mounts it, and does not fetch it again', async () => {
    expect(guest.console.text).toMatch(
      /Mounting modloop \/lib\/modloop-own \.\.\. \* Verifying modloop\n \[ ok \]/,
    )
    expect(guest.console.text).not.toMatch(/Failed to verify|Missing openssl|modloop failed/)
    expect(server.requests.filter((path) => path.includes('modloop'))).toEqual(['/boot/modloop-own'])
  })

  it('makes modprobe work', async () => {
    const { output } = await runIn(guest, 'modprobe dummy && lsmod | grep -c ^dummy; cat /proc/mounts')
    expect(output).toMatch(/^1\n[\s\S]* \/\.modloop squashfs /)
  })
})
