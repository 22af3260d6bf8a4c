/** A real Alpine: ALPINE_MEDIA names a directory with apks/x86_64 and .boot_repository, such as its netboot ISO's. */

import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { build } from '../../build/index.ts'
import { kernelDirectory } from '../../scripts/kernel.ts'
import { makeOverlay, password } from '../../scripts/repository/overlay.ts'
import type { Machine } from '../support/qemu/machine.ts'
import { FileServer } from '../support/qemu/server.ts'
import { bootGuest, handover, logIn, patience, runIn } from './guest.ts'

const media = process.env.ALPINE_MEDIA

/** Alpine's default services, and those of the world. */
const runlevels = {
  sysinit: ['devfs', 'dmesg'],
  boot: ['hostname', 'bootmisc', 'syslog', 'sysctl', 'modules'],
  default: ['sshd', 'chronyd'],
  shutdown: ['mount-ro', 'killprocs', 'savecache'],
}

const name = media === undefined ? 'Alpine itself (needs ALPINE_MEDIA=DIR)' : 'Alpine itself'

describe.skipIf(media === undefined)(name, () => {
  const scratch = mkdtempSync(join(tmpdir(), 'diskless-alpine-'))
  let server: FileServer
  let guest: Machine

  beforeAll(async () => {
    const directory = media ?? ''
    const repository = join(directory, 'apks/x86_64')
    if (!existsSync(join(repository, 'APKINDEX.tar.gz')))
      throw new Error(`ALPINE_MEDIA: no index in ${repository}`)
    const keys = readdirSync(repository).find((name) => /^alpine-keys-\d/.test(name)) ?? ''
    // Three gzip members are one stream to tar; what it warns of are apk's own pax records.
    execFileSync('tar', [
      '-xzf',
      join(repository, keys),
      '-C',
      scratch,
      '--warning=no-unknown-keyword',
      'etc',
    ])
    const boot = await build({
      kernel: await kernelDirectory(),
      modules: ['virtio', 'common-ethernet'],
      keys: [join(scratch, 'etc/apk/keys')],
      out: join(scratch, 'boot'),
    })
    server = await FileServer.start(directory)
    const bytes = makeOverlay({ hostname: 'alpine', world: ['alpine-base', 'chrony', 'openssh'], runlevels })
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
    rmSync(scratch, { recursive: true, force: true })
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
