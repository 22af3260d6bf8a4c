/** diskless.lease=: who looks after the lease when the new system runs. Pure. */
import { BootError } from '../sys/error.ts'
import { type RootPlan, staysOnNetwork } from './root-plan.ts'
import type { Settings } from './settings.ts'

export type LeasePlan =
  /**
   * The keeper renews it until a DHCP client of the new system starts. The default: it is right for a system that has
   * such a client as well as for one that has none.
   */
  | 'keep'
  /** Nobody until the new system's own client starts, which is told the address. */
  | 'handoff'
  /** Nobody: it is given back before the handoff. */
  | 'release'

export function planLease(settings: Settings, root: RootPlan): LeasePlan {
  const text = settings.text('diskless.lease') ?? 'keep'
  if (text !== 'keep' && text !== 'handoff' && text !== 'release') {
    throw new BootError(`diskless.lease=${text} is none of keep, handoff and release`)
  }
  if (text === 'release' && staysOnNetwork(root)) {
    throw new BootError('diskless.lease=release would take the network away from a root that comes by it', {
      advice: ['leave it out, or write diskless.lease=keep'],
    })
  }
  return text
}
