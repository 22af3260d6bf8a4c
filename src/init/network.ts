/** The network phase: the right card of however many, with an address; asked for while drivers are still loading. */
import type { BootPlan, NetworkPlan } from '../boot/plan.ts'
import type { Cache } from '../cache/fetch.ts'
import { dateOf } from '../cache/state.ts'
import { driverlessCards, type MissingFirmware, parseMissingFirmware } from '../network/cards.ts'
import { describeDuid } from '../network/dhcp6-lease.ts'
import { formatLease } from '../network/files.ts'
import { joinNetwork } from '../network/join.ts'
import type { NetworkUp } from '../network/network-up.ts'
import { sourceHosts } from '../network/source-hosts.ts'
import { BootError, chainOf, type Sys, SysError } from '../sys/index.ts'
import type { Report } from './story.ts'

export const leasePath = '/run/diskless/lease.json'

/** Undefined where the plan needs no network, or where the cache’s last good state has to do without one. */
export async function comeOnline(
  sys: Sys,
  plan: BootPlan,
  drivers: Promise<void>,
  cache: Cache | undefined,
  report: Report,
): Promise<NetworkUp | undefined> {
  const { network } = plan
  if (network.kind === 'none') return undefined
  if (cache?.state === undefined) return join(sys, plan, network, drivers, report)
  try {
    const dhcpTimeoutMs = Math.min(network.dhcpTimeoutMs, withCacheMs)
    return await join(sys, plan, { ...network, dhcpTimeoutMs }, drivers, report)
  } catch (error) {
    if (!(error instanceof BootError)) throw error
    report.warn(
      `there is no network (${chainOf(error).join(': ')}): the last good state${dateOf(cache.state)} is booted from the cache`,
    )
    report.detail('none: the cache has to do')
    cache.goOffline()
    return undefined
  }
}

/** Milliseconds of DHCP where there is something to boot without it: longer than a spanning tree takes. */
const withCacheMs = 60_000

async function join(
  sys: Sys,
  { machine, proxies, root }: BootPlan,
  network: Extract<NetworkPlan, { kind: 'join' }>,
  drivers: Promise<void>,
  report: Report,
): Promise<NetworkUp> {
  const missingFirmware = await readMissingFirmware(sys)
  const up = await joinNetwork(
    sys,
    {
      ip: network.ip,
      others: network.others,
      stacked: network.stacked,
      routes: network.routes,
      sources: sourceHosts(root, proxies),
      bootInterface: network.bootInterface,
      uuid: machine.uuid,
      // A server may tell init from the firmware and from iPXE, which ask before it.
      userClass: 'diskless',
      nameservers: network.nameservers,
      deadlines: { carrierMs: network.carrierTimeoutMs, dhcpMs: network.dhcpTimeoutMs },
      coldplug: drivers,
      // Built in, or a module of the initrd, or neither: then whoever needs it says so.
      loadIpv6: async () => {
        await sys.modules.load('ipv6').catch((error: unknown) => {
          if (!(error instanceof SysError)) throw error
          report.notice(`the kernel’s IPv6 could not be loaded: ${error.message}`)
        })
      },
      missingFirmware,
      describeCards: async () => {
        await drivers
        const modulesFor = (modalias: string) => sys.modules.match([modalias])
        return driverlessCards(await sys.devices.list(), modulesFor, missingFirmware)
      },
    },
    { onNotice: report.notice },
    report.signal,
  )
  await tellLease(sys, up)
  report.detail(describe(up))
  return up
}

export async function tellLease(sys: Pick<Sys, 'files'>, up: NetworkUp): Promise<void> {
  await sys.files.writeText(leasePath, formatLease(up))
}

function describe({ link, mac, address, prefixLength, source, dns }: NetworkUp): string {
  const from = originOf(source)
  return `${link} (${mac}) ${address}/${prefixLength} ${from}${dns.length > 0 ? `, DNS ${dns.join(' ')}` : ''}`
}

function originOf(source: NetworkUp['source']): string {
  switch (source.kind) {
    case 'lease':
      return `leased by ${source.lease.serverId}`
    case 'static':
      return 'as ip= says'
    case 'ipv6': {
      const { lease, routers } = source.configuration
      if (lease !== undefined) return `leased by ${describeDuid(lease.serverId)}`
      return `as ${routers.map(({ router }) => router).join(', ')} advertises`
    }
  }
}

/** What the builder looked for and did not find. */
async function readMissingFirmware(sys: Sys): Promise<MissingFirmware> {
  const path = '/etc/diskless/missing-firmware'
  return parseMissingFirmware((await sys.files.readTexts([path])).get(path) ?? '')
}
