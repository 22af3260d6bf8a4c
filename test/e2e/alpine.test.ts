/** A real Alpine: ALPINE_MEDIA names a directory with apks/x86_64 and .boot_repository, such as its netboot ISO's. */

import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { build } from '../../build/index.ts'
import { kernelDirectory } from '../../scripts/kernel.ts'
import { makeOverlay, password } from '../../scripts/repository/overlay.ts'
import type { Machine } from '../../src/cli/boot/machine.ts'
import {
  type Alpine,
  alpineMedia,
  alpineName,
  copyMedia,
  makeModloop,
  openAlpine,
} from '../support/alpine.ts'
import { describeInLab } from '../support/lab/describe.ts'
import { Lab } from '../support/lab/index.ts'
import { FileServer } from '../support/qemu/server.ts'
import { bootGuest, handover, logIn, patience, runIn } from './guest.ts'

/** Alpine's default services, and those of the world. */
const runlevels = {
  sysinit: ['devfs', 'dmesg'],
  boot: ['hostname', 'bootmisc', 'syslog', 'sysctl', 'modules'],
  default: ['sshd', 'chronyd'],
  shutdown: ['mount-ro', 'killprocs', 'savecache'],
}

describe.skipIf(alpineMedia === undefined)(alpineName('Alpine itself'), () => {
  let alpine: Alpine
  let guest: Machine

  beforeAll(() => {
    alpine = openAlpine()
  })
  afterAll(() => rmSync(alpine.scratch, { recursive: true, force: true }))

  describe('from a web server', () => {
    let server: FileServer

    beforeAll(async () => {
      const boot = await build({
        kernel: await kernelDirectory(),
        modules: ['virtio', 'common-ethernet'],
        keys: [alpine.keys],
        out: join(alpine.scratch, 'http'),
        level: 9,
      })
      server = await FileServer.start(alpine.media)
      const world = ['alpine-base', 'chrony', 'openssh']
      const bytes = makeOverlay({ hostname: 'alpine', world, runlevels })
      server.behave(/apkovl/, { kind: 'bytes', bytes })
      guest = await bootGuest({
        initrd: boot.initrd,
        memoryMb: 1024,
        append: ['ip=dhcp', `apkovl=${server.url}/{MAC}.apkovl.tar.gz`, `alpine_repo=${server.url}/apks`],
      })
      await handover(guest, 2 * patience)
      await logIn(guest, password, 2 * patience)
    })
    afterAll(async () => {
      await guest?.stop()
      await server?.close()
    })

    it('is to its own apk what an installation by apk of the same world is', async () => {
      const install = [
        'mkdir -p /reference/etc/apk && cp -a /etc/apk/keys /etc/apk/repositories /reference/etc/apk/',
        'apk add --root /reference --initdb --update-cache --quiet alpine-base chrony openssh',
      ].join(' && ')
      expect((await runIn(guest, install)).status).toBe(0)
      for (const question of ['audit --system', 'info -v', 'fix --simulate']) {
        const ours = await runIn(guest, `apk --no-progress ${question}`)
        const reference = await runIn(guest, `apk --no-progress --root /reference ${question}`)
        process.stdout.write(`apk ${question}:\n${ours.output}\n`)
        expect(ours).toEqual(reference)
      }
    })

    it('started the services', async () => {
      const { output } = await runIn(guest, 'rc-status default')
      expect(output).toMatch(/sshd\s+\[\s+started/)
    })
  })

  describeInLab('from a file server', () => {
    let lab: Lab
    let initrd: string

    beforeAll(async () => {
      const depot = join(alpine.scratch, 'depot')
      const modloop = await makeModloop()
      mkdirSync(depot)
      copyMedia(alpine, depot, modloop)
      const boot = await build({
        kernel: await kernelDirectory(),
        modules: ['virtio', 'common-ethernet', 'nfs', 'storage'],
        keys: [alpine.keys],
        modloop,
        out: join(alpine.scratch, 'nfs'),
        level: 9,
      })
      initrd = boot.initrd
      lab = await Lab.start({ exports: [{ path: depot, pseudo: '/srv/nfs/depot', access: 'ro' }] })
    })
    afterEach(() => guest?.stop())
    afterAll(() => lab?.stop())

    /** The seed's own command line (seeds 000 and 001). */
    const boot = async (...more: string[]) => {
      const append = ['ip=dhcp', `alpine_dev=nfs:${Lab.address}:/srv/nfs/depot`, ...more]
      guest = await bootGuest({ cards: [{ kind: 'tap', lab }], initrd, memoryMb: 768, append })
      await guest.console.waitFor(/ login: $/, 2 * patience)
      // Without an overlay root has no password.
      guest.type('root\n')
      await guest.console.waitFor(/# $/, patience)
    }

    it('runs with the modules of the modloop there', async () => {
      await boot()
      const modloop = await guest.events.waitFor('phase', { name: 'modloop', state: 'done' }, patience)
      expect(modloop.fields.detail).toBe('/media/alpine_dev/boot/modloop-virt, its digest is right')
      const { output } = await runIn(
        guest,
        'cat /etc/apk/repositories; grep -E "alpine_dev|modloop " /proc/mounts',
      )
      expect(output).toMatch(
        /^\/media\/alpine_dev\/apks\n.* \/media\/alpine_dev nfs4 ro,.*vers=4\.2.*\n\/dev\/loop0 \/\.modloop squashfs ro.*\n$/,
      )
      // Neither is in the initrd.
      expect((await runIn(guest, 'modprobe dummy && modprobe minix && lsmod')).output).toMatch(
        /^Module[\s\S]*^minix [\s\S]*^dummy /m,
      )
    })

    it('runs with the initrd’s modules, and without that service', async () => {
      await boot('diskless.modules=keep')
      expect((await runIn(guest, 'modprobe btrfs && lsmod')).output).toMatch(/^Module[\s\S]*^btrfs /m)
      const { output } = await runIn(guest, 'ls -1 /etc/runlevels/sysinit; ls -d /lib/modules/*')
      expect(output).toMatch(/^devfs\ndmesg\nhwdrivers\nmdev\n\/lib\/modules\/6\.1[^\n]*\n$/)
    })
  })
})
