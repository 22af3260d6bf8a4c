/** The network comes up: the right card of however many, with a lease or the address of the command line. */

import type { LinkConfiguration } from '../boot/ip-parameter.ts'
import { isHostAddress } from '../boot/ipv4.ts'
import { isHostAddress6, normalizeIpv6 } from '../boot/ipv6.ts'
import type { StaticRoute } from '../boot/route-parameter.ts'
import { topmost } from '../boot/stacked-links.ts'
import type { Link, Sys } from '../sys/index.ts'
import { BootError, chainOf, hasCode, SysError } from '../sys/index.ts'
import { applySettings, type LinkSettings, settingsOfSource, writeResolvConf } from './apply.ts'
import type { Contestant, Proof, Winner } from './contest.ts'
import { contestantFor } from './contestants.ts'
import { DEFAULT_JOIN_DEADLINES, deadlinesOf, type JoinRequest, type NetworkEvents } from './join-request.ts'
import { defaultRoute } from './lease.ts'
import type { AddressSource, NetworkUp } from './network-up.ts'
import { raceCards } from './race.ts'
import { whyUnreachable } from './source-hosts.ts'
import { stackLinks } from './stack.ts'
import { networkUp } from './up.ts'

/** What several ip= wait for when the link that is booted from is up, milliseconds: a port in spanning tree takes 30 s. */
const OTHERS_MS = 40_000
/** Of the first other link's default route; the next has one more. */
const OTHERS_METRIC = 1000

/**
 * Brings the network up and writes /etc/resolv.conf of the initramfs. Can be run again: what is configured on
 * the chosen link is replaced.
 *
 * Rejects with a `BootError`: no card, no carrier, no lease, on which cards and after how long; or with ABORTED.
 */
export async function joinNetwork(
  sys: JoinSys,
  request: JoinRequest,
  events: NetworkEvents,
  signal: AbortSignal,
): Promise<NetworkUp> {
  const { ip, others = [] } = request
  if (ip.kind === 'refused') throw new BootError(`ip= cannot be done: ${ip.reason}`)
  if (ip.kind === 'off') throw new BootError('the network was asked for, but ip= says off')
  const nameservers = (request.nameservers ?? []).map((address) => normalizeIpv6(address) ?? address)
  const badName = nameservers.find((address) => !isHostAddress(address) && !isHostAddress6(address))
  if (badName !== undefined) throw new BootError(`nameserver=${badName} is no host's address`)

  await bringLoopbackUp(sys, events)
  if ([ip, ...others].some(needsIpv6)) await request.loadIpv6?.()
  const over = new AbortController()
  const stop = () => over.abort()
  signal.addEventListener('abort', stop, { once: true })
  if (signal.aborted) stop()
  const stacked = stackLinks(
    sys,
    {
      links: request.stacked ?? [],
      coldplug: request.coldplug ?? Promise.resolve(),
      cardMs: request.deadlines?.cardMs ?? DEFAULT_JOIN_DEADLINES.cardMs,
      onNotice: events.onNotice,
    },
    over.signal,
  )
  // Without its links there is nothing to race for.
  stacked.catch(stop)
  const beside = others.map((other, at) => joinOther(sys, other, at, request, stacked, events, over.signal))
  try {
    const up = await joinLink(sys, ip, { ...request, nameservers }, stacked, events, over.signal).catch(
      async (error: unknown) => {
        await stacked
        throw error
      },
    )
    return { ...up, others: await inTime(sys, beside, over, events) }
  } finally {
    stop()
    signal.removeEventListener('abort', stop)
    await Promise.allSettled([stacked, ...beside])
  }
}

function needsIpv6(ip: LinkConfiguration): boolean {
  return ip.kind === 'dynamic6' || (ip.kind === 'static' && ip.address.includes(':'))
}

type JoinSys = Pick<Sys, 'network' | 'clock' | 'files' | 'modules'>

/** The link that is booted from. */
async function joinLink(
  sys: JoinSys,
  ip: LinkConfiguration,
  request: JoinRequest,
  stacked: Promise<void>,
  events: NetworkEvents,
  signal: AbortSignal,
): Promise<NetworkUp> {
  const tops = topmost(request.stacked ?? []).map(({ name }) => name)
  const devices = ip.device !== undefined ? [ip.device] : tops.length > 0 ? tops : undefined
  const upAs = (link: Link, source: AddressSource) => networkUp(link, source, ip, request)
  const configure = async (link: Link, source: AddressSource) => {
    const up = upAs(link, source)
    const settings = withRoutes(settingsOf(source, ip), request.routes, [link.name, undefined])
    await applySettings(sys, link, settings, events.onNotice)
    await writeResolvConf(sys, up)
    return up
  }
  const { sources = [] } = request
  const proof: Proof<AddressSource> = {
    look: async (link, source, signal) => whyUnreachable(sys, await configure(link, source), sources, signal),
    undo: async (link) => {
      await sys.network.flush(link.name)
      await sys.files.remove('/etc/resolv.conf')
    },
  }
  const contestant = {
    ...contestantFor(sys, ip, request, events),
    proof: sources.length > 0 ? proof : undefined,
  }
  const winner = await race(sys, ip, { ...request, devices }, stacked, contestant, events, signal)
  const { link, value, proved } = winner
  return proved ? upAs(link, value) : configure(link, value)
}

