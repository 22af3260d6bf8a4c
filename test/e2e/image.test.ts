/** Images: a squashfs that the initrd brings, as Gentoo's PXE boot has it (seed 004), and one that is fetched. */

import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, truncateSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, inject, it } from 'vitest'
import { build } from '../../build/index.ts'
import { kernelDirectory } from '../../scripts/kernel.ts'
import { password } from '../../scripts/repository/overlay.ts'
import type { Machine } from '../support/qemu/machine.ts'
import { FileServer } from '../support/qemu/server.ts'
import { bootGuest, describeAsRoot, logIn, patience, refusal, runIn } from './guest.ts'

describeAsRoot('an image', () => {
  const scratch = mkdtempSync(join(tmpdir(), 'diskless-image-'))
  const image = join(scratch, 'image.squashfs')
  let sha256 = ''
  let guest: Machine
  let server: FileServer

  beforeAll(async () => {
    const tree = inject('installed')
    execFileSync('mksquashfs', [tree, image, '-quiet', '-no-progress'], { stdio: 'ignore' })
    sha256 = createHash('sha256').update(readFileSync(image)).digest('hex')
    server = await FileServer.start(scratch)
  })
  afterEach(() => guest?.stop())
  afterAll(async () => {
    await server?.close()
    rmSync(scratch, { recursive: true })
  })

  const check = async () => {
    await logIn(guest, password, 2 * patience)
    const { output } = await runIn(guest, 'cat /etc/installed; echo new > /etc/installed; cat /etc/installed')
    expect(output).toBe('from the tree\nnew\n')
  }

  it('appended to the initrd is the root, with Gentoo’s command line', async () => {
    const { initrd } = await build({
      kernel: await kernelDirectory(),
      modules: ['virtio', 'common-ethernet'],
      rootImage: { source: image, destination: '/image.squashfs', placed: 'appended' },
      out: join(scratch, 'out'),
      level: 3,
    })
    guest = await bootGuest({
      initrd,
      append: [
        ...['root=/dev/ram0', 'init=/linuxrc', 'dokeymap', 'looptype=squashfs', 'loop=/image.squashfs'],
        ...['cdroot', 'initrd=initrd.magic', 'vga=791'],
      ],
    })
    await check()
  })

  it(
    'is fetched, checked and the root; a damaged one, or another, is refused',
    async () => {
      guest = await bootGuest({
        append: ['ip=dhcp', `root=live:${server.url}/image.squashfs`, `diskless.image_sha256=${sha256}`],
      })
      await check()
      await guest.stop()
      truncateSync(image, 1_000_000)
      guest = await bootGuest({
        append: ['ip=dhcp', `root=live:${server.url}/image.squashfs`, `diskless.image_sha256=${sha256}`],
      })
      const { phase, text } = await refusal(guest)
      expect(phase).toBe('root')
      expect(text).toMatch(/image\.squashfs/)
      expect((await runIn(guest, 'mount')).output).not.toMatch(/sysroot/)
    },
    6 * patience,
  )
})
