/** A real server in a namespace: started until it says that it is ready, stopped, killed, started again. */

import { type ChildProcess, spawn } from 'node:child_process'
import { Transcript, waitUntil } from '../../../src/cli/boot/transcript.ts'
import { environment } from './possible.ts'

export interface ServiceOptions {
  readonly name: string
  /** None: a network of its own, in which nothing is but a loopback that is down. */
  readonly namespace?: string | undefined
  /** For sh, which is process 1 of a process namespace of its own: when it ends, all that it started does. */
  readonly script: string
  /** What it says when clients may come. */
  readonly ready: RegExp
}

/** From its start until it is ready. */
const readyMs = 30_000

/** For an orderly end; then it is killed. */
const graceMs = 3_000

interface Run {
  readonly child: ChildProcess
  readonly said: Transcript
  readonly closed: Promise<void>
}

export class Service {
  readonly #options: ServiceOptions
  #run: Run | undefined
  #before = ''

  constructor(options: ServiceOptions) {
    this.#options = options
  }

  get running(): boolean {
    return this.#run !== undefined
  }

  /** Everything that it said, over all its runs. */
  get log(): string {
    return this.#before + (this.#run?.said.text ?? '')
  }

  /** Resolves when it is ready; rejects with the end of its log. */
  async start(): Promise<void> {
    const { name, namespace, script, ready } = this.#options
    if (this.#run !== undefined) throw new Error(`${name} runs already`)
    // However this process ends, killed included, the kernel kills unshare, and with it the namespace's process 1.
    const network = namespace === undefined ? [] : ['ip', 'netns', 'exec', namespace]
    const guarded = ['--pdeathsig', 'KILL', ...network]
    const apart = ['--mount', '--pid', ...(namespace === undefined ? ['--net'] : [])]
    const alone = ['unshare', ...apart, '--fork', '--kill-child', 'sh', '-c', script]
    const child = spawn('setpriv', [...guarded, ...alone], {
      // A process group of its own: signals reach all of it, and a terminal's Ctrl-C none of it.
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: environment,
    })
    const said = new Transcript()
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => said.add(text))
    const closed = new Promise<void>((resolve) => {
      child.on('error', (error) => {
        said.end(error)
        resolve()
      })
      child.on('close', (status, signal) => {
        said.end(new Error(`${name} ended (${status ?? signal})`))
        this.#before += said.text
        this.#run = undefined
        resolve()
      })
    })
    this.#run = { child, said, closed }
    try {
      await this.says(ready, readyMs)
    } catch (error) {
      await this.kill()
      throw error
    }
  }

  /** Waits until its present run has said something, now or before. */
  async says(pattern: RegExp, deadlineMs: number): Promise<RegExpExecArray> {
    const { name } = this.#options
    const said = this.#run?.said
    if (said === undefined) throw new Error(`${name} does not run`)
    const describe = () => `${name} said ${pattern}; its log ends:\n${said.tail(20)}`
    return waitUntil(said, () => pattern.exec(said.text) ?? undefined, deadlineMs, describe)
  }

  /** As an administrator stops it. Its clients find a port that nobody listens on. */
  stop(): Promise<void> {
    return this.#end('SIGTERM')
  }

  /** As a crash does. */
  kill(): Promise<void> {
    return this.#end('SIGKILL')
  }

  async #end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const run = this.#run
    if (run?.child.pid === undefined) return
    const group = -run.child.pid
    signalGroup(group, signal)
    const late = setTimeout(() => signalGroup(group, 'SIGKILL'), graceMs)
    await run.closed
    clearTimeout(late)
  }
}

function signalGroup(group: number, signal: NodeJS.Signals): void {
  try {
    process.kill(group, signal)
  } catch (error) {
    // It ended by itself meanwhile.
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error
  }
}
