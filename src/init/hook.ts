/**
 * What a hook is: a site's own TypeScript, run at named points of the boot. `diskless build --hook FILE` checks its types,
 * and bundles it into init. This module is what a hook imports as 'diskless'.
 */
import type { BootPlan } from '../boot/plan.ts'
import type { NetworkUp } from '../network/network-up.ts'
import type { Sys } from '../sys/index.ts'

export type { BootPlan } from '../boot/plan.ts'
export type { NetworkUp } from '../network/network-up.ts'
export { BootError, hasCode, type Sys, SysError } from '../sys/index.ts'

/** What every point gives to a hook. */
export interface HookContext {
  /** The machine: files, mounts, devices, downloads, programs. */
  readonly sys: Sys
  /** What the kernel command line asks for, and in `plan.machine` who this machine is. */
  readonly plan: BootPlan
  /** Fires when the hook has ended, when its time is over, and when another part of the boot failed. */
  readonly signal: AbortSignal
  /** A line on the consoles, and in the log. */
  tell(text: string): void
  /** Something that will be wrong in the system that comes up: told again at the end. */
  warn(text: string): void
}

/** The drivers are loaded, nothing on a disk or in the network has been touched. */
export interface BeforeNetwork extends HookContext {
  /** Resolves when no more disks are likely to come: buses are scanned after their driver has loaded. */
  disksSettled(): Promise<void>
}

/** Not run in a boot without a network. */
export interface LeaseObtained extends HookContext {
  /** The card, its address, names and servers; leased, static, or advertised. */
  readonly network: NetworkUp
}

/** The system is installed or mounted, nothing of it runs. */
export interface RootBuilt extends HookContext {
  /** Where the new system's root is: `/sysroot`. Symlinks in it are not to be followed from outside: see `write`. */
  readonly root: string
  readonly network: NetworkUp | undefined
  /** Writes a file of the new system, mode 0644; `path` as the system will see it. Symlinks cannot lead out of it. */
  write(path: string, text: string): Promise<void>
  /** Reads one; undefined when it is not there. */
  read(path: string): Promise<string | undefined>
}

export interface Hook {
  /** Also in a boot that needs no network, where that would begin. The boot waits for it, disks included. */
  readonly beforeNetwork?: (machine: BeforeNetwork) => Promise<void> | void
  readonly leaseObtained?: (machine: LeaseObtained) => Promise<void> | void
  /** In every try of the boot; the two before only until they have ended well. */
  readonly rootBuilt?: (machine: RootBuilt) => Promise<void> | void
  /** All else is done: the last of init before the new system's. */
  readonly beforeHandoff?: (machine: RootBuilt) => Promise<void> | void
  /** Milliseconds that each point may take before the boot fails: five minutes unless told. */
  readonly timeoutMs?: number
}

/** Only for its types: a hook is `export default defineHook({ … })`. */
export function defineHook(hook: Hook): Hook {
  return hook
}
