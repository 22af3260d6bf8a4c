/**
 * `npm start`: makes everything and boots it, from power-on to a login, on this terminal. With `--once` the machine is
 * switched off at the login prompt and what the boot spent its time on is printed: exit status 0; when it fails, the end of the
 * console is printed: exit status 1.
 */

import { mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { build, printReport } from '../build/index.ts'
import { Machine } from '../src/cli/boot/machine.ts'
import { timelineTable } from '../src/init/timeline.ts'
import { chainOf } from '../src/sys/index.ts'
import { FileServer } from '../test/support/qemu/server.ts'
import { timelineOf } from '../test/support/qemu/timeline.ts'
import { kernelDirectory } from './kernel.ts'
import { makeDemo } from './repository/index.ts'
import { password } from './repository/overlay.ts'

const out = join(dirname(dirname(fileURLToPath(import.meta.url))), 'out')
const memoryMb = 1024

/** How long the emulated machine may take, from power-on to the login. */
const deadlineMs = 10 * 60_000

const { once } = parseArgs({ options: { once: { type: 'boolean', default: false } } }).values
process.exitCode = await main().catch((error: unknown) => {
  process.stderr.write(`\ndiskless: ${chainOf(error).join('\n  ')}\n`)
  return 1
})

async function main(): Promise<number> {
  mkdirSync(out, { recursive: true })
  say('Making the demo repository (Debian packages turned into signed apks) ...')
  const demo = await makeDemo(join(out, 'demo'))
  say(`  ${demo.packages} packages, ${(demo.bytes / 1e6).toFixed(1)} MB`)

  const server = await FileServer.start(demo.directory)
  try {
    say('Building vmlinuz, initrd and boot.ipxe ...')
    const boot = await build({
      kernel: await kernelDirectory(),
      modules: ['virtio', 'common-ethernet'],
      keys: [demo.keys],
      commandLine: [
        'console=ttyS0',
        // The kernel's own words below warnings are not what is to be seen here.
        'loglevel=4',
        'ip=dhcp',
        `apkovl=${server.url}/{MAC}.apkovl.tar.gz`,
        `alpine_repo=${server.url}/apks`,
      ].join(' '),
      out: join(out, 'boot'),
    })
    say(printReport(boot.report))
    say(
      once
        ? '\nSwitching on a machine without a disk ...\n'
        : `\nSwitching on a machine without a disk. Log in as root, password ${password}. Ctrl-A X switches it off.\n`,
    )
    return once ? await bootOnce(boot.out) : await bootHere(boot.out)
  } finally {
    await server.close()
  }
}

/** On this terminal, until its power is switched off. */
async function bootHere(directory: string): Promise<number> {
  const machine = await switchOn(directory, { terminal: true })
  const ending = await machine.ended
  return ending === 'failed' ? 1 : 0
}

async function bootOnce(directory: string): Promise<number> {
  const began = performance.now()
  const machine = await switchOn(directory, { onConsole: (text) => process.stdout.write(text) })
  try {
    const login = machine.console.waitFor(/\S+ login: $/, deadlineMs)
    const failure = machine.events.waitFor('failed', {}, deadlineMs).then(async (event) => {
      // The console is the slower one: the message is whole when the shell asks.
      await machine.console.waitFor(/diskless# $/, 60_000).catch(() => undefined)
      throw new Error(`the boot failed in the phase ${event.fields.phase}: see above`)
    })
    await Promise.race([login, failure])
    const seconds = ((performance.now() - began) / 1000).toFixed(1)
    const { timeline, end } = timelineOf(machine.events)
    say(
      `\n\nA login ${seconds} s after power-on (emulated). The machine is switched off; this is what init did:\n`,
    )
    say(timelineTable(timeline, end))
    return 0
  } catch (error) {
    process.stderr.write(`\n\nThe console's end:\n${machine.console.tail()}\n`)
    throw error
  } finally {
    await machine.stop()
  }
}

async function switchOn(
  directory: string,
  options: { readonly terminal?: boolean; readonly onConsole?: (text: string) => void },
): Promise<Machine> {
  const machine = await Machine.start({
    start: { by: 'ipxe', directory },
    memoryMb,
    cards: [{ kind: 'user' }],
    ...options,
  })
  // Ctrl-C on the terminal of a guest goes to the guest; from elsewhere these end both.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => {
      void machine.stop().then(() => process.exit(130))
    })
  }
  return machine
}

function say(text: string): void {
  process.stdout.write(`${text}\n`)
}
