/** Images: a squashfs that the initrd brings, as Gentoo's PXE boot has it (seed 004), and others from elsewhere. */

import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, inject, it } from 'vitest'
import { build } from '../../build/index.ts'
import { kernelDirectory } from '../../scripts/kernel.ts'
import { password } from '../../scripts/repository/overlay.ts'
import { Machine } from '../../src/cli/boot/machine.ts'
import { DeadlinePassed } from '../../src/cli/boot/transcript.ts'
import { tool } from '../support/disks/cache.ts'
import { azerty } from '../support/keymap.ts'
import { describeInLab } from '../support/lab/describe.ts'
import { Lab } from '../support/lab/index.ts'
import { FileServer } from '../support/qemu/server.ts'
import { bootGuest, describeAsRoot, logIn, patience, refusal, runIn } from './guest.ts'

/** The seed's own. */
const gentoo =
  'root=/dev/ram0 init=/linuxrc dokeymap looptype=squashfs loop=/image.squashfs cdroot initrd=initrd.magic vga=791'

const makeSquashfs = (tree: string, image: string) =>
  execFileSync('mksquashfs', [tree, image, '-quiet', '-no-progress'], { stdio: 'ignore' })

/** The root is the image's, and can be written to. */
async function check(guest: Machine): Promise<void> {
  await logIn(guest, password, 2 * patience)
  const { output } = await runIn(guest, 'cat /etc/installed; echo new > /etc/installed; cat /etc/installed')
  expect(output).toBe('from the tree\nnew\n')
}

/**
 * A question on a screen only shows nowhere else, and forgets what was typed before it: the answer, all of it at once,
 * is given again until it is heard.
 */
async function answerOnScreen(guest: Machine, chord: string, heard: RegExp): Promise<void> {
  for (let tries = 1; ; tries++) {
    await guest.press(chord)
    try {
      await guest.console.waitFor(heard, 2000)
      return
    } catch (error) {
      if (!(error instanceof DeadlinePassed) || tries === 20) throw error
    }
  }
}

/** What the root phase said of where the image is. */
async function placeOf(guest: Machine): Promise<unknown> {
  return (await guest.events.waitFor('phase', { name: 'root', state: 'done' }, patience)).fields.detail
}

describeAsRoot('an image', () => {
  const scratch = mkdtempSync(join(tmpdir(), 'diskless-image-'))
  const image = join(scratch, 'image.squashfs')
  let sha256 = ''
  let guest: Machine
  let server: FileServer

  beforeAll(async () => {
    makeSquashfs(inject('installed'), image)
    sha256 = createHash('sha256').update(readFileSync(image)).digest('hex')
    server = await FileServer.start(scratch)
  })
  afterEach(() => guest?.stop())
  afterAll(async () => {
    await server?.close()
    rmSync(scratch, { recursive: true })
  })

  it('appended to the initrd is the root, with Gentoo’s command line', async () => {
    const { initrd } = await build({
      kernel: await kernelDirectory(),
      modules: ['virtio', 'common-ethernet'],
      rootImage: { source: image, destination: '/image.squashfs', placed: 'appended' },
      out: join(scratch, 'out'),
      level: 3,
    })
    guest = await bootGuest({ initrd, append: [gentoo] })
    await check(guest)
  })

  it('on a CD, as Gentoo’s own, is found there and copied into memory, which is large enough', async () => {
    const tree = join(scratch, 'cd')
    const disc = join(scratch, 'cd.iso')
    mkdirSync(tree)
    cpSync(image, join(tree, 'image.squashfs'))
    await tool('xorriso', ['-as', 'mkisofs', '-quiet', '-R', '-V', 'GENTOO', '-o', disc, tree])
    guest = await bootGuest({
      cards: [],
      disks: [{ bus: 'cdrom', image: disc }],
      initrd: inject('fullInitrd'),
      append: [gentoo, `diskless.image_sha256=${sha256}`],
    })
    await check(guest)
    expect(await placeOf(guest)).toMatch(/\/image\.squashfs \(squashfs, copied into memory\)/)
    // So that the disc can be taken out.
    expect((await runIn(guest, 'grep -c sr0 /proc/mounts')).output).toBe('0\n')
  })

  it(
    'is fetched, checked and the root; a damaged one, or another, is refused',
    async () => {
      guest = await bootGuest({
        append: ['ip=dhcp', `root=live:${server.url}/image.squashfs`, `diskless.image_sha256=${sha256}`],
      })
      await check(guest)
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

describeInLab('an image on a server', () => {
  const scratch = mkdtempSync(join(tmpdir(), 'diskless-image-'))
  const served = join(scratch, 'served')
  let lab: Lab
  let guest: Machine

  beforeAll(async () => {
    const image = join(scratch, 'image.squashfs')
    makeSquashfs(inject('installed'), image)
    const keymap = join(scratch, 'azerty.bmap')
    writeFileSync(keymap, azerty())
    await build({
      kernel: await kernelDirectory(),
      modules: ['virtio', 'common-ethernet'],
      rootImage: { source: image, destination: '/image.squashfs', placed: 'beside' },
      keymaps: [keymap],
      commandLine: `console=tty0 console=ttyS0 diskless.idle=0 ${gentoo}`,
      out: served,
      level: 3,
    })
    await tool('mkfs.erofs', ['-d0', '-zlz4', join(served, 'image.erofs'), inject('installed')])
    lab = await Lab.start({
      http: served,
      exports: [{ path: served, pseudo: '/images', access: 'ro' }],
      dhcp: { bootFile: `http://${Lab.address}/boot.ipxe` },
    })
  }, 2 * patience)
  afterEach(() => guest?.stop())
  afterAll(async () => {
    await lab?.stop()
    rmSync(scratch, { recursive: true })
  })

  it('is iPXE’s second initrd; the keymap that is asked for is the screen’s', async () => {
    guest = await Machine.start({
      start: { by: 'network' },
      memoryMb: 512,
      cards: [{ kind: 'tap', lab }],
      screen: true,
    })
    await guest.console.waitFor(/keymaps: 1 azerty/, patience)
    await answerOnScreen(guest, '1+ret', /the keymap is azerty/)
    await check(guest)
    expect(lab.log('http')).toMatch(/"GET \/image\.squashfs HTTP\/1\.1" 200/)
    expect(await placeOf(guest)).toMatch(/^\/image\.squashfs \(squashfs, from the initrd\)/)
    // On a virtual terminal with nobody else on it. The keys are those of a keyboard with Q, W and A on their caps.
    guest.type('exec 3</dev/tty5; chvt 5; echo "rea""dy"; head -n 1 <&3\n')
    await guest.console.waitFor(/ready\n/, patience)
    await guest.press('q', 'w', 'a', 'semicolon', 'ret')
    expect((await guest.console.waitFor(/(\w+)\n.*# $/, patience))[1]).toBe('azqm')
  })

  it('of erofs over NFS is read in place by a machine too small to hold it, in Gentoo’s words', async () => {
    guest = await bootGuest({
      cards: [{ kind: 'tap', lab }],
      memoryMb: 176,
      initrd: inject('fullInitrd'),
      append: [
        'ip=dhcp root=/dev/nfs',
        `nfsroot=${Lab.address}:/images loop=/image.erofs looptype=erofs cdroot init=/linuxrc`,
      ],
    })
    await check(guest)
    expect(await placeOf(guest)).toMatch(/image\.erofs \(erofs, read over NFS\)/)
    guest.type('poweroff\n')
    expect(await guest.ended).toBe('poweroff')
  })
})
