/** `sys.supervisor` of the fake machine: how the boot ended, and the commands typed in its emergency shell. */

import type { Events, FatalPolicy, Handoff, ShellCommand, Supervisor } from '../../../src/sys/index.ts'
import { Broadcast, deferred } from './events.ts'
import { type Faults, refusal } from './faults.ts'
import type { FakeFiles } from './files.ts'

export type Ending =
  | { readonly kind: 'handoff'; readonly handoff: Handoff }
  | { readonly kind: 'reboot' | 'poweroff' }

export class FakeSupervisor implements Supervisor {
  readonly policies: FatalPolicy[] = []
  readonly notes: string[] = []
  /** Resolves when init hands over, reboots or powers off. */
  readonly ended: Promise<Ending>
  readonly #end: (ending: Ending) => void
  readonly #faults: Faults
  readonly #files: FakeFiles
  readonly #commands = new Broadcast<ShellCommand>()

  constructor(faults: Faults, files: FakeFiles) {
    const { promise, resolve } = deferred<Ending>()
    this.ended = promise
    this.#end = resolve
    this.#faults = faults
    this.#files = files
  }

  async setPolicy(policy: FatalPolicy): Promise<void> {
    this.#faults.check('supervisor.setPolicy', policy.action)
    this.policies.push(policy)
  }

  async note(text: string): Promise<void> {
    this.notes.push(text)
  }

  commands(signal: AbortSignal): Events<ShellCommand> {
    return this.#commands.open(signal)
  }

  /** As PID 1 does, it refuses a root without that init, and then the engine goes on. */
  async handoff(handoff: Handoff): Promise<never> {
    this.#faults.check('supervisor.handoff', handoff.root)
    if ((await this.#files.resolveIn(handoff.root, handoff.init)) === undefined) {
      throw refusal('ENOENT', 'supervisor.handoff', handoff.init)
    }
    this.#end({ kind: 'handoff', handoff })
    return new Promise<never>(() => {})
  }

  async reboot(how: 'reboot' | 'poweroff'): Promise<never> {
    this.#faults.check('supervisor.reboot', how)
    this.#end({ kind: how })
    return new Promise<never>(() => {})
  }

  /** Types a command in the emergency shell; resolves with what it printed. */
  type(...argv: string[]): Promise<{ readonly text: string; readonly status: number }> {
    return new Promise((resolve) => {
      this.#commands.send({
        argv,
        answer: async (text, status) => resolve({ text, status }),
      })
    })
  }
}
