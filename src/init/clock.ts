/** The clock phase: right before a certificate is looked at, and in any case before the new system has it. */
import { dayOf } from '../boot/date.ts'
import { showDuration } from '../boot/format.ts'
import type { BootPlan } from '../boot/plan.ts'
import { urlsOf } from '../boot/root-plan.ts'
import type { NetworkUp } from '../network/network-up.ts'
import { setClock } from '../network/time.ts'
import { hostOf, schemeOf } from '../network/url.ts'
import type { Sys } from '../sys/index.ts'
import type { Report } from './story.ts'

/** Whether nothing may be fetched before the clock is right. An overlay may bring repositories of any kind. */
export function waitsForClock({ machine, root }: BootPlan): boolean {
  return machine.clock?.stopped === true || urlsOf(root).some((url) => schemeOf(url) === 'https')
}

/** Whether there is anything to be asked, and anybody to ask. */
export function asksForTime({ machine }: BootPlan, network: NetworkUp | undefined): boolean {
  return machine.clock !== undefined && (machine.clock.stopped || (network?.ntp.length ?? 0) > 0)
}

/** Nobody but the time servers of the lease is asked where the clock runs. */
export async function correctClock(
  sys: Sys,
  { machine, root }: BootPlan,
  network: NetworkUp | undefined,
  report: Report,
): Promise<void> {
  const { builtAt, stopped } = machine.clock ?? { builtAt: 0, stopped: false }
  const hosts = stopped ? urlsOf(root).flatMap((url) => hostOf(url) ?? []) : []
  const request = { ntp: network?.ntp.slice(0, 3) ?? [], hosts: [...new Set(hosts)].slice(0, 3), builtAt }
  const { notice: onNotice, signal } = report
  const known = network === undefined ? undefined : await setClock(sys, request, { onNotice, signal })
  if (known !== undefined) {
    const { from, behindMs } = known
    const off = showDuration(Math.abs(behindMs))
    const was = Math.abs(behindMs) < 500 ? 'right' : `${off} ${behindMs > 0 ? 'behind' : 'ahead'}`
    return report.detail(`was ${was}, says ${from}`)
  }
  report.detail(stopped ? `${dayOf(builtAt)}, the day of this initrd` : 'left as it runs')
  if (stopped) {
    report.warn(
      `the clock of this machine stands (an empty battery?), and nobody told the time: it is ${dayOf(builtAt)} here, the day of this initrd`,
    )
  }
}
