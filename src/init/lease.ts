/** What becomes of the leases while the boot goes on, and when the new system takes over: diskless.lease=. */
import type { IpConfiguration, LinkConfiguration } from '../boot/ip-parameter.ts'
import type { BootPlan, NetworkPlan } from '../boot/plan.ts'
import { staysOnNetwork } from '../boot/root-plan.ts'
import { releaseLease } from '../network/dhcp-client.ts'
import type { DhcpConfig } from '../network/dhcp-config.ts'
import { releaseLease6 } from '../network/dhcp6-client.ts'
import type { Lease6 } from '../network/dhcp6-lease.ts'
import { type KeeperPlan, type KeptResolver, keep4, keep6, keeperPath, newRoot } from '../network/keeper.ts'
import type { Lease } from '../network/lease.ts'
import type { NetworkUp } from '../network/network-up.ts'
import { renewLease, renewLease6 } from '../network/renewal.ts'
import { sysroot } from '../root/mounted.ts'
import type { IpAddress, Sys } from '../sys/index.ts'
import type { Report } from './story.ts'

type JoinPlan = Extract<NetworkPlan, { kind: 'join' }>

/** A link with a lease, of either protocol. */
type Leased = {
  readonly up: NetworkUp
  readonly config: DhcpConfig
} & ({ readonly kind: 4; readonly lease: Lease } | { readonly kind: 6; readonly lease: Lease6 })

/** The leases as they were renewed while the boot went on, by their links. */
export interface Renewals {
  readonly four: ReadonlyMap<string, Lease>
  readonly six: ReadonlyMap<string, Lease6>
  /** Before they are given back. */
  readonly stop: () => void
}

/** Renews every lease that the boot has, beside its phases: a world may take longer to come than a lease lasts. */
export function renewLeases(
  sys: Sys,
  plan: BootPlan,
  online: NetworkUp,
  report: Pick<Report, 'notice' | 'meanwhile'>,
): Renewals {
  const { network } = plan
  const [four, six] = [new Map<string, Lease>(), new Map<string, Lease6>()]
  const enough = new AbortController()
  const events = { onNotice: report.notice }
  for (const leased of network.kind === 'none' ? [] : leasedOf(plan, network, online)) {
    const { config } = leased
    report.meanwhile(`renewing the lease of ${config.link}`, (signal) => {
      const stop = () => enough.abort()
      signal.addEventListener('abort', stop, { once: true })
      const renewing =
        leased.kind === 4
          ? renewLease(sys, config, leased.lease, (it) => four.set(it.link, it), events, enough.signal)
          : renewLease6(sys, config, leased.lease, (it) => six.set(config.link, it), events, enough.signal)
      return renewing.catch((error: unknown) => {
        if (!enough.signal.aborted) throw error
      })
    })
  }
  return { four, six, stop: () => enough.abort() }
}

/** The network as it is now: with the leases that were renewed. */
export function renewedUp(online: NetworkUp, renewals: Renewals | undefined): NetworkUp {
  const { source } = online
  const others = online.others.map((other) => renewedUp(other, renewals))
  if (source.kind === 'lease') {
    const lease = renewals?.four.get(online.link) ?? source.lease
    return { ...online, source: { kind: 'lease', lease }, others }
  }
  const lease = source.kind === 'ipv6' ? renewals?.six.get(online.link) : undefined
  if (source.kind !== 'ipv6' || lease === undefined) return { ...online, others }
  return { ...online, source: { kind: 'ipv6', configuration: { ...source.configuration, lease } }, others }
}

/** Resolves with the keeper's plan as JSON, or with undefined where nobody is to keep a lease. */
export async function settleLeases(
  sys: Sys,
  plan: BootPlan,
  online: NetworkUp | undefined,
  renewals: Renewals | undefined,
  report: Pick<Report, 'notice' | 'warn'>,
): Promise<string | undefined> {
  const { network, root } = plan
  if (network.kind === 'none' || online === undefined) return undefined
  const applied = leasedOf(plan, network, online)
  const current = leasedOf(plan, network, renewedUp(online, renewals))
  if (network.lease === 'release') {
    renewals?.stop()
    for (const leased of current) await giveBack(sys, leased, report)
    return undefined
  }
  const stays = staysOnNetwork(root)
  for (const leased of current) {
    // What a root comes by does not end before the machine does.
    if (leased.kind === 6 && !(stays && leased.up.link === online.link))
      await setEnd(sys, leased.up.link, leased.lease)
  }
  if (network.lease === 'handoff') return undefined
  const resolver = await ownResolver(sys, network, online)
  const leases = current.flatMap((leased, at) => {
    const { link, mac } = leased.up
    const before = applied[at]
    const lease =
      leased.kind === 4
        ? keep4(before?.kind === 4 ? before.lease : leased.lease, leased.lease, leased.config)
        : keep6(before?.kind === 6 ? before.lease : leased.lease, leased.lease, leased.config.hostname)
    const isMain = link === online.link
    const whenLost = stays && isMain ? ('keep' as const) : ('remove' as const)
    return lease === undefined
      ? []
      : [{ link, mac, whenLost, resolver: isMain ? resolver : undefined, lease }]
  })
  if (leases.length === 0) return undefined
  const keeper: KeeperPlan = { newRoot, leases }
  if ((await sys.files.status(keeperPath)) !== undefined) return JSON.stringify(keeper)
  for (const { lease } of current) {
    const seconds =
      'leaseTime' in lease ? lease.leaseTime : 'validLifetime' in lease ? lease.validLifetime : undefined
    if (seconds === undefined) continue
    report.warn(
      `this initrd has no ${keeperPath}: nobody renews the lease of ${lease.address}, which ends in ${seconds} s`,
    )
  }
  return undefined
}

