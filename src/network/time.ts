/**
 * The time from the network, for a machine whose clock cannot be right: without it every certificate is "not yet valid".
 * NTP servers of the lease first; else the date that the very servers of the boot tell in the clear. Neither is a proof: a
 * liar on the wire can choose a time, within the bounds that are believed, and so which expired certificate counts.
 */
import { dayOf } from '../boot/date.ts'
import { BootError, chainOf, type IpAddress, type Sys, SysError } from '../sys/index.ts'

export interface TimeRequest {
  /** Of the lease or of ip=. */
  readonly ntp: readonly IpAddress[]
  /** Web servers that may be asked for their date. */
  readonly hosts: readonly string[]
  /** No time before is believed: this program is not older. Milliseconds since 1970. */
  readonly builtAt: number
}

export interface TimeEvents {
  readonly onNotice: (text: string) => void
  readonly signal: AbortSignal
}

export interface KnownTime {
  /** Who told it. */
  readonly from: string
  /** Milliseconds by which the clock was behind it; negative: ahead. */
  readonly behindMs: number
}

const askMs = 1_000
/** One lost packet is no reason. */
const rounds = 2
/** As long as anything built today may run; more is nonsense. */
const longestLifeMs = 30 * 365.25 * 86_400_000
/** Below this the clock is as right as a boot needs it, and is left alone. */
const closeMs = 500

/** Sets the clock. Undefined: nobody told a time that can be believed, which is noticed. */
export async function setClock(
  sys: Pick<Sys, 'clock' | 'network'>,
  request: TimeRequest,
  events: TimeEvents,
): Promise<KnownTime | undefined> {
  const asked = [
    ...Array.from({ length: rounds }, () => request.ntp.map((server) => byNtp(sys, server))).flat(),
    ...request.hosts.map((host) => byDate(sys, host)),
  ]
  for (const { from, ask } of asked) {
    events.signal.throwIfAborted()
    try {
      const time = await ask()
      if (time < request.builtAt || time > request.builtAt + longestLifeMs) {
        throw new BootError(`it says ${dayOf(time)}, and this initrd is of ${dayOf(request.builtAt)}`)
      }
      const behindMs = time - sys.clock.wall()
      if (Math.abs(behindMs) > closeMs) await sys.clock.setWall(time)
      return { from, behindMs }
    } catch (error) {
      if (!(error instanceof SysError || error instanceof BootError)) throw error
      events.onNotice(`no time from ${from}: ${chainOf(error).join(': ')}`)
    }
  }
  return undefined
}

interface Question {
  readonly from: string
  readonly ask: () => Promise<number>
}

function byNtp(sys: Pick<Sys, 'network'>, server: IpAddress): Question {
  return { from: `NTP server ${server}`, ask: () => sys.network.askTime(server, askMs) }
}

function byDate(sys: Pick<Sys, 'network'>, host: string): Question {
  const ask = async () => {
    const [server] = await sys.network.resolve(host, 5 * askMs)
    if (server === undefined) throw new BootError(`${host} has no address`)
    return parseHttpDate(await sys.network.askDate({ server, port: 80, host, timeoutMs: 2 * askMs }))
  }
  return { from: `web server ${host}`, ask }
}

const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']

/** RFC 9110, 5.6.7: `Sun, 06 Nov 1994 08:49:37 GMT`, the one form that a server may send. */
export function parseHttpDate(text: string): number {
  const [, day, name = '', year, hour, minute, second] =
    /^[A-Z][a-z]{2}, (\d\d) ([A-Z][a-z]{2}) (\d{4}) (\d\d):(\d\d):(\d\d) GMT$/.exec(text) ?? []
  const month = months.indexOf(name)
  if (month < 0) throw new BootError(`${JSON.stringify(text)} is no date`)
  return Date.UTC(Number(year), month, Number(day), Number(hour), Number(minute), Number(second))
}
