/** diskless.cache=: a disk that is filled, cut off, filled again, spoilt, and then all that there is. */

import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, describe, expect, inject, it } from 'vitest'
import { makeOverlay, password } from '../../scripts/repository/overlay.ts'
import type { Card, Machine } from '../../src/cli/boot/machine.ts'
import { copyTo, makeFileSystem } from '../support/disks/index.ts'
import { FileServer } from '../support/qemu/server.ts'
import { bootGuest, handover, logIn, onlyCard, patience, refusal, retry, runIn } from './guest.ts'

describe('a cache on a disk', () => {
  const scratch = mkdtempSync(join(tmpdir(), 'diskless-cache-'))
  let guest: Machine
  let server: FileServer

  afterEach(() => guest?.stop())
  afterAll(async () => {
    await server?.close()
    rmSync(scratch, { recursive: true })
  })

  const debugfs = (image: string, request: string) =>
    execFileSync('debugfs', ['-w', '-R', request, image], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    })

  it('survives a power cut, has rotten blocks fetched again, and boots alone', async () => {
    server = await FileServer.start(inject('demo'))
    const bytes = makeOverlay({ hostname: 'box', world: [], runlevels: { boot: ['hostname'] } })
    server.behave(/apkovl/, { kind: 'bytes', bytes })
    const made = await makeFileSystem({ type: 'ext4', label: 'CACHE', files: {}, size: 64 * 2 ** 20 })
    const image = copyTo(made, join(scratch, 'disk'))
    const boot = (cards: readonly Card[] = onlyCard) =>
      bootGuest({
        cards,
        disks: [{ bus: 'virtio', image }],
        initrd: inject('fullInitrd'),
        append: [
          'ip=dhcp',
          `apkovl=${server.url}/box.apkovl.tar.gz`,
          `alpine_repo=${server.url}/apks`,
          'diskless.cache=LABEL=CACHE',
        ],
      })

    // The power goes while packages come.
    server.behave(/openrc-.*\.apk$/, { kind: 'stall', share: 0.5 })
    guest = await boot()
    await guest.console.waitFor(/index +\S+ s/, 2 * patience)
    await guest.stop()

    server.behaveWell()
    server.behave(/apkovl/, { kind: 'bytes', bytes })
    guest = await boot()
    await handover(guest, 2 * patience)
    expect(guest.console.text).toMatch(/commit +\S+ s +0 files from the cache, \d\d new in it/)
    await guest.stop()

    const names = debugfs(image, 'ls -p /diskless-cache/objects').match(/[0-9a-f]{64}/g) ?? []
    expect(names.length).toBeGreaterThan(10)
    for (const name of names) {
      debugfs(image, `zap_block -f /diskless-cache/objects/${name} -o 16 -l 4 -p 0x5a 0`)
    }
    server.behave(/./, { kind: 'reset' })
    guest = await boot()
    const { text } = await refusal(guest, 2 * patience)
    expect(text).toContain('the copy in the cache is damaged, and no server answers')
    server.behaveWell()
    server.behave(/apkovl/, { kind: 'bytes', bytes })
    retry(guest)
    await handover(guest, 2 * patience)
    await guest.stop()

    guest = await boot([])
    await logIn(guest, password, 2 * patience)
    expect(guest.console.text).toMatch(/warning: there is no network .*last good state \(20\d\d-.* UTC\)/)
    expect((await runIn(guest, 'hostname; grep -c vda /proc/mounts')).output).toBe('box\n0\n')
  })
})
