/** A site's hooks in a guest: the examples of docs/examples/hooks all run, and one that throws names its line. */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, expect, inject, it } from 'vitest'
import { build } from '../../build/index.ts'
import { kernelDirectory } from '../../scripts/kernel.ts'
import { password } from '../../scripts/repository/overlay.ts'
import { copyTo, makeFileSystem } from '../support/disks/index.ts'
import { bootGuest, logIn, refusal, retry, runIn, serveBox } from './guest.ts'

const scratch = mkdtempSync(join(tmpdir(), 'diskless-hooks-e2e-'))
afterAll(() => rmSync(scratch, { recursive: true, force: true }))

const examples = ['light.ts', 'wipe.ts', 'name.ts'].map((name) =>
  fileURLToPath(new URL(`../../docs/examples/hooks/${name}`, import.meta.url)),
)

/** Fails until somebody has been there. */
const asks = `import { defineHook } from 'diskless'

export default defineHook({
  async beforeHandoff({ sys }) {
    await sys.files.readText('/run/somebody-was-here')
  },
})
`

it('a name, a wiped disk and a light; and one that throws is told with its line, until it is content', async () => {
  writeFileSync(join(scratch, 'asks.ts'), asks)
  const { initrd } = await build({
    kernel: await kernelDirectory(),
    modules: ['virtio', 'ext4', 'input-leds', 'ledtrig-timer'],
    keys: [join(inject('demo'), 'keys')],
    hooks: [join(scratch, 'asks.ts'), ...examples],
    level: 3,
    out: join(scratch, 'boot'),
  })
  const files = { 'secret.txt': 'what the last user left' }
  const wiped = copyTo(
    await makeFileSystem({ type: 'ext4', label: 'scratch', files }),
    join(scratch, 'wiped'),
  )
  const kept = copyTo(await makeFileSystem({ type: 'ext4', label: 'other', files }), join(scratch, 'kept'))
  const before = readFileSync(kept)
  const { append, server } = await serveBox()
  const guest = await bootGuest({
    initrd,
    disks: [wiped, kept].map((image) => ({ bus: 'virtio', image })),
    append: append().filter((word) => word !== 'quiet'),
    qemu: ['-smbios', 'type=1,serial=CZC 123/4567'],
  })
  try {
    const { phase, text } = await refusal(guest)
    expect(phase).toBe('hook')
    expect(text).toContain('the hook asks.ts failed (before the handoff) at asks.ts:5')
    expect(text).toContain('What came back: /run/somebody-was-here: No such file')
    expect(guest.console.text).toContain('name.ts: this is kiosk-czc-123-4567')
    expect(guest.console.text).toMatch(/wipe\.ts: wiped \/dev\/vda/)
    // Blinking, as the lease is there.
    const light = '/sys/class/leds/*capslock'
    expect((await runIn(guest, `cat ${light}/trigger ${light}/delay_on`)).output).toMatch(
      /\[timer\][\s\S]*\n100\n?$/,
    )
    await runIn(guest, 'touch /run/somebody-was-here')
    retry(guest)
    await logIn(guest, password)
    const { output } = await runIn(guest, `cat /etc/hostname ${light}/trigger ${light}/brightness`)
    expect(output).toMatch(/^kiosk-czc-123-4567\n.*\[none\][\s\S]*\n1\n?$/)
    const spans = await runIn(guest, 'grep -c \'"hook"\' /run/diskless/timeline.json')
    expect(Number(spans.output)).toBeGreaterThanOrEqual(9)
  } finally {
    await guest.stop()
    await server.close()
  }
  const ends = readFileSync(wiped)
  const edge = 4 * 2 ** 20
  expect(ends.subarray(0, edge).every((byte) => byte === 0)).toBe(true)
  expect(ends.subarray(-edge).every((byte) => byte === 0)).toBe(true)
  expect(readFileSync(kept).equals(before)).toBe(true)
})
