/** The modules phase: the kernel modules that the modloop phase found are put into the finished root. */

import { showBytes } from '../boot/format.ts'
import type { RamBootPlan } from '../boot/plan.ts'
import {
  copyFirmware,
  copyModules,
  copySignatures,
  placeModloop,
  placeTree,
  removeModloopService,
  usesKmod,
} from '../root/modloop.ts'
import { sysroot } from '../root/ram.ts'
import { chainOf, hasCode, type Sys } from '../sys/index.ts'
import type { Report } from './story.ts'

/** Where the modules come from. */
export type SystemModules =
  /** In the root, waiting to be put at /lib/NAME. */
  | { readonly kind: 'fetched'; readonly name: string }
  /** The service of the new system finds or fetches a modloop by itself, or is to do nothing. */
  | { readonly kind: 'service' }
  /** A directory with modules.dep, which is copied into the root. */
  | { readonly kind: 'kept'; readonly directory: string }
  /** One of a medium, which stays there: it may be larger than the memory. Mounted, and to be moved into the root. */
  | { readonly kind: 'tree'; readonly from: string }

/** Milliseconds for depmod, which reads some hundred files. */
const depmodMs = 120_000

/** After the packages: nothing is installed over it any more. */
export async function settleModules(
  sys: Sys,
  plan: RamBootPlan,
  modules: SystemModules,
  report: Report,
): Promise<void> {
  switch (modules.kind) {
    case 'service':
      await copySignatures(sys)
      return
    case 'fetched':
      await placeModloop(sys, modules.name)
      report.detail(`/lib/${modules.name}`)
      return
    case 'kept': {
      const copied = await copyModules(sys, modules.directory, plan.machine.kernel)
      await copyFirmware(sys)
      await withoutService(sys, report)
      if (copied === undefined) report.detail('a package’s own')
      else {
        await indexForKmod(sys, plan.machine.kernel, report)
        report.detail(`${showBytes(copied.bytes)} of ${modules.directory}`)
      }
      return
    }
    case 'tree': {
      const placed = await placeTree(sys, plan.machine.kernel)
      await copyFirmware(sys)
      await withoutService(sys, report)
      report.detail(placed ? `${modules.from}, in place` : 'a package’s own')
      if (placed && (await lacksIndexForKmod(sys, plan.machine.kernel)))
        report.warn(
          `${modules.from} has no modules.dep.bin, and kmod’s modprobe reads nothing else: run depmod on it, on the server`,
        )
    }
  }
}

async function withoutService(sys: Sys, report: Report): Promise<void> {
  const runlevels = await removeModloopService(sys)
  if (runlevels.length > 0) report.note(`the service modloop is taken out of ${runlevels.join(', ')}`)
}

async function lacksIndexForKmod(sys: Sys, kernel: string): Promise<boolean> {
  const index = await sys.files.resolveIn(sysroot, `/lib/modules/${kernel}/modules.dep.bin`)
  return index === undefined && (await usesKmod(sys))
}

async function indexForKmod(sys: Sys, kernel: string, report: Report): Promise<void> {
  if (!(await usesKmod(sys))) return
  const environment = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' }
  try {
    const argv = ['/sbin/depmod', kernel]
    const { status, output } = await sys.processes.run(
      { argv, root: sysroot, environment, timeoutMs: depmodMs },
      report.signal,
    )
    if (status !== 0) report.warn(`depmod failed (${status}), modprobe will find no module: ${output.trim()}`)
  } catch (error) {
    if (hasCode(error, 'ABORTED')) throw error
    report.warn(`depmod could not be run, modprobe will find no module: ${chainOf(error).join(': ')}`)
  }
}
