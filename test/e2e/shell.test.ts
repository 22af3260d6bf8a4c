/** Who gets into the emergency shell: pulling a cable must not make anyone root where that matters. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { build, type ShellOption } from '../../build/index.ts'
import { kernelDirectory } from '../../scripts/kernel.ts'
import { bootGuest, patience, runIn } from './guest.ts'

const scratch = mkdtempSync(join(tmpdir(), 'diskless-shell-'))

async function initrdWith(shell: ShellOption, out: string): Promise<string> {
  const built = await build({
    kernel: await kernelDirectory(),
    modules: ['virtio'],
    shell,
    level: 3,
    out: join(scratch, out),
  })
  return built.initrd
}

/** Fails at once, before any driver. */
const refused = ['nbd=10.0.0.1:9000']

describe('the emergency shell', () => {
  afterAll(() => rmSync(scratch, { recursive: true, force: true }))

  it('asks for the password that it was built with, three times', async () => {
    const passwordFile = join(scratch, 'secret')
    writeFileSync(passwordFile, 'correct horse\n')
    const guest = await bootGuest({ initrd: await initrdWith({ passwordFile }, 'password'), append: refused })
    try {
      const asked = /Password for the emergency shell: $/
      for (const wrong of ['', 'root', 'correct hors']) {
        await guest.console.waitFor(asked, patience)
        guest.type(`${wrong}\n`)
      }
      await guest.console.waitFor(/Three wrong passwords/, patience)
      // With diskless.idle=0 the boot is tried again after the pause of a failed one, and asks again.
      await guest.console.waitFor(asked, patience)
      guest.type('correct horse\n')
      await guest.console.waitFor(/diskless# $/, patience)
      expect((await runIn(guest, 'id -u')).output.trim()).toBe('0')
      expect(guest.console.text).not.toContain('correct horse')
    } finally {
      await guest.stop()
    }
  })

  it('is not there in a build without one, and the boot goes on trying', async () => {
    const guest = await bootGuest({ initrd: await initrdWith('none', 'none'), append: refused })
    try {
      await guest.console.waitFor(/built without an emergency shell/, patience)
      await guest.console.waitFor(/Trying again: nobody could get into a shell/, patience)
      await guest.console.waitFor(/built without an emergency shell/, patience)
    } finally {
      await guest.stop()
    }
  })
})
