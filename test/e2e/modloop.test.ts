/** The new system's kernel modules: a modloop by URL and at a path of a disk, and a plain tree on a share (seeds 000, 001). */

import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from 'vitest'
import { build } from '../../build/index.ts'
import { kernelDirectory } from '../../scripts/kernel.ts'
import { makeOverlay, password } from '../../scripts/repository/overlay.ts'
import { file } from '../../scripts/repository/tar.ts'
import type { Machine } from '../../src/cli/boot/machine.ts'
import { copyTo, makeFileSystem } from '../support/disks/index.ts'
import { describeInLab } from '../support/lab/describe.ts'
import { Lab } from '../support/lab/index.ts'
import { dummyModules, makeSmallModloop, putFiles, signModloop } from '../support/modloop.ts'
import { FileServer } from '../support/qemu/server.ts'
import { bootGuest, logIn, patience, runIn } from './guest.ts'

/**
 * What Alpine's service of this name does with modloop=: the file below /lib that a URL's last part names, fetched when it
 * is not there, or the file of this path on whatever is mounted.
 */
const service = file(
  'etc/init.d/modloop',
  `#!/sbin/openrc-run
depend() { after dev-mount; before modules; }

start() {
	local wanted="$(sed -n 's/.*modloop=\\([^ ]*\\).*/\\1/p' /proc/cmdline)" file= place=
	case "$wanted" in
	http://*)
		file="/lib/\${wanted##*/}"
		[ -f "$file" ] || wget -P /lib "$wanted" || return 1
		;;
	*)
		for place in $(cut -d ' ' -f 2 /proc/mounts); do
			[ ! -f "$place/$wanted" ] || file="$place/$wanted"
		done
		;;
	esac
	ebegin "Mounting modloop $file"
	mkdir -p /.modloop && mount -t squashfs -o loop,ro "$file" /.modloop
	eend $? || return 1
	rm -rf /lib/modules && ln -s /.modloop/modules /lib/
}
`,
  0o755,
)

const overlay = makeOverlay({
  hostname: 'box',
  world: [],
  runlevels: { sysinit: ['devfs', 'modloop'], boot: ['hostname'] },
  entries: [service],
})

/** `dummy` is in no initrd. */
const useModules = 'modprobe dummy && lsmod | grep -c ^dummy; readlink -f /lib/modules'

