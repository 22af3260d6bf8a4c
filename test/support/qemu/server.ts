/** A web server on the loopback for guests (10.0.2.2 to them), which can misbehave in every way that servers do. */

import { once } from 'node:events'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { join, normalize } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'

export type Behaviour =
  | { readonly kind: 'status'; readonly status: number }
  /** These bytes in place of the file's. */
  | { readonly kind: 'bytes'; readonly bytes: Buffer }
  /** Announces the whole length, sends this share of it, and closes the connection. */
  | { readonly kind: 'stop'; readonly share: number }
  /** Announces the whole length, sends this share of it, and then nothing, for ever. */
  | { readonly kind: 'stall'; readonly share: number }
  /** Takes the request and resets the connection. */
  | { readonly kind: 'reset' }
  /** Everything, with one bit turned at this share of the way. */
  | { readonly kind: 'tamper'; readonly share: number }
  /** Many pieces one after the other, without a length; the same piece may come often. */
  | { readonly kind: 'pieces'; readonly pieces: Iterable<Buffer> }

interface Rule {
  readonly path: RegExp
  readonly behaviour: Behaviour
  /** Taken off the path before the file is looked for. */
  readonly prefix: string
}

/** Where it listens, when not at any port of the loopback. */
export interface FileServerOptions {
  readonly address: string
  readonly port: number
  readonly onRequest: (path: string) => void
}

export class FileServer {
  /** As guests in QEMU's user network see it. */
  readonly url: string
  /** Paths asked for, in order. */
  readonly requests: string[] = []
  readonly #server: Server
  readonly #directory: string
  #rules: Rule[] = []

  private constructor(server: Server, directory: string, url: string) {
    this.#server = server
    this.#directory = directory
    this.url = url
    server.on('request', (request, response) => this.#answer(request, response))
  }

  static async start(directory: string, options?: FileServerOptions): Promise<FileServer> {
    const server = createServer()
    server.listen(options?.port ?? 0, options?.address ?? '127.0.0.1')
    if (options !== undefined) server.on('request', ({ url }) => options.onRequest(url ?? '/'))
    await once(server, 'listening')
    const address = server.address()
    if (address === null || typeof address === 'string') throw new Error('the server has no port')
    return new FileServer(server, directory, `http://${options?.address ?? '10.0.2.2'}:${address.port}`)
  }

  /** From now on paths that match are answered so, with the file of what follows `prefix`; the last rule that matches counts. */
  behave(path: RegExp, behaviour: Behaviour, prefix = ''): void {
    this.#rules.push({ path, behaviour, prefix })
  }

  /** Good behaviour again. */
  behaveWell(): void {
    this.#rules = []
  }

  async close(): Promise<void> {
    const closed = once(this.#server, 'close')
    this.#server.close()
    this.#server.closeAllConnections()
    await closed
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const path = decodeURIComponent((request.url ?? '/').split('?', 1)[0] ?? '/')
    this.requests.push(path)
    const rule = this.#rules.findLast((one) => one.path.test(path))
    if (rule === undefined) this.#serve(path, response)
    else this.#misbehave(rule.behaviour, path.slice(rule.prefix.length), request, response)
  }

  #read(path: string): Buffer | undefined {
    const file = join(this.#directory, normalize(`/${path}`))
    return existsSync(file) && statSync(file).isFile() ? readFileSync(file) : undefined
  }

  #serve(path: string, response: ServerResponse): void {
    const content = this.#read(path)
    if (content === undefined) response.writeHead(404).end('not here\n')
    else response.writeHead(200, { 'content-length': content.length }).end(content)
  }

  #misbehave(behaviour: Behaviour, path: string, request: IncomingMessage, response: ServerResponse): void {
    const whole = this.#read(path) ?? Buffer.alloc(100_000)
    switch (behaviour.kind) {
      case 'status':
        response.writeHead(behaviour.status).end('no\n')
        return
      case 'bytes':
        response.writeHead(200, { 'content-length': behaviour.bytes.length }).end(behaviour.bytes)
        return
      case 'reset':
        request.socket.resetAndDestroy()
        return
      case 'stop':
      case 'stall': {
        const part = whole.subarray(0, Math.floor(whole.length * behaviour.share))
        const stop = behaviour.kind === 'stop'
        response.writeHead(200, { 'content-length': whole.length }).write(part, () => {
          if (stop) request.socket.destroySoon()
        })
        return
      }
      case 'tamper': {
        const bytes = Buffer.from(whole)
        const at = Math.min(Math.floor(whole.length * behaviour.share), whole.length - 1)
        bytes[at] = (bytes[at] ?? 0) ^ 1
        response.writeHead(200, { 'content-length': bytes.length }).end(bytes)
        return
      }
      case 'pieces':
        response.writeHead(200)
        // A guest that has enough of it hangs up.
        pipeline(Readable.from(behaviour.pieces), response).catch(() => undefined)
    }
  }
}
