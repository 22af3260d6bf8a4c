/** One question to a web server: what it answers, how large it is, whose certificate it shows. Followed to where it leads. */

import {
  type ClientRequest,
  Agent as HttpAgent,
  request as httpRequest,
  type IncomingMessage,
  type OutgoingHttpHeaders,
} from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import { type ConnectionOptions, type PeerCertificate, TLSSocket } from 'node:tls'
import { redactUrl } from '../../network/url.ts'
import { explainError, NoAnswer, stallMs, totalMs } from './no-answer.ts'
import { forwarded, type HttpProxy, proxyAt, refusalOf, secured, tunnel } from './proxy.ts'

export interface Wish {
  /** `start`: the first bytes, by which it is recognised, and its size. */
  readonly part: 'whole' | 'start'
  /** The most that is read. */
  readonly limit: number
  /** PEM; undefined: the authorities that this machine trusts. */
  readonly ca: Buffer | undefined
  /** As the plan has it: `http://[USER:PASSWORD@]HOST[:PORT]`. */
  readonly proxy: string | undefined
}

export interface Answer {
  readonly bytes: Buffer
  /** Of the whole; undefined: the server does not say. */
  readonly size: number | undefined
  /** In words: how it came. */
  readonly notes: readonly string[]
}

/** Of bytes that recognise a file. */
export const startLength = 64 * 1024
const mostRedirects = 5

/** Rejects with a `NoAnswer`. Where it leads elsewhere, init stays with the proxy that it began with. */
export async function askHttp(url: string, wish: Wish): Promise<Answer> {
  const proxy = wish.proxy === undefined ? undefined : proxyAt(wish.proxy)
  const notes: string[] = proxy === undefined ? [] : [`through the proxy ${proxy.shown}`]
  let at = new URL(url)
  const signal = AbortSignal.timeout(totalMs)
  for (let hop = 0; hop <= mostRedirects; hop++) {
    const { response, bytes, certificate } = await once(at, wish, proxy, signal)
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
    if (status !== 200 && status !== 206) {
      const answer = `${status} ${response.statusMessage ?? ''}`.trim()
      throw new NoAnswer(
        proxy !== undefined && status === 407
          ? refusalOf(proxy, answer)
          : `${throughOf(proxy)}the server says ${answer}`,
      )
    }
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

async function once(
  url: URL,
  { part, limit, ca }: Wish,
  proxy: HttpProxy | undefined,
  signal: AbortSignal,
): Promise<Once> {
  const trust = ca === undefined ? {} : { ca: [ca] }
  const options = { signal, headers: { 'user-agent': 'diskless explain', 'accept-encoding': 'identity' } }
  const request = await begin(url, options, trust, proxy)
  return new Promise((resolve, reject) => {
    // Before there is a connection, a proxy that is handed the whole request is who does not answer.
    let by =
      proxy === undefined || url.protocol === 'https:' ? throughOf(proxy) : `the proxy ${proxy.shown}: `
    request.on('socket', (socket) =>
      socket.once('connect', () => {
        by = throughOf(proxy)
      }),
    )
    const fail = (error: Error) => {
      request.destroy()
      const why = error instanceof NoAnswer ? error.message : explainError(error, ca)
      reject(new NoAnswer(by + why, { cause: error }))
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

function throughOf(proxy: HttpProxy | undefined): string {
  return proxy === undefined ? '' : `through the proxy ${proxy.shown}: `
}

/** Not sent yet. */
async function begin(
  url: URL,
  options: { readonly signal: AbortSignal; readonly headers: OutgoingHttpHeaders },
  trust: ConnectionOptions,
  proxy: HttpProxy | undefined,
): Promise<ClientRequest> {
  const secure = url.protocol === 'https:'
  if (proxy === undefined) {
    return secure
      ? httpsRequest(url, { ...options, agent: new HttpsAgent(trust) })
      : httpRequest(url, { ...options, agent: new HttpAgent() })
  }
  if (secure) {
    const socket = await tunnel(proxy, url, options.signal)
    return httpsRequest(url, {
      ...options,
      createConnection: () => secured(socket, url, trust),
    })
  }
  const through = forwarded(proxy, url)
  const headers = { ...options.headers, ...through.headers }
  return httpRequest({ ...through, ...options, headers, agent: new HttpAgent() })
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
