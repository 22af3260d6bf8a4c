/** Images that cannot be the root: each ends in a message and the shell, nothing is left mounted, and a good one boots. */

import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, inject, it } from 'vitest'
import { password } from '../../scripts/repository/overlay.ts'
import type { Machine } from '../../src/cli/boot/machine.ts'
import { type Behaviour, FileServer } from '../support/qemu/server.ts'
import { bootGuest, describeAsRoot, logIn, patience, refusal, retry, runIn } from './guest.ts'

describeAsRoot('an image', () => {
  const scratch = mkdtempSync(join(tmpdir(), 'diskless-bad-image-'))
  const image = join(scratch, 'image.squashfs')
  let good: Buffer
  let guest: Machine
  let server: FileServer

  beforeAll(async () => {
    execFileSync('mksquashfs', [inject('installed'), image, '-quiet', '-no-progress'], { stdio: 'ignore' })
    good = readFileSync(image)
    server = await FileServer.start(scratch)
    server.behave(/squashfs$/, { kind: 'status', status: 404 })
    guest = await bootGuest({
      memoryMb: 384,
      append: ['quiet', 'ip=dhcp', `root=live:${server.url}/image.squashfs`],
    })
    expect((await refusal(guest)).text).toMatch(/404/)
  })
  afterAll(async () => {
    await guest?.stop()
    await server?.close()
    rmSync(scratch, { recursive: true })
  })

  async function refuse(behaviour: Behaviour): Promise<string> {
    server.behaveWell()
    server.behave(/squashfs$/, behaviour)
    retry(guest)
    const { phase, text } = await refusal(guest)
    expect(phase, text).toBe('root')
    expect(text).toContain(`${server.url}/image.squashfs`)
    expect(text).toMatch(/What to do/)
    const { output } = await runIn(guest, 'grep -E "sysroot|diskless/" /proc/mounts; losetup -a; ls /sysroot')
    expect(output).toBe('')
    return text
  }

  it('that was cut off is told', async () => {
    const bytes = good.subarray(0, good.length / 2)
    expect(await refuse({ kind: 'bytes', bytes })).toMatch(/is damaged: it cannot be mounted as squashfs/)
  })

  it('whose tables are spoilt is told, with the kernel’s words', async () => {
    const bytes = Buffer.from(good)
    // The tables are at the end; the superblock, at the beginning, is whole.
    bytes.fill(0xa5, bytes.length - 65536)
    expect(await refuse({ kind: 'bytes', bytes })).toMatch(
      /is damaged: it cannot be mounted as squashfs[\s\S]*[Ss]quashfs[\s\S]*sha256sum on both/i,
    )
  })

  it('that is a web page is told', async () => {
    const bytes = Buffer.from('<html>Sorry</html>\n'.repeat(500))
    expect(await refuse({ kind: 'bytes', bytes })).toMatch(/neither squashfs nor erofs[\s\S]*web page/)
  })

  it('that is larger than the memory is told, with numbers', async () => {
    const pieces = Array.from({ length: 8 }, () => good.subarray(0, 2 ** 20))
    const endless = Array.from({ length: 64 }, () => Buffer.concat(pieces))
    expect(await refuse({ kind: 'pieces', pieces: endless })).toMatch(
      /larger than the memory of this machine: \d+ bytes \([\d.]+ MB\) are free[\s\S]*root=live:nfs/,
    )
  })

  it('that is good boots after all of these', async () => {
    server.behaveWell()
    retry(guest)
    await logIn(guest, password, 2 * patience)
    expect((await runIn(guest, 'cat /etc/installed')).output).toBe('from the tree\n')
  })
})
