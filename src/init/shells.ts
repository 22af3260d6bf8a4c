/** Shells on the consoles of the command line: after a failure, and where `single` asks for one. */
import type { BootPlan } from '../boot/plan.ts'
import type { Console, ShellSession, Sys } from '../sys/index.ts'
import { findConsoles } from './consoles.ts'

/** The exit status of `/init shell` where this build has no shell, or where no password was right. */
export const noShell = 77

export interface Shells {
  readonly devices: readonly string[]
  /** Resolves with the device whose shell a person left; undefined when nobody could get into any. */
  readonly left: Promise<string | undefined>
  close(): Promise<void>
}

export async function openShells(sys: Sys, plan: BootPlan | undefined, greeting: string): Promise<Shells> {
  const devices = (await shellConsoles(sys, plan)).map(({ device }) => device)
  const environment = { DISKLESS_GREETING: greeting, TERM: 'vt102' }
  const sessions = await Promise.all(
    devices.map((device) => sys.processes.onConsole(device, ['/init', 'shell'], environment)),
  )
  return {
    devices,
    left: firstLeft(devices, sessions),
    async close() {
      await Promise.all(sessions.map((session) => session.close()))
    },
  }
}

async function firstLeft(
  devices: readonly string[],
  sessions: readonly ShellSession[],
): Promise<string | undefined> {
  const refused = Promise.all(sessions.map(({ ended }) => ended)).then(() => undefined)
  const left = sessions.map(async ({ ended }, at) => {
    const { status } = await ended
    return status === noShell ? refused : devices[at]
  })
  return Promise.race(left)
}

/** Those that the command line names; where it names none, the one that /dev/console leads to. */
export async function shellConsoles(sys: Sys, plan: BootPlan | undefined): Promise<readonly Console[]> {
  const names = plan?.consoles ?? []
  const known = await findConsoles(sys, names)
  const named = names.map((name) => `/dev/${name}`)
  const wanted = known.filter(({ device }) => named.includes(device))
  if (wanted.length > 0) return wanted
  const preferred = known.filter((console) => console.preferred)
  return preferred.length > 0 ? preferred : [{ device: '/dev/console', screen: false, preferred: true }]
}

/** `single`: leaving the shell goes on with the boot. */
export async function pauseInShell(sys: Sys, plan: BootPlan): Promise<void> {
  const shells = await openShells(
    sys,
    plan,
    'Single mode: the root is not built yet. Leaving the shell goes on with the boot.',
  )
  await shells.left
  await shells.close()
}
