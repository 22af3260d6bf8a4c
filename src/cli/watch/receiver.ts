/**
 * What listens for reports: HTTP, POST of JSON lines. Whoever sends too much, too slowly or without an end is cut off, and
 * nothing of it is kept.
 */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { networkInterfaces } from 'node:os'
import { errnoOf } from '../../../build/error.ts'
import { type Batch, BatchError, readBatch } from './batch.ts'

export interface Limits {
  /** Of one post. */
  readonly bodyBytes: number
  readonly headerBytes: number
  /** Milliseconds for a request's head, and for all of it. */
  readonly headMs: number
  readonly requestMs: number
  /** Milliseconds that a connection may be idle. */
  readonly idleMs: number
  readonly connections: number
  readonly requestsPerConnection: number
}

export const usualLimits: Limits = {
  bodyBytes: 512 * 1024,
  headerBytes: 8 * 1024,
  headMs: 5000,
  requestMs: 10_000,
  idleMs: 30_000,
  connections: 1000,
  requestsPerConnection: 1000,
}

export interface Listening {
  /** What goes on the command line of machines: `http://10.0.0.1:8080/`. */
  readonly url: string
  readonly port: number
  close(): Promise<void>
}

export interface Receiving {
  /** True: it is taken in. False: there is no room for it. */
  onBatch(batch: Batch, from: string): boolean
  /** Who was refused, and why: a line. */
  onRefused(from: string, why: string): void
}

export class ListenError extends Error {
  override readonly name = 'ListenError'
  readonly advice: readonly string[]

  constructor(message: string, cause: unknown, ...advice: string[]) {
    super(message, { cause })
    this.advice = advice
  }
}

export interface Place {
  readonly address: string
  readonly port: number
}

/** Rejects with a `ListenError`. */
export async function listen(
  place: Place,
  receiving: Receiving,
  limits: Limits = usualLimits,
): Promise<Listening> {
  // A connection is complained of once: what comes of one complaint is none of its own.
  const told = new WeakSet<object>()
  const complain = (socket: object, from: string, why: string) => {
    if (told.has(socket)) return
    told.add(socket)
    receiving.onRefused(from, why)
  }
  const server = createServer({
    ...{ maxHeaderSize: limits.headerBytes, headersTimeout: limits.headMs, requestTimeout: limits.requestMs },
    ...{ keepAliveTimeout: limits.idleMs, connectionsCheckingInterval: Math.min(1000, limits.headMs) },
  })
  server.maxConnections = limits.connections
  server.maxRequestsPerSocket = limits.requestsPerConnection
  server.on('request', (request, response) => {
    const { socket } = request
    const onRefused = (from: string, why: string) => complain(socket, from, why)
    receive(request, response, { ...receiving, onRefused }, limits).catch((error: unknown) => {
      const brokeOff = errnoOf(error) === 'ECONNRESET'
      onRefused(fromOf(request), brokeOff ? 'a report that broke off' : String(error))
      response.destroy()
    })
  })
  server.on('clientError', (error: Error & { readonly code?: string }, socket) => {
    // A reset is nobody's report.
    if (error.code !== 'ECONNRESET') {
      const from = 'remoteAddress' in socket ? String(socket.remoteAddress) : 'somebody'
      complain(socket, from, whyOf(error.code))
    }
    if (socket.writable) socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n')
    else socket.destroy()
  })
  server.listen(place.port, place.address)
  try {
    await once(server, 'listening')
  } catch (error) {
    throw explain(place, error)
  }
  const bound = server.address()
  const port = bound === null || typeof bound === 'string' ? place.port : bound.port
  return { url: urlOf({ ...place, port }), port, close: () => close(server) }
}

async function close(server: Server): Promise<void> {
  const closed = once(server, 'close')
  server.close()
  server.closeAllConnections()
  await closed
}

async function receive(
  request: IncomingMessage,
  response: ServerResponse,
  { onBatch, onRefused }: Receiving,
  limits: Limits,
): Promise<void> {
  const from = fromOf(request)
  const { socket } = request
  const refuse = (status: number, why: string) => {
    onRefused(from, why)
    // What it goes on sending is not read.
    response.writeHead(status, { connection: 'close', 'content-type': 'text/plain' }).end(`${why}\n`)
    response.once('finish', () => socket.destroySoon())
  }
  if (request.method !== 'POST') {
    response.setHeader('allow', 'POST')
    return refuse(405, 'diskless watch takes reports of machines (POST), and shows nothing')
  }
  const tooMuch = `a report of more than ${limits.bodyBytes} bytes`
  if (Number(request.headers['content-length'] ?? 0) > limits.bodyBytes) return refuse(413, tooMuch)
  const pieces: Buffer[] = []
  let length = 0
  for await (const piece of request.iterator({ destroyOnReturn: false })) {
    if (!Buffer.isBuffer(piece)) throw new Error('a request’s body is bytes')
    length += piece.length
    if (length > limits.bodyBytes) return refuse(413, tooMuch)
    pieces.push(piece)
  }
  try {
    const batch = readBatch(Buffer.concat(pieces).toString('utf8'))
    if (!onBatch(batch, from)) return refuse(503, 'no room for another machine')
  } catch (error) {
    if (error instanceof BatchError) return refuse(400, error.message)
    throw error
  }
  response.writeHead(204).end()
}

function fromOf({ socket }: IncomingMessage): string {
  return (socket.remoteAddress ?? 'somebody').replace(/^::ffff:(?=[\d.]+$)/, '')
}

function whyOf(code: string | undefined): string {
  switch (code) {
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return 'a request that did not end'
    case 'HPE_INVALID_EOF_STATE':
      return 'a report that broke off'
    case 'HPE_HEADER_OVERFLOW':
      return 'a request with too long a head'
    default:
      return 'what is not HTTP'
  }
}

function explain({ address, port }: Place, error: unknown): ListenError {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  const what = `nothing can listen at ${bracketed(address)}:${port}`
  switch (code) {
    case 'EADDRINUSE':
      return new ListenError(
        `${what}: the port is taken`,
        undefined,
        `'ss -ltnp sport = :${port}' says by whom. Stop that, or choose another port: --listen ${bracketed(address)}:${port === 65_535 ? 8080 : port + 1}`,
      )
    case 'EADDRNOTAVAIL':
      return new ListenError(
        `${what}: this machine does not have that address`,
        undefined,
        `It has ${ownAddresses().join(', ')}.`,
      )
    case 'EACCES':
      return new ListenError(
        `${what}: ports below 1024 are root's`,
        undefined,
        'Choose a higher one, 8080 for instance.',
      )
    default:
      return new ListenError(what, error)
  }
}

function ownAddresses(): string[] {
  return Object.values(networkInterfaces()).flatMap((each) => (each ?? []).map(({ address }) => address))
}

const bracketed = (address: string) => (address.includes(':') ? `[${address}]` : address)

function urlOf({ address, port }: Place): string {
  const any = address === '0.0.0.0' || address === '::'
  // The first that others can reach; where there is none, the machine itself.
  const own = any
    ? Object.values(networkInterfaces())
        .flatMap((each) => each ?? [])
        .find(({ internal, family }) => !internal && family === 'IPv4')?.address
    : address
  return `http://${bracketed(own ?? '127.0.0.1')}:${port}/`
}