/** Undefined, with a word, when it did not come up. */
async function joinOther(
  sys: JoinSys,
  ip: LinkConfiguration,
  at: number,
  request: JoinRequest,
  stacked: Promise<void>,
  events: NetworkEvents,
  signal: AbortSignal,
): Promise<NetworkUp | undefined> {
  const { device = '' } = ip
  try {
    const asked = { ...request, bootInterface: undefined, devices: [device] }
    const contestant = contestantFor(sys, ip, request, events)
    const { link, value } = await race(sys, ip, asked, stacked, contestant, events, signal)
    const settings = withRoutes(settingsOf(value, ip), request.routes, [device])
    const routes = settings.routes.map((route) =>
      route.destination.endsWith('/0') ? { ...route, metric: OTHERS_METRIC + at } : route,
    )
    await applySettings(sys, link, { ...settings, routes }, events.onNotice)
    return { ...networkUp(link, value, ip, request), routes }
  } catch (error) {
    if (hasCode(error, 'ABORTED')) return undefined
    if (!(error instanceof BootError)) throw error
    events.onNotice(`${device} is not up, which the boot does not need: ${chainOf(error).join(': ')}`)
    return undefined
  }
}

/** The others that came up; what is not there when the time is over is given up. */
async function inTime(
  sys: JoinSys,
  others: readonly Promise<NetworkUp | undefined>[],
  over: AbortController,
  { onNotice }: NetworkEvents,
): Promise<readonly NetworkUp[]> {
  if (others.length === 0) return []
  const all = Promise.all(others)
  const enough = new AbortController()
  const late = sys.clock.sleep(OTHERS_MS, enough.signal).then(
    () => onNotice(`the other links of ip= are not waited for any longer`),
    // ABORTED: all are there.
    () => {},
  )
  await Promise.race([all, late])
  over.abort()
  enough.abort()
  return (await all).filter((up) => up !== undefined)
}

function race(
  sys: JoinSys,
  ip: LinkConfiguration,
  request: JoinRequest & { readonly devices: readonly string[] | undefined },
  stacked: Promise<void>,
  contestant: Contestant<AddressSource>,
  { onNotice }: NetworkEvents,
  signal: AbortSignal,
): Promise<Winner<AddressSource>> {
  const { cardMs, carrierMs, dhcpMs } = deadlinesOf(request)
  return raceCards(
    sys,
    {
      devices: request.devices,
      bootInterface: request.bootInterface,
      mac: ip.mac,
      coldplug: Promise.allSettled([request.coldplug, stacked]),
      cardMs,
      carrierMs,
      totalMs: cardMs + carrierMs + 2 * dhcpMs,
      describeCards: request.describeCards ?? (async () => []),
      missingFirmware: request.missingFirmware,
      onNotice,
    },
    contestant,
    signal,
  )
}

/** Nothing in a boot needs it, but the new system's programs expect it. */
async function bringLoopbackUp(sys: Pick<Sys, 'network'>, events: NetworkEvents): Promise<void> {
  try {
    await sys.network.setLink('lo', { up: true })
  } catch (error) {
    if (!(error instanceof SysError)) throw error
    events.onNotice(`lo: could not be set up: ${error.message}`)
  }
}

/** The MTU of ip= wins: somebody wrote it for this machine. */
function settingsOf(source: AddressSource, { mtu }: LinkConfiguration): LinkSettings {
  const settings = settingsOfSource(source)
  return mtu === undefined ? settings : { ...settings, mtu }
}

/** With those of `rd.route=` that are for one of these devices. */
function withRoutes(
  settings: LinkSettings,
  routes: readonly StaticRoute[] = [],
  devices: readonly (string | undefined)[],
): LinkSettings {
  const more = routes
    .filter(({ device }) => devices.includes(device))
    .map(({ destination, gateway }) => ({ ...defaultRoute(settings, gateway), destination }))
  return { ...settings, routes: [...settings.routes, ...more] }
}
