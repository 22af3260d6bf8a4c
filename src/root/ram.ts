/** The root in RAM: a tmpfs of a size that leaves the machine alive, and what Alpine's init leaves in it. */
import type { RamBootPlan } from '../boot/plan.ts'
import type { RamRootPlan } from '../boot/root-plan.ts'
import { parseFstab } from '../overlay/fstab.ts'
import { BootError, type Sys } from '../sys/index.ts'
import { directoryIn } from './in-root.ts'
import { memoryForRoot, sysroot, unmountRoot } from './mounted.ts'

export { sysroot } from './mounted.ts'

/**
 * A fresh tmpfs at /sysroot; one of an earlier try is thrown away. tmpfs cannot be reclaimed: unless the command line
 * says a size, it is what is free now less a reserve, so that a full root is an error and not a dead machine.
 */
export async function mountRamRoot(sys: Sys, plan: RamBootPlan): Promise<{ readonly bytes: number }> {
  await unmountRoot(sys)
  await sys.files.makeDirectory(sysroot)
  const sized = plan.root.tmpfsOptions.some((option) => option.startsWith('size='))
  const bytes = await memoryForRoot(sys)
  const options = ['mode=0755', ...(sized ? [] : [`size=${bytes}`]), ...plan.root.tmpfsOptions]
  await sys.mounts.mount({ type: 'tmpfs', source: 'tmpfs', target: sysroot, options })
  if (plan.root.mergedUsr) await mergeUsr(sys)
  const space = await sys.files.space(sysroot)
  return { bytes: space.total }
}

async function mergeUsr(sys: Sys): Promise<void> {
  for (const name of ['bin', 'sbin', 'lib']) {
    await sys.files.makeDirectory(`${sysroot}/usr/${name}`)
    await sys.files.symlink(`usr/${name}`, `${sysroot}/${name}`)
  }
}

/** What an overlay may say of the root itself, and what Alpine puts right in it before packages are installed. */
export async function prepareRamRoot(
  sys: Sys,
  plan: RamRootPlan,
  hasOverlay: boolean,
): Promise<{ readonly packages: readonly string[] }> {
  if (hasOverlay && (await sys.files.status(`${sysroot}/root`))?.kind === 'directory') {
    // lbu commit packs /root/.ssh under whatever mode /root had.
    await sys.files.setMode(`${sysroot}/root`, 0o700)
  }
  await obeyFstab(sys)
  const marker = `${sysroot}/etc/.default_boot_services`
  const wantsDefaults = !hasOverlay || (await sys.files.status(marker)) !== undefined
  const packages: string[] = []
  if (wantsDefaults) {
    await addDefaultServices(sys)
    if (plan.sshKey !== undefined) {
      await addService(sys, 'sshd', 'default')
      packages.push('openssh')
    }
    await sys.files.remove(marker)
  }
  await addService(sys, (await hasClock(sys)) ? 'hwclock' : 'swclock', 'boot')
  return { packages }
}

/** A `/ tmpfs` line remounts the root with its options. */
async function obeyFstab(sys: Sys): Promise<void> {
  const fstab = await sys.files.resolveIn(sysroot, '/etc/fstab')
  if (fstab === undefined) return
  const entries = parseFstab(await sys.files.readText(fstab))
  const line = entries.find(({ mountPoint, type }) => mountPoint === '/' && type === 'tmpfs')
  if (line === undefined || line.options.length === 0) return
  try {
    await sys.mounts.remount(sysroot, line.options)
  } catch (cause) {
    throw new BootError(
      `etc/fstab of the overlay asks for / tmpfs ${line.options.join(',')}, which the kernel refused`,
      { cause },
    )
  }
}

const defaultServices = {
  sysinit: ['devfs', 'dmesg', 'mdev', 'hwdrivers', 'modloop'],
  boot: ['modules', 'sysctl', 'hostname', 'bootmisc', 'syslog'],
  shutdown: ['mount-ro', 'killprocs', 'savecache'],
  default: ['firstboot'],
} as const

async function addDefaultServices(sys: Sys): Promise<void> {
  for (const [runlevel, services] of Object.entries(defaultServices)) {
    for (const service of services) await addService(sys, service, runlevel)
  }
}

async function addService(sys: Sys, service: string, runlevel: string): Promise<void> {
  const directory = await directoryIn(sys, sysroot, `etc/runlevels/${runlevel}`)
  if ((await sys.files.status(`${directory}/${service}`)) !== undefined) return
  await sys.files.symlink(`/etc/init.d/${service}`, `${directory}/${service}`)
}

async function hasClock(sys: Sys): Promise<boolean> {
  return (await sys.files.list('/dev')).some((name) => /^rtc\d*$/.test(name))
}
