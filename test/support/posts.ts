/** What a boot of init itself, on the fake machine, posted to `diskless watch`. */

import { run } from '../../src/init/run.ts'
import { type FakeMachine, fakeMachine } from './machine/index.ts'
import { commandLine, networkBoot, servers } from './scenario.ts'

/** Of such a boot, in each post. */
export const poster = { boot: 'b00t', mac: '52:54:00:00:00:01' } as const

export interface Posted {
  readonly posts: readonly string[]
  readonly machine: FakeMachine
}

export async function postsOf(
  change: Parameters<typeof networkBoot>[0] = {},
  report = 'http://10.0.2.2:8080/',
): Promise<Posted> {
  const base = networkBoot()
  const machine = fakeMachine(
    networkBoot({
      commandLine: `${commandLine} diskless.report=${report}`,
      kernel: { ...base.kernel, '/proc/sys/kernel/random/boot_id': `${poster.boot}\n` },
      ...change,
      servers: { ...(change.servers ?? servers()), [report]: {} },
    }),
  )
  void run(machine)
  await machine.run(machine.supervisor.ended)
  return {
    posts: machine.servers.requests.flatMap(({ body }) => (body === undefined ? [] : [body])),
    machine,
  }
}