describe('the new system’s modules', () => {
  const scratch = mkdtempSync(join(tmpdir(), 'diskless-modloop-'))
  let modloop: Buffer
  let initrd: string
  let guest: Machine

  beforeAll(async () => {
    const path = join(scratch, 'modloop-own')
    modloop = await makeSmallModloop(path)
    const boot = await build({
      kernel: await kernelDirectory(),
      keys: [join(inject('demo'), 'keys')],
      modules: ['virtio', 'common-ethernet', 'storage'],
      level: 3,
      modloop: path,
      modloopSignatures: [signModloop(path, inject('signingKey'))],
      out: join(scratch, 'boot'),
    })
    initrd = boot.initrd
  }, 2 * patience)
  afterEach(() => guest?.stop())
  afterAll(() => rmSync(scratch, { recursive: true }))

  it('are in a modloop, fetched beside the packages, checked, and not fetched again', async () => {
    const server = await FileServer.start(inject('demo'))
    try {
      server.behave(/apkovl/, { kind: 'bytes', bytes: overlay })
      server.behave(/modloop/, { kind: 'bytes', bytes: modloop })
      guest = await bootGuest({
        initrd,
        append: [
          ...['ip=dhcp', `apkovl=${server.url}/box.apkovl.tar.gz`, `alpine_repo=${server.url}/apks`],
          `modloop=${server.url}/boot/modloop-own`,
        ],
      })
      await logIn(guest, password, 2 * patience)
      expect((await runIn(guest, useModules)).output).toBe('1\n/.modloop/modules\n')
      expect(server.requests.filter((path) => path.includes('modloop'))).toEqual(['/boot/modloop-own'])
      const last = server.requests.findLastIndex((path) => path.endsWith('.apk'))
      expect(server.requests.findIndex((path) => path.includes('modloop'))).toBeLessThan(last)
      const phase = guest.events.all.findLast(({ fields }) => fields.name === 'modloop')
      expect(phase?.fields.detail).toMatch(/modloop-own, its digest is right$/)
      // For the service of Alpine, which checks it once more.
      const signature = `modloop-own.SIGN.RSA.${inject('signingKey').name}`
      const kept = await runIn(guest, `wc -c < /var/cache/misc/${signature}`)
      expect(Number(kept.output)).toBeGreaterThanOrEqual(256)
    } finally {
      await server.close()
    }
  })

  it('are in the modloop at the path that modloop= names, on the disk that has it', async () => {
    const packages = join(inject('demo'), 'apks/x86_64')
    const repository = Object.fromEntries(
      readdirSync(packages).map((name) => [`apks/x86_64/${name}`, readFileSync(join(packages, name))]),
    )
    const disk = await makeFileSystem({
      type: 'ext4',
      size: 96 * 2 ** 20,
      files: { ...repository, 'apks/.boot_repository': '', 'box.apkovl.tar.gz': overlay },
    })
    const files = { 'linux/modloop-own': modloop, 'boot/modloop-other': 'of another kernel' }
    const other = await makeFileSystem({ type: 'ext4', files })
    guest = await bootGuest({
      cards: [],
      disks: [
        { bus: 'virtio', image: copyTo(disk, join(scratch, 'disk')) },
        { bus: 'virtio', image: copyTo(other, join(scratch, 'other')) },
      ],
      initrd,
      append: ['modloop=/linux/modloop-own'],
    })
    await logIn(guest, password, 2 * patience)
    expect((await runIn(guest, useModules)).output).toBe('1\n/.modloop/modules\n')
    const phase = guest.events.all.findLast(({ fields }) => fields.name === 'modloop')
    expect(phase?.fields.detail).toMatch(/\/media\/vdb\/linux\/modloop-own, its digest is right$/)
  })
})

describeInLab('modules without a modloop', () => {
  const depot = mkdtempSync(join(tmpdir(), 'diskless-depot-'))
  let version: string
  let lab: Lab
  let guest: Machine

  beforeAll(async () => {
    cpSync(join(inject('demo'), 'apks'), join(depot, 'apks'), { recursive: true })
    writeFileSync(join(depot, 'box.apkovl.tar.gz'), overlay)
    const found = await dummyModules()
    version = found.version
    putFiles(join(depot, 'lib'), found.files)
    lab = await Lab.start({ exports: [{ path: depot, pseudo: '/srv/nfs/depot', access: 'ro' }] })
  }, 2 * patience)
  afterEach(() => guest?.stop())
  afterAll(async () => {
    await lab?.stop()
    rmSync(depot, { recursive: true })
  })

  it('are a plain tree on the share, which stays there; power off ends', async () => {
    guest = await bootGuest({
      cards: [{ kind: 'tap', lab }],
      initrd: inject('fullInitrd'),
      append: ['ip=dhcp', `alpine_dev=nfs:${Lab.address}:/srv/nfs/depot`],
    })
    await logIn(guest, password, 2 * patience)
    expect((await runIn(guest, useModules)).output).toBe('1\n/lib/modules\n')
    const mounts = (await runIn(guest, 'grep " /lib/modules/" /proc/mounts')).output
    expect(mounts).toContain(`:/srv/nfs/depot/lib/modules/${version} /lib/modules/${version} nfs4 ro`)
    expect((await runIn(guest, 'ls /etc/runlevels/sysinit')).output).toBe('devfs\n')
    guest.type('poweroff\n')
    expect(await guest.ended).toBe('poweroff')
  })
})
