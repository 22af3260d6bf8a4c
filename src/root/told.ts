/**
 * What the new system is told of the network in its own files, where it has none: its name, and ifupdown's interfaces(5)
 * as Alpine's setup-interfaces writes them.
 */
import { formatIpv4, maskOf } from '../boot/ipv4.ts'
import type { LeasePlan } from '../boot/lease-plan.ts'
import { type RootPlan, staysOnNetwork } from '../boot/root-plan.ts'
import type { NetworkUp } from '../network/join.ts'
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
  const path = '/etc/network/interfaces'
  const reads = await isThere(sys, '/sbin/ifup', '/usr/sbin/ifup')
  if (!reads || (await isThere(sys, path))) return
  await writeIn(sys, sysroot, path.slice(1), formatInterfaces(online, lease, staysOnNetwork(root)))
  if (lease === 'handoff' && root.kind === 'ram') await startNetworking(sys)
}

/** alpine-baselayout's own file says localhost: nobody has chosen that. */
async function tellName(sys: Pick<Sys, 'files'>, { hostname }: NetworkUp): Promise<void> {
  if (hostname === undefined) return
  const path = await sys.files.resolveIn(sysroot, '/etc/hostname')
  const name = path === undefined ? '' : (await sys.files.readText(path)).trim()
  if (name === '' || name === 'localhost') await writeIn(sys, sysroot, 'etc/hostname', `${hostname}\n`)
}

/** interfaces(5). */
export function formatInterfaces(online: NetworkUp, lease: LeasePlan, rootNeedsNetwork: boolean): string {
  const stanza = stanzaOf(online, lease, rootNeedsNetwork)
  return ['auto lo', 'iface lo inet loopback', '', ...stanza, ''].join('\n')
}

function stanzaOf(online: NetworkUp, lease: LeasePlan, rootNeedsNetwork: boolean): readonly string[] {
  const { link, address, prefixLength, routes, source, stacked } = online
  // Up already, and not to be taken down: what carries the root, and what ifupdown has no simple words for.
  if (rootNeedsNetwork || stacked.length > 0 || source.kind === 'ipv6') return [`iface ${link} inet manual`]
  if (source.kind === 'lease') {
    // udhcpc's client identifier is ours, so the server knows it again; a server of another mind is asked, too.
    const opts = lease === 'handoff' ? [`\tudhcpc_opts -r ${address}`] : []
    return [`auto ${link}`, `iface ${link} inet dhcp`, ...opts]
  }
  const gateway = routes.find(({ destination }) => destination === '0.0.0.0/0')?.gateway
  return [
    `auto ${link}`,
    `iface ${link} inet static`,
    `\taddress ${address}`,
    `\tnetmask ${formatIpv4(maskOf(prefixLength))}`,
    ...(gateway === undefined ? [] : [`\tgateway ${gateway}`]),
  ]
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
