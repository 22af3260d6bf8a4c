/**
 * What the new system is told of the network in its own files, where it has none: its name, and ifupdown's interfaces(5)
 * as Alpine's setup-interfaces writes them.
 */
import type { LeasePlan } from '../boot/lease-plan.ts'
import { type RootPlan, staysOnNetwork } from '../boot/root-plan.ts'
import { formatInterfaces } from '../network/interfaces-file.ts'
import type { NetworkUp } from '../network/network-up.ts'
import type { Sys } from '../sys/index.ts'
import { directoryIn, writeIn } from './in-root.ts'
import { sysroot } from './mounted.ts'

/** Only what is in this machine's memory is written to: neither a disk nor an export. */
export async function tellNewSystem(
  sys: Pick<Sys, 'files'>,
  root: RootPlan,
  online: NetworkUp,
  lease: LeasePlan,
): Promise<void> {
  if (root.kind === 'disk' && !root.overlay) return
  if (root.kind === 'nfs' && root.writable === 'links') return
  await tellName(sys, online)
  const wanted = staysOnNetwork(root) ? carriesRoot(online.link) : formatInterfaces(online, lease)
  const path = await sys.files.resolveIn(sysroot, '/etc/network/interfaces')
  const found = path === undefined ? undefined : await sys.files.readText(path)
  if (found === undefined && (await isThere(sys, '/sbin/ifup', '/usr/sbin/ifup'))) {
    await writeIn(sys, sysroot, 'etc/network/interfaces', wanted)
  }
  if (lease === 'handoff' && root.kind === 'ram' && (found ?? wanted) === wanted) await startNetworking(sys)
}

/** Up already, and neither to be configured a second time nor taken down. */
function carriesRoot(link: string): string {
  return `auto lo\niface lo inet loopback\n\niface ${link} inet manual\n`
}

async function tellName(sys: Pick<Sys, 'files'>, { hostname }: NetworkUp): Promise<void> {
  if (hostname === undefined || (await chosenName(sys)) !== undefined) return
  await writeIn(sys, sysroot, 'etc/hostname', `${hostname}\n`)
}

/** What the new system calls itself. alpine-baselayout's own file says localhost: nobody has chosen that. */
export async function chosenName(sys: Pick<Sys, 'files'>): Promise<string | undefined> {
  const path = await sys.files.resolveIn(sysroot, '/etc/hostname')
  if (path === undefined || (await sys.files.status(path))?.kind !== 'file') return undefined
  const lines = (await sys.files.readText(path)).split('\n').map((line) => line.trim())
  // hostname(5): lines that begin with # are comments.
  const name = lines.find((line) => line !== '' && !line.startsWith('#'))
  return name === 'localhost' ? undefined : name
}

/** Nothing else would start the client that is to take over, where no overlay has said what starts. */
async function startNetworking(sys: Pick<Sys, 'files'>): Promise<void> {
  if (!(await isThere(sys, '/etc/init.d/networking'))) return
  const runlevel = await directoryIn(sys, sysroot, 'etc/runlevels/boot')
  if ((await sys.files.status(`${runlevel}/networking`)) !== undefined) return
  await sys.files.symlink('/etc/init.d/networking', `${runlevel}/networking`)
}

async function isThere(sys: Pick<Sys, 'files'>, ...paths: readonly string[]): Promise<boolean> {
  for (const path of paths) if ((await sys.files.resolveIn(sysroot, path)) !== undefined) return true
  return false
}
