/** The proxy that init would go through, asked as init asks it: for the whole URL of http, for a tunnel of https. */

import { Agent, request as httpRequest, type RequestOptions } from 'node:http'
import type { Socket } from 'node:net'
import { isIP } from 'node:net'
import { type ConnectionOptions, type TLSSocket, connect as tlsConnect } from 'node:tls'
import { urlToHttpOptions } from 'node:url'
import { redactUrl } from '../../network/url.ts'
import { explainError, NoAnswer, stallMs } from './no-answer.ts'

export interface HttpProxy {
  /** Without its password. */
  readonly shown: string
  readonly at: { readonly hostname: string; readonly port: number }
  /** Who asks, if anybody is named: RFC 9110, 11.7.2. */
  readonly headers: Readonly<Record<string, string>>
}

/** `http://[USER:PASSWORD@]HOST[:PORT]`, as the plan has it. Throws a `NoAnswer`. */
export function proxyAt(text: string): HttpProxy {
  try {
    const { hostname, port, auth } = urlToHttpOptions(new URL(text))
    return {
      shown: redactUrl(text),
      at: { hostname: hostname ?? '', port: Number(port) || 80 },
      headers: auth ? { 'proxy-authorization': `Basic ${Buffer.from(auth).toString('base64')}` } : {},
    }
  } catch {
    throw new NoAnswer(`the proxy ${redactUrl(text)}: this is not the URL of a proxy`)
  }
}

/** What a proxy that says no wants. */
export function refusalOf({ shown }: HttpProxy, answer: string): string {
  const wants = answer.startsWith('407') ? ': it wants http://USER:PASSWORD@ before its name' : ''
  return `the proxy ${shown} says ${answer}${wants}`
}

/** RFC 9112, 3.2.2: the request goes to the proxy, with the whole URL in it. */
export function forwarded({ at, headers }: HttpProxy, url: URL): RequestOptions {
  const { auth } = urlToHttpOptions(url)
  const path = `${url.protocol}//${url.host}${url.pathname}${url.search}`
  return { ...at, path, headers: { ...headers, host: url.host }, ...(auth ? { auth } : {}) }
}

/** RFC 9110, 9.3.6: a connection to the server of an https URL, through the proxy. Rejects with a `NoAnswer`. */
export function tunnel(proxy: HttpProxy, url: URL, signal: AbortSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const to = `${url.hostname}:${url.port || 443}`
    const headers = { ...proxy.headers, host: to }
    const request = httpRequest({
      ...proxy.at,
      method: 'CONNECT',
      path: to,
      headers,
      signal,
      agent: new Agent(),
    })
    const fail = (why: string) => {
      request.destroy()
      reject(new NoAnswer(why))
    }
    request.setTimeout(stallMs, () => fail(`the proxy ${proxy.shown}: nothing came for ${stallMs / 1000} s`))
    request.on('error', (error) => fail(`the proxy ${proxy.shown}: ${explainError(error, undefined)}`))
    request.on('connect', ({ statusCode = 0, statusMessage = '' }, socket, head) => {
      if (statusCode < 200 || statusCode > 299) {
        socket.destroy()
        return fail(`${refusalOf(proxy, `${statusCode} ${statusMessage}`.trim())}, asked for ${to}`)
      }
      socket.setTimeout(0)
      if (head.length > 0) socket.unshift(head)
      resolve(socket)
    })
    request.end()
  })
}

/** TLS within a tunnel: with the server, whose name the certificate must have. */
export function secured(socket: Socket, { hostname }: URL, trust: ConnectionOptions): TLSSocket {
  const host = hostname.replace(/^\[|\]$/g, '')
  return tlsConnect({ ...trust, socket, host, ...(isIP(host) === 0 ? { servername: host } : {}) })
}
