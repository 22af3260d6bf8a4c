/** `diskless boot` as a program of its own: what it boots, and that the machine ends with it however it ends. */

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, inject, it, vi } from 'vitest'
import { writeBootScript } from '../../build/ipxe.ts'
import { Transcript } from '../../src/cli/boot/transcript.ts'
import { readTimeline } from '../../src/cli/timeline/read.ts'
import type { FileServer } from '../support/qemu/server.ts'
import { patience, serveBox } from './guest.ts'

const program = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))

let directory = ''
let child: ChildProcess | undefined
let server: FileServer | undefined

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'diskless-boot-command-'))
  copyFileSync(inject('image'), join(directory, 'vmlinuz'))
  copyFileSync(inject('initrd'), join(directory, 'initrd'))
  say('console=ttyS0 ip=off')
})
afterEach(async () => {
  child?.kill('SIGKILL')
  await server?.close()
  server = undefined
  rmSync(directory, { recursive: true, force: true })
})

/** The command line that is booted with. */
function say(...words: readonly string[]): void {
  writeFileSync(join(directory, 'boot.ipxe'), writeBootScript(words.join(' ')))
}

/** Processes of QEMU for this directory. */
function guests(): readonly string[] {
  return readdirSync('/proc').filter((pid) => {
    if (!/^\d+$/.test(pid)) return false
    try {
      const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')
      return words[0]?.includes('qemu-system') && words.some((word) => word.includes(directory))
    } catch {
      // It has just ended.
      return false
    }
  })
}

interface Run {
  readonly process: ChildProcess
  /** Both of its outputs. */
  readonly said: Transcript
  /** Resolves with its status and its signal. */
  readonly closed: Promise<unknown>
}

function boot(...words: readonly string[]): Run {
  const said = new Transcript()
  const started = spawn(process.execPath, [program, 'boot', directory, ...words], {
    // What a kill -9 leaves behind goes with the rest.
    env: { ...process.env, TMPDIR: directory },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  child = started
  started.stdout?.setEncoding('utf8').on('data', (text: string) => said.add(text))
  started.stderr?.setEncoding('utf8').on('data', (text: string) => said.add(text))
  const closed = once(started, 'close')
  started.once('close', () => said.end(new Error(`it ended: ${said.tail()}`)))
  return { process: started, said, closed }
}

it('SIGTERM ends it with 143, and the machine, behind a bad wire and all', async () => {
  const { process, said, closed } = boot('--direct', '--memory', '256', '--loss', '10', '--delay', '5')
  await said.waitFor(/Linux version/, patience)
  expect(guests()).toHaveLength(1)
  process.kill('SIGTERM')
  expect(await closed).toEqual([143, null])
  expect(guests()).toEqual([])
})

it('kill -9 ends the machine, too', async () => {
  const { process, said } = boot('--direct', '--memory', '256', '--once')
  await said.waitFor(/Linux version/, patience)
  expect(guests()).toHaveLength(1)
  process.kill('SIGKILL')
  // The kernel does it, on its own.
  await vi.waitFor(() => expect(guests()).toEqual([]), { timeout: patience })
})

it('boots by UEFI, with two cards and a second line, until somebody interrupts it', async () => {
  const box = await serveBox()
  server = box.server
  // What is not there ends in a shell, on both lines.
  say('console=ttyS0 console=ttyS1,9600 console=ttyS0 ip=dhcp diskless.idle=0', `apkovl=${server.url}/none`)
  const second = join(directory, 'second.log')
  const cards = ['--card', 'e1000e', '--card', 'virtio']
  const { process, said, closed } = boot('--uefi', ...cards, '--memory', '512', '--console', second)
  await said.waitFor(/iPXE[\s\S]*Linux version[\s\S]*efi: EFI v/, 3 * patience)
  await said.waitFor(/network .*eth\d .*leased by 10\.0\.2\.2/, patience)
  await said.waitFor(/The boot failed[\s\S]*404[\s\S]*diskless# $/, patience)
  await vi.waitFor(
    () => expect(readFileSync(second, 'utf8')).toMatch(/network .*eth\d [\s\S]*404[\s\S]*diskless# /),
    { timeout: patience },
  )
  // The kernel itself writes on one line of a driver: the first that is named.
  expect(readFileSync(second, 'utf8')).not.toContain('Linux version')
  expect(said.text).not.toContain('has not the speed')
  expect(guests()).toHaveLength(1)
  process.kill('SIGINT')
  expect(await closed).toEqual([130, null])
  expect(guests()).toEqual([])
})

it('--once is 0 when a machine comes up from power-on, and its timeline can be drawn', async () => {
  const box = await serveBox()
  server = box.server
  say('console=ttyS0', ...box.append())
  const timeline = join(directory, 'boot.json')
  const { said, closed } = boot('--once', '--timeline', timeline)
  expect(await closed, said.tail()).toEqual([0, null])
  expect(said.text).toMatch(/vmlinuz\.\.\. ok[\s\S]*\nup: the system took over \S+ s after its kernel began/)
  expect(readTimeline(readFileSync(timeline, 'utf8'), timeline).spans.map(({ name }) => name)).toContain(
    'overlay',
  )
  expect(guests()).toEqual([])
})

it('--once is 1 when it does not, and the JSON says why', async () => {
  const box = await serveBox()
  server = box.server
  const { said, closed } = boot('--once', '--json', '--append', `ip=dhcp apkovl=${server.url}/none`)
  expect(await closed, said.tail()).toEqual([1, null])
  expect(JSON.parse(said.text)).toMatchObject({
    up: false,
    causes: [expect.stringMatching(/^the overlay could not be fetched/), expect.stringMatching(/404/)],
    advice: [expect.stringMatching(/^Check the URL/)],
    timeline: { version: 1 },
  })
})
