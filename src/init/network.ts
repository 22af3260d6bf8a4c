/** The network phase: the right card of however many, with an address; asked for while drivers are still loading. */
import type { BootPlan } from '../boot/plan.ts'
import { formatLease } from '../network/files.ts'
import { joinNetwork, type NetworkUp } from '../network/join.ts'
import { driverlessCards } from '../network/join-errors.ts'
import type { Sys } from '../sys/index.ts'
import type { Report } from './story.ts'

export const leasePath = '/run/diskless/lease.json'

/** Undefined where the plan needs no network. */
export async function comeOnline(
  sys: Sys,
  plan: BootPlan,
  drivers: Promise<void>,
  report: Report,
): Promise<NetworkUp | undefined> {
  const { network, machine } = plan
  if (network.kind === 'none') return undefined
  const up = await joinNetwork(
    sys,
    {
      ip: network.ip,
      bootInterface: network.bootInterface,
      uuid: machine.uuid,
      nameservers: network.nameservers,
      deadlines: { carrierMs: network.carrierTimeoutMs, dhcpMs: network.dhcpTimeoutMs },
      coldplug: drivers,
      describeCards: async () => {
        await drivers
        return driverlessCards(await sys.devices.list())
      },
    },
    { onNotice: report.notice },
    report.signal,
  )
  await sys.files.writeText(leasePath, formatLease(up))
  report.detail(describe(up))
  return up
}

function describe({ link, mac, address, prefixLength, source, dns }: NetworkUp): string {
  const from = source.kind === 'lease' ? `leased by ${source.lease.serverId}` : 'as ip= says'
  return `${link} (${mac}) ${address}/${prefixLength} ${from}${dns.length > 0 ? `, DNS ${dns.join(' ')}` : ''}`
}
