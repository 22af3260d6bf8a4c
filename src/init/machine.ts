/** The first phase: the kernel's file systems, the command line, who this machine is; from them the plan. */
import { parseCommandLine } from '../boot/command-line.ts'
import type { Identity, MachineClock } from '../boot/identity.ts'
import { type BootPlan, makePlan } from '../boot/plan.ts'
import { readSettings } from '../boot/settings.ts'
import { BootError, type Sys } from '../sys/index.ts'
import { openConsoles } from './consoles.ts'
import { crash } from './crash.ts'
import type { Screen } from './screen.ts'
import { shellConsoles } from './shells.ts'
import type { Report } from './story.ts'

/** What the builder put into the initrd: /etc/diskless/config.json. */
export interface BuildConfig {
  /** Milliseconds since 1970: the clock is never before it. */
  readonly builtAt: number
  readonly version: string
}

export async function meetMachine(sys: Sys, screen: Screen, report: Report): Promise<BootPlan> {
  await mountKernelFilesystems(sys)
  screen.setConsoles(await sys.consoles.list())
  const config = await readBuildConfig(sys)
  const clock = config === undefined ? undefined : await startClock(sys, config)
  const line = parseCommandLine(await sys.files.readText('/proc/cmdline'))
  const settings = readSettings(line)
  screen.setConsoles(await openConsoles(sys, settings.all('console'), report.warn))
  const machine = await identify(sys, clock)
  screen.setQuiet(settings.flag('quiet'))
  const name = ['diskless', config?.version].filter(isSaid).join(' ')
  screen.line([`${name} on Linux ${machine.kernel}`, machine.product].filter(isSaid).join(', '))
  const plan = makePlan(line, machine)
  if (plan.quiet) await silenceKernel(sys)
  for (const warning of plan.warnings) report.warn(warning)
  await sys.supervisor.setPolicy({
    action: plan.onFailure.action,
    delayMs: plan.onFailure.delayMs,
    consoles: (await shellConsoles(sys, plan)).map(({ device }) => device),
  })
  await crash(sys, plan.crash)
  return plan
}

function isSaid(text: string | undefined): text is string {
  return text !== undefined && text !== ''
}

/** As Alpine's init does with `quiet`: only the kernel's emergencies on the console. proc(5), kernel/printk. */
async function silenceKernel(sys: Sys): Promise<void> {
  await sys.files.writeText('/proc/sys/kernel/printk', '1')
}

const kernelFilesystems = [
  { type: 'proc', target: '/proc', options: ['noexec', 'nosuid', 'nodev'] },
  { type: 'sysfs', target: '/sys', options: ['noexec', 'nosuid', 'nodev'] },
  { type: 'devtmpfs', target: '/dev', options: ['nosuid', 'mode=0755', 'size=2M'] },
  { type: 'devpts', target: '/dev/pts', options: ['gid=5', 'mode=0620', 'noexec', 'nosuid'] },
  { type: 'tmpfs', target: '/dev/shm', options: ['nodev', 'nosuid', 'noexec'] },
  // Moved to the new system with the others, so that what stands in /run/diskless is still there when its init looks.
  { type: 'tmpfs', target: '/run', options: ['mode=0755', 'nodev', 'nosuid'] },
] as const

/** Those that are not there yet: after an engine's death, or from PID 1, some are. */
async function mountKernelFilesystems(sys: Sys): Promise<void> {
  const mounted = new Set<string>()
  if ((await sys.files.status('/proc/self/mountinfo')) !== undefined) {
    for (const { target } of await sys.mounts.list()) mounted.add(target)
  }
  for (const { type, target, options } of kernelFilesystems) {
    if (mounted.has(target)) continue
    await sys.files.makeDirectory(target)
    await sys.mounts.mount({ type, source: type, target, options })
  }
  await sys.files.makeDirectory('/run/diskless')
}

async function readBuildConfig(sys: Sys): Promise<BuildConfig | undefined> {
  if ((await sys.files.status('/etc/diskless/config.json')) === undefined) return undefined
  const config: unknown = JSON.parse(await sys.files.readText('/etc/diskless/config.json'))
  if (typeof config !== 'object' || config === null || !('buildTime' in config)) return undefined
  if (typeof config.buildTime !== 'number') return undefined
  const version = 'version' in config && typeof config.version === 'string' ? config.version : ''
  return { builtAt: config.buildTime * 1000, version }
}

/** A machine whose battery is empty says 1970, and every certificate is then "not yet valid". */
async function startClock(sys: Sys, { builtAt }: BuildConfig): Promise<MachineClock> {
  const stopped = sys.clock.wall() < builtAt
  if (stopped) await sys.clock.setWall(builtAt)
  return { builtAt, stopped }
}

async function identify(sys: Sys, clock: MachineClock | undefined): Promise<Identity> {
  const dmi = '/sys/class/dmi/id'
  const [release, architecture, uuid, vendor, product, memory] = [
    '/proc/sys/kernel/osrelease',
    '/proc/sys/kernel/arch',
    `${dmi}/product_uuid`,
    `${dmi}/sys_vendor`,
    `${dmi}/product_name`,
    '/proc/meminfo',
  ]
  const facts = await sys.files.readTexts([release, architecture, uuid, vendor, product, memory])
  const fact = (path: string) => facts.get(path)?.trim() || undefined
  const kernel = fact(release) ?? 'unknown'
  refuseOldKernel(kernel)
  return {
    uuid: fact(uuid)?.toLowerCase(),
    product: [fact(vendor), fact(product)].filter((text) => text !== undefined).join(' ') || undefined,
    kernel,
    // Kernels before 6.1 do not say; this initrd is then the one of the commonest machine.
    architecture: fact(architecture) ?? 'x86_64',
    memoryAvailable: Number(/^MemAvailable:\s+(\d+) kB/m.exec(fact(memory) ?? '')?.[1] ?? 0) * 1024,
    clock,
  }
}

function refuseOldKernel(release: string): void {
  const [, major, minor] = /^(\d+)\.(\d+)/.exec(release) ?? []
  if (major === undefined || minor === undefined) return
  if (Number(major) > 5 || (Number(major) === 5 && Number(minor) >= 10)) return
  throw new BootError(`Linux ${release} is too old: diskless needs 5.10 or newer`, {
    advice: ['build the initrd from a newer kernel: diskless build --kernel …'],
  })
}