function leasedOf(plan: BootPlan, network: JoinPlan, online: NetworkUp): readonly Leased[] {
  return [online, ...online.others].flatMap((up): readonly Leased[] => {
    const own = up.link === online.link ? network.ip : network.others.find(({ device }) => device === up.link)
    const config = configOf(plan, own, up)
    if (up.source.kind === 'lease') return [{ up, config, kind: 4, lease: up.source.lease }]
    const lease = up.source.kind === 'ipv6' ? up.source.configuration.lease : undefined
    return lease === undefined ? [] : [{ up, config, kind: 6, lease }]
  })
}

/** As the lease was asked for: a server that hears something else may see another client. */
function configOf(
  { machine }: BootPlan,
  ip: IpConfiguration | LinkConfiguration | undefined,
  { link, mac }: NetworkUp,
): DhcpConfig {
  return {
    link,
    mac,
    userClass: 'diskless',
    ...(machine.uuid === undefined ? {} : { uuid: machine.uuid }),
    ...(ip !== undefined && 'hostname' in ip && ip.hostname !== undefined ? { hostname: ip.hostname } : {}),
  }
}

/** Nothing set it before: while the boot goes on, an address is not to go away. */
async function setEnd(sys: Sys, link: string, lease: Lease6): Promise<void> {
  const { address, obtainedAt, preferredLifetime, validLifetime } = lease
  if (validLifetime === undefined) return
  const left = (seconds: number) => Math.max(0, Math.ceil((obtainedAt - sys.clock.now()) / 1000 + seconds))
  const lifetimes = {
    // Zero is no time to hand over in.
    valid: Math.max(1, left(validLifetime)),
    ...(preferredLifetime === undefined ? {} : { preferred: left(preferredLifetime) }),
  }
  await sys.network.addAddress(link, { address, prefixLength: 128, lifetimes })
}

/** The resolvers that ip= names. */
function namesOf(ip: IpConfiguration): readonly IpAddress[] {
  return 'dns' in ip ? ip.dns : []
}

/** The new system's resolv.conf, if it is what this boot wrote. */
async function ownResolver(
  sys: Sys,
  network: JoinPlan,
  { dns, search, source }: NetworkUp,
): Promise<KeptResolver | undefined> {
  const path = await sys.files.resolveIn(sysroot, '/etc/resolv.conf')
  if (path === undefined) return undefined
  const texts = await sys.files.readTexts(['/etc/resolv.conf', path])
  const text = texts.get('/etc/resolv.conf')
  if (text === undefined || texts.get(path) !== text) return undefined
  const own = new Set([...namesOf(network.ip), ...network.nameservers]).size
  const before = dns.slice(0, own)
  if (source.kind !== 'ipv6') return { text, before, after: [], search: [] }
  const { lease } = source.configuration
  const after = dns.slice(own).filter((each) => !lease?.dns.includes(each))
  return { text, before, after, search: search.filter((each) => !lease?.search.includes(each)) }
}

/** The link is left as the new system finds links that nobody has used. */
async function giveBack(sys: Sys, leased: Leased, report: Pick<Report, 'notice'>): Promise<void> {
  const { config, lease } = leased
  const { link } = config
  if (leased.kind === 4) await releaseLease(sys, config, leased.lease, { onNotice: report.notice })
  else await releaseLease6(sys, link, leased.lease, { onNotice: report.notice })
  await sys.network.flush(link)
  await sys.network.setLink(link, { up: false })
  report.notice(
    `${link}: gave ${lease.address} back${leased.kind === 4 ? ` to ${leased.lease.serverId}` : ''}`,
  )
}
