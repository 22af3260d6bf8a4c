/** One question to a web server: what it answers, how large it is, whose certificate it shows. Followed to where it leads. */

import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import type { PeerCertificate } from 'node:tls'
import { TLSSocket } from 'node:tls'
import { redactUrl } from '../../network/url.ts'

export interface Wish {
  /** `start`: the first bytes, by which it is recognised, and its size. */
  readonly part: 'whole' | 'start'
  /** The most that is read. */
  readonly limit: number
  /** PEM; undefined: the authorities that this machine trusts. */
  readonly ca: Buffer | undefined
}

export interface Answer {
  readonly bytes: Buffer
  /** Of the whole; undefined: the server does not say. */
  readonly size: number | undefined
  /** In words: how it came. */
  readonly notes: readonly string[]
}

/** What came instead, for a person. */
export class NoAnswer extends Error {
  override readonly name = 'NoAnswer'
}

/** Of bytes that recognise a file. */
export const startLength = 64 * 1024
/** Milliseconds without a byte, and for all of it. */
const stallMs = 10_000
const totalMs = 120_000
const mostRedirects = 5

/** Rejects with a `NoAnswer`. */
export async function askHttp(url: string, wish: Wish): Promise<Answer> {
  const notes: string[] = []
  let at = new URL(url)
  const signal = AbortSignal.timeout(totalMs)
  for (let hop = 0; hop <= mostRedirects; hop++) {
    const { response, bytes, certificate } = await once(at, wish, signal)
    const status = response.statusCode ?? 0
    const { location } = response.headers
    if (status >= 300 && status < 400 && location !== undefined) {
      const next = new URL(location, at)
      if (at.protocol === 'https:' && next.protocol !== 'https:')
        throw new NoAnswer(`it leads from https to ${redactUrl(next.href)}, which init does not follow`)
      notes.push(`leads to ${redactUrl(next.href)}`)
      at = next
      continue
    }
    if (status !== 200 && status !== 206)
      throw new NoAnswer(
        `the server says ${status}${response.statusMessage ? ` ${response.statusMessage}` : ''}`,
      )
    const size = sizeOf(response)
    const whole = wish.part === 'whole' && size !== undefined
    if (whole && bytes.length < size)
      throw new NoAnswer(`it broke off: ${bytes.length} of ${size} bytes came`)
    const { 'last-modified': modified, 'accept-ranges': ranges } = response.headers
    return {
      bytes,
      size: size ?? (wish.part === 'whole' ? bytes.length : undefined),
      notes: [
        ...notes,
        ...(certificate === undefined ? [] : [certificate]),
        ...(modified === undefined ? [] : [`of ${modified}`]),
        ...(ranges === 'bytes' ? [] : ['without ranges: a download that breaks off begins anew']),
      ],
    }
  }
  throw new NoAnswer(`it leads on and on, ${mostRedirects} times`)
}

interface Once {
  readonly response: IncomingMessage
  readonly bytes: Buffer
  readonly certificate: string | undefined
}

function once(url: URL, { part, limit, ca }: Wish, signal: AbortSignal): Promise<Once> {
  return new Promise((resolve, reject) => {
    const secure = url.protocol === 'https:'
    const options = { signal, headers: { 'user-agent': 'diskless explain', 'accept-encoding': 'identity' } }
    const request = secure
      ? httpsRequest(url, { ...options, agent: new HttpsAgent(ca === undefined ? {} : { ca: [ca] }) })
      : httpRequest(url, { ...options, agent: new HttpAgent() })
    const fail = (error: Error) => {
      request.destroy()
      reject(error instanceof NoAnswer ? error : new NoAnswer(explain(error, url, ca), { cause: error }))
    }
    request.setTimeout(stallMs, () => fail(new NoAnswer(`nothing came for ${stallMs / 1000} s`)))
    request.on('error', fail)
    request.on('response', (response) => {
      const certificate =
        response.socket instanceof TLSSocket ? describe(response.socket.getPeerCertificate()) : undefined
      const chunks: Buffer[] = []
      let length = 0
      const most = part === 'start' ? startLength : limit
      const end = () => resolve({ response, bytes: Buffer.concat(chunks).subarray(0, most), certificate })
      response.on('data', (chunk: Buffer) => {
        chunks.push(chunk)
        length += chunk.length
        if (length < most) return
        if (part === 'whole')
          return fail(new NoAnswer(`it is larger than the ${limit} bytes that are read here`))
        end()
        response.destroy()
      })
      response.on('end', end)
      response.on('aborted', () => fail(new NoAnswer(`it broke off after ${length} bytes`)))
      response.on('error', (error) => fail(error))
    })
    request.end()
  })
}

function sizeOf({ headers, statusCode }: IncomingMessage): number | undefined {
  const range = /\/(\d+)$/.exec(headers['content-range'] ?? '')?.[1]
  const text = statusCode === 206 ? range : headers['content-length']
  return text === undefined ? undefined : Number(text)
}

function describe(certificate: PeerCertificate): string | undefined {
  if (certificate.subject === undefined) return undefined
  const name = (of: PeerCertificate['subject']) =>
    [of.CN, of.O].flat().find((text) => text !== undefined) ?? '?'
  return `certificate of ${name(certificate.subject)} by ${name(certificate.issuer)}, until ${new Date(certificate.valid_to).toISOString().slice(0, 10)}`
}

const reasons: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'it refuses the connection: is the server running, and on this port?',
  ENOTFOUND: 'nobody knows the name here; the machine asks the resolvers of its lease',
  EAI_AGAIN: 'no resolver answers here; the machine asks those of its lease',
  EHOSTUNREACH: 'no way leads there from here',
  ENETUNREACH: 'no way leads there from here',
  ETIMEDOUT: 'nobody answers',
  ECONNRESET: 'it broke the connection',
  CERT_HAS_EXPIRED: 'its certificate has expired',
  ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED:
    'it asks for a certificate of the machine’s, which is not shown from here',
  ERR_TLS_CERT_ALTNAME_INVALID: 'its certificate is for another name',
}

function explain(error: Error, url: URL, ca: Buffer | undefined): string {
  const inner =
    error instanceof AggregateError
      ? error.errors.find((each): each is Error => each instanceof Error)
      : undefined
  const { code } = { code: undefined, ...(inner ?? error) }
  const known = typeof code === 'string' ? reasons[code] : undefined
  if (known !== undefined) return known
  if (error.name === 'AbortError' || error.name === 'TimeoutError')
    return `it took longer than ${totalMs / 1000} s`
  if (typeof code === 'string' && /CERT|SIGNATURE|ISSUER/.test(code)) {
    return `its certificate is not trusted by ${ca === undefined ? 'this machine (--ca, --initrd)' : 'the authorities given'}: ${error.message}`
  }
  return error.message === '' ? `${url.host}: ${String(code)}` : error.message
}
