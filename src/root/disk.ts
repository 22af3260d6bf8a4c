/** The root on a disk of this machine, mounted as it is, or with a tmpfs above it that takes what is written. */
import { showDeviceName } from '../boot/device.ts'
import type { DiskRootPlan } from '../boot/root-plan.ts'
import { type BlockDevice, mountDevice, waitForDevice } from '../media/device.ts'
import { BootError, hasCode, type Sys, SysError } from '../sys/index.ts'
import { buildRoot, lowerMount, type RootEvents, sysroot } from './mounted.ts'
import { overlayRoot } from './overlaid.ts'

/** Rejects with a BootError: no such disk in time, none that can be mounted, no system on it. Nothing is mounted then. */
export function mountDiskRoot(sys: Sys, plan: DiskRootPlan, events: RootEvents): Promise<BlockDevice> {
  return buildRoot(sys, events, async () => {
    const device = await waitForDevice(sys, plan.device, {
      what: 'the root',
      deadlineMs: plan.waitMs,
      onNotice: events.onNotice,
      signal: events.signal,
    })
    await mountDevice(sys, device, {
      target: plan.overlay ? lowerMount : sysroot,
      fsType: plan.fsType,
      options: plan.overlay ? ['ro', ...plan.options.filter((each) => each !== 'rw')] : plan.options,
    })
    const name = `root=${showDeviceName(plan.device)} (${device.path})`
    if (plan.overlay) await overlayRoot(sys, name)
    await checkSystem(sys, name)
    await checkMountPoints(sys, name)
    return device
  })
}

/** Before anything is made in somebody's data. */
async function checkSystem(sys: Pick<Sys, 'files'>, name: string): Promise<void> {
  const names = await sys.files.list(sysroot)
  if (names.some((each) => each === 'etc' || each === 'usr')) return
  const holds = names.length === 0 ? 'nothing' : names.slice(0, 10).join(', ')
  throw new BootError(`${name} holds no Linux system: neither /etc nor /usr`, {
    advice: [`is this the right partition, or subvolume (rootflags=subvol=…)? It holds ${holds}`],
  })
}

/** What is mounted here is moved there; a read-only root must have the directories. */
async function checkMountPoints(sys: Pick<Sys, 'files'>, name: string): Promise<void> {
  const missing: string[] = []
  let cause: SysError | undefined
  for (const directory of ['dev', 'proc', 'sys', 'run']) {
    const path = `${sysroot}/${directory}`
    const there = await sys.files.status(path)
    if (there?.kind === 'directory') continue
    try {
      if (there !== undefined) throw notDirectory(path, there.kind)
      await sys.files.makeDirectory(path)
    } catch (error) {
      if (!(error instanceof SysError) || hasCode(error, 'ABORTED')) throw error
      cause = error
      missing.push(`/${directory}`)
    }
  }
  if (missing.length === 0) return
  throw new BootError(
    `${name} has no ${missing.join(', ')} to mount on, and ${missing.length === 1 ? 'it' : 'they'} could not be made`,
    {
      cause,
      advice: ['make the directories in the root, boot once with rw in place of ro, or add overlaytmpfs'],
    },
  )
}

function notDirectory(path: string, kind: string): SysError {
  return new SysError({
    code: 'ENOTDIR',
    operation: 'files.status',
    subject: path,
    message: `a ${kind}, not a directory`,
  })
}
