/**
 * Two namespaces with a long cable between them: every frame takes its time. Both ends are the kernel's own (TCP's
 * handshake, slow start and all), joined frame by frame: not every kernel has netem. A macvtap hands its frames to
 * whoever reads its device, and leaves segmentation to the other end, so that the relay costs little of the processor.
 */

import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const execute = promisify(execFile)
const environment = { ...process.env, PATH: `${process.env.PATH ?? ''}:/usr/sbin:/sbin` }

async function run(program: string, ...words: readonly string[]): Promise<string> {
  return (await execute(program, words, { env: environment })).stdout.trim()
}

export class DelayedLink {
  static readonly server = '10.79.0.1'
  static readonly client = '10.79.0.2'
  /** Names of the namespaces (ip-netns(8)). */
  readonly servers = `diskless-bench-${process.pid}-s`
  readonly clients = `diskless-bench-${process.pid}-c`
  readonly #directory = mkdtempSync(join(tmpdir(), 'diskless-link-'))
  #relay: ChildProcess | undefined

  /** `delayMs`: there and back. */
  static async lay(delayMs: number): Promise<DelayedLink> {
    const link = new DelayedLink()
    try {
      const ends = [
        await link.#end(link.servers, DelayedLink.server),
        await link.#end(link.clients, DelayedLink.client),
      ]
      const relay = fileURLToPath(new URL('delayed-relay.ts', import.meta.url))
      // Above those who are measured: a frame waits for the cable only.
      const first = ['--pdeathsig', 'KILL', 'chrt', '--rr', '20']
      const words = [...first, process.execPath, relay, ...ends, String(delayMs / 2)]
      link.#relay = spawn('setpriv', words, { env: environment, stdio: ['ignore', 'ignore', 'inherit'] })
      return link
    } catch (error) {
      await link.remove()
      throw error
    }
  }

  /** Makes one end; the path of the device from which its frames come, and to which they go. */
  async #end(namespace: string, address: string): Promise<string> {
    await run('ip', 'netns', 'add', namespace)
    const inside = ['-n', namespace, 'link']
    await run('ip', ...inside, 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'wire')
    await run('ip', ...inside, 'add', 'link', 'wire', 'name', 'tap', 'type', 'macvtap', 'mode', 'passthru')
    await run('ip', '-n', namespace, 'addr', 'add', `${address}/24`, 'dev', 'eth0')
    for (const name of ['lo', 'eth0', 'wire', 'tap']) await run('ip', ...inside, 'set', name, 'up')
    const numbers = await run('ip', 'netns', 'exec', namespace, 'sh', '-c', 'cat /sys/class/net/tap/tap*/dev')
    const device = join(this.#directory, namespace)
    await run('mknod', device, 'c', ...numbers.split(':'))
    return device
  }

  async remove(): Promise<void> {
    this.#relay?.kill('SIGKILL')
    for (const namespace of [this.servers, this.clients]) {
      // Perhaps it was not made.
      await run('ip', 'netns', 'del', namespace).catch(() => '')
    }
    rmSync(this.#directory, { recursive: true, force: true })
  }
}
