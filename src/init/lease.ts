/** What becomes of the lease when the new system takes over: diskless.lease=. */
import type { IpConfiguration } from '../boot/ip-parameter.ts'
import type { BootPlan, NetworkPlan } from '../boot/plan.ts'
import { staysOnNetwork } from '../boot/root-plan.ts'
import { releaseLease } from '../network/dhcp-client.ts'
import type { DhcpConfig } from '../network/dhcp-config.ts'
import { keeperPath, planKeeper } from '../network/keeper.ts'
import type { Lease } from '../network/lease.ts'
import type { NetworkUp } from '../network/network-up.ts'
import { sysroot } from '../root/mounted.ts'
import type { IpAddress, Sys } from '../sys/index.ts'
import type { Report } from './story.ts'

/** Resolves with the keeper's plan as JSON, or with undefined where nobody is to keep the lease. */
export async function settleLease(
  sys: Sys,
  plan: BootPlan,
  online: NetworkUp | undefined,
  report: Pick<Report, 'notice' | 'warn'>,
): Promise<string | undefined> {
  const { network, root } = plan
  if (network.kind === 'none' || online === undefined || online.source.kind !== 'lease') return undefined
  const { lease } = online.source
  const config = configOf(plan, network, online)
  switch (network.lease) {
    case 'handoff':
      return undefined
    case 'release':
      await giveBack(sys, config, lease, report)
      return undefined
    case 'keep': {
      const keeper = planKeeper(lease, {
        config,
        nameservers: online.dns.slice(0, new Set([...namesOf(network.ip), ...network.nameservers]).size),
        resolver: await ownResolver(sys),
        rootNeedsNetwork: staysOnNetwork(root),
      })
      if (keeper === undefined) return undefined
      if ((await sys.files.status(keeperPath)) !== undefined) return JSON.stringify(keeper)
      report.warn(
        `this initrd has no ${keeperPath}: nobody renews the lease of ${lease.address}, which ends in ${lease.leaseTime} s`,
      )
      return undefined
    }
  }
}

/** As the lease was asked for: a server that hears something else may see another client. */
function configOf(
  { machine }: BootPlan,
  { ip }: Extract<NetworkPlan, { kind: 'join' }>,
  { link, mac }: NetworkUp,
): DhcpConfig {
  return {
    link,
    mac,
    ...(machine.uuid === undefined ? {} : { uuid: machine.uuid }),
    ...('hostname' in ip && ip.hostname !== undefined ? { hostname: ip.hostname } : {}),
  }
}

/** The resolvers that ip= names. */
function namesOf(ip: IpConfiguration): readonly IpAddress[] {
  return 'dns' in ip ? ip.dns : []
}

/** The new system's resolv.conf, if it is what this boot wrote. */
async function ownResolver(sys: Sys): Promise<string | undefined> {
  const path = await sys.files.resolveIn(sysroot, '/etc/resolv.conf')
  if (path === undefined) return undefined
  const texts = await sys.files.readTexts(['/etc/resolv.conf', path])
  const ours = texts.get('/etc/resolv.conf')
  return ours !== undefined && texts.get(path) === ours ? ours : undefined
}

/** The link is left as the new system finds links that nobody has used. */
async function giveBack(
  sys: Sys,
  config: DhcpConfig,
  lease: Lease,
  report: Pick<Report, 'notice'>,
): Promise<void> {
  await releaseLease(sys, config, lease, { onNotice: report.notice })
  await sys.network.flush(config.link)
  await sys.network.setLink(config.link, { up: false })
  report.notice(`${config.link}: gave ${lease.address} back to ${lease.serverId}`)
}
