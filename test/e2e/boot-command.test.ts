/** `diskless boot` as a program of its own: however it ends, the machine that it switched on ends with it. */

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, inject, it, vi } from 'vitest'
import { writeBootScript } from '../../build/ipxe.ts'
import { Transcript } from '../../src/cli/boot/transcript.ts'
import { patience } from './guest.ts'

const program = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))

let directory = ''
let child: ChildProcess | undefined

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'diskless-boot-command-'))
  copyFileSync(inject('image'), join(directory, 'vmlinuz'))
  copyFileSync(inject('initrd'), join(directory, 'initrd'))
  writeFileSync(join(directory, 'boot.ipxe'), writeBootScript('console=ttyS0 ip=off'))
})
afterEach(() => {
  child?.kill('SIGKILL')
  rmSync(directory, { recursive: true, force: true })
})

/** Processes of QEMU for this directory's kernel. */
function guests(): readonly string[] {
  return readdirSync('/proc').filter((pid) => {
    if (!/^\d+$/.test(pid)) return false
    try {
      const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')
      return words[0]?.includes('qemu-system') && words.some((word) => word.includes(marker()))
    } catch {
      // It has just ended.
      return false
    }
  })
}

/** On the kernel's command line, and so on QEMU's. */
const marker = () => `test=${directory}`

/** Until the kernel speaks: then the machine runs. */
async function start(...words: readonly string[]): Promise<ChildProcess> {
  const said = new Transcript()
  const started = spawn(process.execPath, [program, 'boot', directory, '--append', marker(), ...words], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  child = started
  started.stdout?.setEncoding('utf8').on('data', (text: string) => said.add(text))
  started.stderr?.setEncoding('utf8').on('data', (text: string) => said.add(text))
  started.once('close', () => said.end(new Error(`it ended: ${said.tail()}`)))
  await said.waitFor(/Linux version/, patience)
  return started
}

it.each([
  ['SIGTERM', 143],
  ['SIGINT', 130],
] as const)('%s ends it with %i, and the machine, behind a bad wire and all', async (signal, status) => {
  const started = await start('--memory', '256', '--loss', '10', '--delay', '5')
  expect(guests()).toHaveLength(1)
  const ended = once(started, 'close')
  started.kill(signal)
  expect(await ended).toEqual([status, null])
  expect(guests()).toEqual([])
})

it('kill -9 ends the machine, too', async () => {
  const started = await start('--memory', '256', '--once')
  expect(guests()).toHaveLength(1)
  started.kill('SIGKILL')
  // The kernel does it, on its own.
  await vi.waitFor(() => expect(guests()).toEqual([]), { timeout: patience })
})
