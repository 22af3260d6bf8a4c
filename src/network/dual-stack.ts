/**
 * `ip=dhcp` on a network that may have no IPv4: DHCP goes first, and IPv6 is used where it stays silent.
 *
 * Both by decision: with a lease, the kernel makes itself IPv6 addresses all the same where a router advertises, so that
 * names with AAAA records can be reached, and nothing waits for that. Without a lease for forty seconds, routers are
 * asked, and whichever is there first is taken. Not sooner: after a power cut a router is often up before the DHCP server, and
 * a machine with IPv6 alone reaches no server of 10.0.0.0/8. Who has no IPv4 says `ip=auto6`, and waits for nothing.
 */

import type { Sys } from '../sys/index.ts'
import { hasCode, SysError } from '../sys/index.ts'
import { acquireLease, type DhcpOutcome } from './dhcp-client.ts'
import type { DhcpConfig } from './dhcp-config.ts'
import type { DhcpEvents } from './dhcp-exchange.ts'
import { releaseLease6 } from './dhcp6-client.ts'
import { configureIpv6, type Ipv6Config, type Ipv6Outcome } from './ipv6.ts'

/** The eighth discover, after 31 s, has been answered by then. Or half the time that DHCP has, if that is less. */
const ALONE_MS = 40_000

type Either = DhcpOutcome | Extract<Ipv6Outcome, { kind: 'configured' }>

/** Fails as DHCP does. Rejects with ABORTED when the signal fires, and gives back what was granted. */
export async function acquireOrIpv6(
  sys: Pick<Sys, 'network' | 'clock'>,
  config: {
    readonly four: DhcpConfig
    readonly six: Ipv6Config
    readonly loadIpv6?: (() => Promise<void>) | undefined
  },
  events: DhcpEvents,
  signal: AbortSignal,
): Promise<Either> {
  const over = new AbortController()
  const stop = () => over.abort()
  signal.addEventListener('abort', stop, { once: true })
  if (signal.aborted) stop()
  const leased = acquireLease(sys, config.four, events, over.signal)
  const instead = ipv6Instead(sys, config, events, over.signal)
  // Whichever loses is stopped, and its word not asked for.
  instead.catch(() => {})
  leased.catch(() => {})
  try {
    const first = await Promise.race<Either>([
      leased.then(async (outcome) => (outcome.kind === 'bound' ? outcome : ((await instead) ?? outcome))),
      instead.then((outcome): Either | Promise<Either> => outcome ?? leased),
    ])
    stop()
    const [four, six] = [await leased.catch(nothing), await instead.catch(nothing)]
    if (four?.kind !== 'bound') return first
    // Both at once: a network that has IPv4 is used as such.
    const lease = six?.configuration.lease
    if (lease !== undefined) await releaseLease6(sys, config.four.link, lease, events)
    return four
  } finally {
    stop()
    await Promise.allSettled([leased, instead])
    signal.removeEventListener('abort', stop)
  }
}

const nothing = () => undefined

/** Undefined where IPv6 does not come up either: what is told then is how DHCP failed. */
async function ipv6Instead(
  sys: Pick<Sys, 'network' | 'clock'>,
  { six, loadIpv6 }: { readonly six: Ipv6Config; readonly loadIpv6?: (() => Promise<void>) | undefined },
  events: DhcpEvents,
  signal: AbortSignal,
): Promise<Extract<Ipv6Outcome, { kind: 'configured' }> | undefined> {
  const { name } = six.link
  const alone = Math.min(ALONE_MS, six.totalMs / 2)
  await sys.clock.sleep(alone, signal)
  try {
    await loadIpv6?.()
    const outcome = await configureIpv6(sys, { ...six, totalMs: six.totalMs - alone }, events, signal)
    if (outcome.kind !== 'configured') return undefined
    const { address } = outcome.configuration
    events.onNotice(`${name}: no DHCP server gave an address, but there is IPv6: ${address} is used alone`)
    return outcome
  } catch (error) {
    if (hasCode(error, 'ABORTED') || !(error instanceof SysError)) throw error
    events.onNotice(`${name}: no IPv6 in place of DHCP: ${error.message}`)
    return undefined
  }
}
