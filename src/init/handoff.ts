/**
 * The last phase before PID 1 takes over: is there an init to start, and everything that is mounted moved to where the
 * new system will look for it.
 */
import type { BootPlan } from '../boot/plan.ts'
import { closeCache } from '../cache/open.ts'
import { mountForGood } from '../media/nfs-reads.ts'
import type { NetworkUp } from '../network/network-up.ts'
import { sysroot } from '../root/ram.ts'
import { tellNewSystem } from '../root/told.ts'
import { BootError, type Handoff, type Sys } from '../sys/index.ts'
import { type Renewals, renewedUp, settleLeases } from './lease.ts'
import { tellLease } from './network.ts'
import type { Report } from './story.ts'

export async function prepareHandoff(
  sys: Sys,
  plan: BootPlan,
  online: NetworkUp | undefined,
  renewals: Renewals | undefined,
  report: Report,
): Promise<Handoff> {
  await checkInit(sys, plan.init.path)
  const { root } = plan
  if (root.kind === 'ram' && root.medium?.kind === 'nfs') {
    await mountForGood(sys, root.medium.share, report.warn)
  }
  if (online !== undefined && plan.network.kind === 'join') {
    await tellNewSystem(sys, root, online, plan.network.lease)
  }
  if (online !== undefined) await tellLease(sys, renewedUp(online, renewals))
  const keeper = await settleLeases(sys, plan, online, renewals, report)
  report.detail(plan.init.path)
  const { path: init, arguments: words } = plan.init
  const handoff = { root: sysroot, init, arguments: words, console: consoleOf(plan) }
  return keeper === undefined ? handoff : { ...handoff, keeper }
}

/** Everything that is mounted goes to where the new system looks for it; if PID 1 refuses, it comes back. */
export async function handOver(sys: Sys, handoff: Handoff): Promise<never> {
  await closeCache(sys)
  const moved = await moveMounts(sys)
  try {
    return await sys.supervisor.handoff(handoff)
  } catch (error) {
    for (const target of moved.reverse()) await sys.mounts.move(`${sysroot}${target}`, target)
    throw error
  }
}

async function moveMounts(sys: Sys): Promise<string[]> {
  const moved: string[] = []
  for (const { target } of await sys.mounts.list()) {
    const inside = moved.some((parent) => target.startsWith(`${parent}/`))
    if (target === '/' || target === sysroot || target.startsWith(`${sysroot}/`) || inside) continue
    await sys.files.makeDirectory(`${sysroot}${target}`)
    await sys.mounts.move(target, `${sysroot}${target}`)
    moved.push(target)
  }
  return moved
}

/** Alpine's switch_root -c: the last console= of the command line. */
function consoleOf(plan: BootPlan): string {
  return `/dev/${plan.consoles.at(-1) ?? 'console'}`
}

async function checkInit(sys: Sys, path: string): Promise<void> {
  const found = path.startsWith('/') ? await sys.files.resolveIn(sysroot, path) : undefined
  const status = found === undefined ? undefined : await sys.files.status(found)
  if (status?.kind === 'file' && (status.mode & 0o111) !== 0) return
  const why =
    status === undefined
      ? 'is not there'
      : status.kind === 'file'
        ? 'is not executable'
        : `is a ${status.kind}, not a program`
  throw new BootError(`${path} ${why} in the new root`, {
    advice: [
      path === '/sbin/init'
        ? 'no package of the world brings an init: add alpine-base (or openrc, busybox) to etc/apk/world'
        : `the kernel command line says init=${path}: correct it, or leave it out for /sbin/init`,
    ],
  })
}
