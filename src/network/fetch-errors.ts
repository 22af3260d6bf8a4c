/** What a failed try of a download means: whether to ask again, to ask another mirror or to stop, and what to advise. */

import { minuteOf } from '../boot/date.ts'
import { type ErrorCode, hasCode, type SysError } from '../sys/index.ts'
import { hostOf, redactUrl } from './url.ts'

/**
 * - `again`: the same URL may well answer in a while.
 * - `elsewhere`: this URL will go on saying so; another mirror may differ.
 * - `stop`: no mirror can help (this machine is the reason), none should be trusted with another try, or none is
 *   needed: what is known is still so.
 */
export type Verdict = 'again' | 'elsewhere' | 'stop'

/** The network, or a server that is not up yet. */
export const PASSING: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'DNS',
  'TIMEOUT',
  'TRUNCATED',
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'ENETUNREACH',
  'ENETDOWN',
  'ENETRESET',
  'EHOSTUNREACH',
  'EHOSTDOWN',
  'EADDRNOTAVAIL',
  'EAGAIN',
  'EINTR',
])

/** This machine has no room or no right, or the archive attacks it. */
const FINAL: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'ABORTED',
  'ESCAPE',
  'ENOSPC',
  'EDQUOT',
  'ENOMEM',
  'EROFS',
  'EMFILE',
  'ENFILE',
])

export function verdictOn(error: SysError): Verdict {
  // The whole of it came, and it ends too early all the same: it is so on the server.
  if (error.code === 'TRUNCATED' && !isTransfer(error.operation)) return 'elsewhere'
  if (PASSING.has(error.code)) return 'again'
  if (FINAL.has(error.code)) return 'stop'
  if (error.code === 'HTTP' && error.status === 304) return 'stop'
  if (error.code === 'HTTP') return isPassingStatus(error.status) ? 'again' : 'elsewhere'
  return 'elsewhere'
}

/** Whether something came, and is not what was wanted. */
export function cameWrong(error: SysError): boolean {
  return hasCode(error, 'DIGEST', 'SIGNATURE', 'FORMAT', 'ESCAPE', 'TOO_BIG')
}

function isTransfer(operation: string): boolean {
  return operation === 'pipeline.http' || operation === 'pipeline.tftp'
}

/** 408 Request Timeout, 425 Too Early, 429 Too Many Requests, and the server's own faults. */
function isPassingStatus(status: number | undefined): boolean {
  return status !== undefined && (status === 408 || status === 425 || status === 429 || status >= 500)
}

/** What to do about a URL's last failure. `wall`: milliseconds since 1970, to tell when the clock is the reason. */
export function adviceFor(url: string, error: SysError | undefined, wall: number): readonly string[] {
  if (error === undefined) return []
  const host = hostOf(url) ?? 'the server'
  const shown = redactUrl(url)
  if (url.startsWith('/') && (error.code === 'ETIMEDOUT' || error.code === 'EIO')) {
    return [
      `${url} is on a medium that does not answer: look at the server of the share, or at the disk. The boot's line "media" names it.`,
    ]
  }
  const [, proxy] = /^by the proxy (\S+): /.exec(error.message.replace(`${error.subject}: `, '')) ?? []
  if (proxy !== undefined && isOfTheProxy(error)) {
    return [`Check the proxy ${proxy} (http_proxy=, https_proxy=), or ask without it: no_proxy=${host}.`]
  }
  switch (error.code) {
    case 'DNS':
      return [
        `Check that the DNS servers in the DHCP lease or in ip= know ${host}, or write its address into the URL.`,
      ]
    case 'ECONNREFUSED':
      return [`Check that the server is running on ${host} and listens on that port.`]
    case 'ENETUNREACH':
    case 'EHOSTUNREACH':
    case 'EHOSTDOWN':
      return [`Check the gateway in the DHCP lease or in ip=, and that ${host} is switched on.`]
    case 'TIMEOUT':
    case 'ETIMEDOUT':
    case 'TRUNCATED':
    case 'ECONNRESET':
      return [`Check ${host}, its firewall, and the network between: the connection stands still or breaks.`]
    case 'HTTP':
      return adviceForStatus(shown, host, error.status)
    case 'TLS':
      // rustls: "certificate not valid yet: …", "certificate expired: …", "UnknownIssuer".
      return /not valid yet|expired/i.test(error.message)
        ? [
            `This machine's clock says ${minuteOf(wall)}. If that is wrong, the clock is the reason: set it (battery, firmware), have the lease name a time server (DHCP option 42), or use http.`,
            `If it is right, the certificate of ${host} is out of date: renew it.`,
          ]
        : [
            `Check the certificate of ${host}, and that the initrd was built with the authority that signed it.`,
          ]
    case 'DIGEST':
    case 'SIGNATURE':
      return [`${shown} is not what was expected: an old copy, a broken mirror, or somebody changed it.`]
    case 'FORMAT':
      return [`Look at what ${host} really sends for this URL (a web page instead of the file?).`]
    case 'ESCAPE':
      return [`Do not use this archive: a name in it leads out of its directory. Find out who made it.`]
    case 'TOO_BIG':
    case 'ENOSPC':
    case 'ENOMEM':
      return ['Give the machine more memory, or the system less to hold.']
    case 'ENOENT':
      return [`Check the path: ${shown} is not there.`]
    default:
      return []
  }
}

/** What a proxy says of itself, and what happens on the way to it: not what the server behind it answered. */
function isOfTheProxy({ code, status }: SysError): boolean {
  if (code === 'HTTP') return status === 407 || (status !== undefined && status >= 502 && status <= 504)
  return PASSING.has(code) || code === 'EPROTO'
}

function adviceForStatus(shown: string, host: string, status: number | undefined): readonly string[] {
  if (status === 401 || status === 403 || status === 407) {
    return [`Check the permissions of the file on ${host}, or put user and password into the URL.`]
  }
  if (status === 404 || status === 410) return [`Check the URL, and that the file is on ${host}: ${shown}`]
  if (status !== undefined && status >= 500) return [`Look at the log of the web server on ${host}.`]
  if (status === 429) return [`${host} refuses so many requests: raise its limit or add a mirror.`]
  return [`Ask for the URL with another client: ${shown}`]
}
