/** `sys.processes` of the fake machine: what was run, and what a test says came of it. */

import type { Processes, RunRequest, RunResult, ShellSession } from '../../../src/sys/index.ts'
import { aborted, type VirtualClock } from './clock.ts'
import { deferred } from './events.ts'
import { type Faults, refusal } from './faults.ts'
import type { FakeFiles } from './files.ts'

export interface Ran extends Partial<RunResult> {
  /** It runs so long. */
  readonly afterMs?: number
}

/**
 * What comes of a program. Undefined: it ends well and says nothing, when its file is there, and ENOENT when not.
 * May change the machine's files, as a script would.
 */
export type Program = (request: RunRequest) => Ran | undefined

export interface Session {
  readonly device: string
  readonly argv: readonly string[]
  readonly environment: Readonly<Record<string, string>>
  /** The person leaves the shell. */
  end(status?: number): void
  closed: boolean
}

const PATH = '/usr/sbin:/usr/bin:/sbin:/bin'

export class FakeProcesses implements Processes {
  readonly ran: RunRequest[] = []
  readonly sessions: Session[] = []
  readonly #clock: VirtualClock
  readonly #faults: Faults
  readonly #files: FakeFiles
  readonly #program: Program

  constructor(clock: VirtualClock, faults: Faults, files: FakeFiles, program: Program) {
    this.#clock = clock
    this.#faults = faults
    this.#files = files
    this.#program = program
  }

  async run(request: RunRequest, signal?: AbortSignal): Promise<RunResult> {
    const name = request.argv[0] ?? ''
    this.#faults.check('processes.run', name)
    if (signal?.aborted) throw aborted('processes.run', name)
    this.ran.push(request)
    const scripted = this.#program(request)
    if (scripted === undefined && !(await this.#found(request, name))) {
      throw refusal('ENOENT', 'processes.run', name)
    }
    const { status = 0, output = '', afterMs = 0 } = scripted ?? {}
    if (afterMs > 0) await this.#clock.sleep(Math.min(afterMs, request.timeoutMs), signal)
    if (afterMs > request.timeoutMs) {
      throw refusal('TIMEOUT', 'processes.run', name, `killed after ${request.timeoutMs} ms`)
    }
    return { status, output }
  }

  async onConsole(
    device: string,
    argv: readonly string[],
    environment: Readonly<Record<string, string>>,
  ): Promise<ShellSession> {
    this.#faults.check('processes.onConsole', device)
    const { promise, resolve } = deferred<{ readonly status: number }>()
    const session: Session = {
      device,
      argv,
      environment,
      closed: false,
      end: (status = 0) => resolve({ status }),
    }
    this.sessions.push(session)
    return {
      ended: promise,
      close: async () => {
        session.closed = true
        resolve({ status: 129 })
      },
    }
  }

  async #found(request: RunRequest, name: string): Promise<boolean> {
    const root = request.root ?? '/'
    const places = name.includes('/')
      ? [name]
      : (request.environment?.PATH ?? PATH).split(':').map((directory) => `${directory}/${name}`)
    for (const place of places) {
      if ((await this.#files.resolveIn(root, place)) !== undefined) return true
    }
    return false
  }
}
