/** A network namespace with a name (ip-netns(8)), a bridge in it, and taps on the bridge for guests. */

import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { environment } from './possible.ts'

const execute = promisify(execFile)

export const bridge = 'br0'

/** Its rest tells whose it is: the process's number, and something unique. */
const prefix = 'diskless-lab-'

async function ip(...words: readonly string[]): Promise<string> {
  return (await execute('ip', words, { env: environment })).stdout
}

export class Namespace {
  readonly name: string
  /** Where what runs in it keeps its files. Removed with it. */
  readonly directory: string
  readonly #neighbours: string[] = []
  #taps = 0

  private constructor(name: string) {
    this.name = name
    this.directory = directoryOf(name)
  }

  /** `address`: of the bridge, with its prefix length. */
  static async create(address: string): Promise<Namespace> {
    await removeStale()
    const namespace = new Namespace(`${prefix}${process.pid}-${randomBytes(4).toString('hex')}`)
    const inside = ['-n', namespace.name]
    await ip('netns', 'add', namespace.name)
    try {
      await ip(...inside, 'link', 'set', 'lo', 'up')
      // Neither waits before it forwards, as a bridge that looks for loops does.
      await ip(...inside, 'link', 'add', bridge, 'type', 'bridge', 'forward_delay', '0', 'stp_state', '0')
      await ip(...inside, 'addr', 'add', address, 'dev', bridge)
      await ip(...inside, 'link', 'set', bridge, 'up')
      return namespace
    } catch (error) {
      await namespace.remove()
      throw error
    }
  }

  /**
   * A machine on the bridge, with an address of its own: the name of its namespace, in which `eth0` is its card. It goes
   * with this one.
   */
  async addNeighbour(address: string): Promise<string> {
    const name = `${this.name}-${this.#neighbours.length}`
    const port = `port${this.#neighbours.length}`
    await ip('netns', 'add', name)
    this.#neighbours.push(name)
    const card = ['type', 'veth', 'peer', 'name', 'eth0', 'netns', name]
    await ip('-n', this.name, 'link', 'add', port, ...card)
    await ip('-n', this.name, 'link', 'set', port, 'master', bridge, 'up')
    await ip('-n', name, 'addr', 'add', address, 'dev', 'eth0')
    for (const link of ['lo', 'eth0']) await ip('-n', name, 'link', 'set', link, 'up')
    return name
  }

  /** From now on a port that gets a carrier forwards only so many seconds later: a switch's spanning tree (802.1D). */
  async lookForLoops(seconds: number): Promise<void> {
    // It listens for the forward delay, and learns for it once more; in hundredths of a second.
    const delay = String(Math.round((seconds / 2) * 100))
    await ip(
      '-n',
      this.name,
      'link',
      'set',
      bridge,
      'type',
      'bridge',
      'stp_state',
      '1',
      'forward_delay',
      delay,
    )
  }

  /** A new tap on the bridge; its name. */
  async addTap(): Promise<string> {
    const tap = `tap${this.#taps++}`
    await this.run('ip', 'tuntap', 'add', tap, 'mode', 'tap')
    await ip('-n', this.name, 'link', 'set', tap, 'master', bridge, 'up')
    return tap
  }

  /** Every tap loses its carrier for a moment, on this side: guests do not see it, as machines behind a switch's port. */
  async replugTaps(): Promise<void> {
    for (let at = 0; at < this.#taps; at++)
      for (const way of ['down', 'up']) await ip('-n', this.name, 'link', 'set', `tap${at}`, way)
  }

  /** Runs a program in it, to its end; what it printed. Rejects with what it complained of. */
  async run(program: string, ...words: readonly string[]): Promise<string> {
    return ip('netns', 'exec', this.name, program, ...words)
  }

  async remove(): Promise<void> {
    for (const neighbour of this.#neighbours) await ip('netns', 'del', neighbour)
    await ip('netns', 'del', this.name)
    rmSync(this.directory, { recursive: true, force: true })
  }
}

function directoryOf(name: string): string {
  return join(tmpdir(), name)
}

/** Whoever made these was killed: their servers died with it, the names stayed. */
async function removeStale(): Promise<void> {
  const names = (await ip('netns', 'list')).split('\n').map((line) => line.split(' ')[0] ?? '')
  for (const name of names) {
    const owner = /^diskless-lab-(\d+)-/.exec(name)?.[1]
    if (owner === undefined || isAlive(Number(owner))) continue
    // Two that start at once may both find it.
    await ip('netns', 'del', name).catch(async (error: unknown) => {
      if ((await ip('netns', 'list')).includes(name)) throw error
    })
    rmSync(directoryOf(name), { recursive: true, force: true })
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return !(error instanceof Error && 'code' in error && error.code === 'ESRCH')
  }
}
