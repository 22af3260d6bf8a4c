/** A directory by HTTP on the loopback, which guests see as their server: files, and nothing else. */
import { once } from 'node:events'
import { createReadStream, realpathSync, statSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { join, sep } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { CommandError } from '../../../build/error.ts'

export interface Served {
  readonly port: number
  close(): Promise<void>
}

/** Rejects with a `CommandError`. */
export async function serve(directory: string, port: number): Promise<Served> {
  const root = realpathSync(directory)
  const server = createServer((request, response) => {
    answer(root, request, response).catch(() => response.destroy())
  })
  server.listen(port, '127.0.0.1')
  try {
    await once(server, 'listening')
  } catch (cause) {
    const taken = cause instanceof Error && 'code' in cause && cause.code === 'EADDRINUSE'
    throw new CommandError(
      `${directory} cannot be served at 127.0.0.1:${port}${taken ? ': the port is taken' : ''}`,
      {
        ...(taken ? {} : { cause }),
        advice: taken
          ? [
              'What listens there may serve it already: leave --serve out. Or choose another port, and that on the command line.',
            ]
          : ['Ports below 1024 are root’s.'],
      },
    )
  }
  const address = server.address()
  return {
    port: typeof address === 'object' && address !== null ? address.port : port,
    async close() {
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
}

/** The rest of a file is given to whom a connection broke (RFC 9110, 14.2), as bad wires break them. */
async function answer(root: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { headers, method, url = '/' } = request
  const file = fileOf(root, url)
  if (file === undefined) {
    response.writeHead(404, { 'content-length': 0 }).end()
    return
  }
  const { path, size, changed } = file
  const etag = `"${changed.getTime().toString(16)}-${size.toString(16)}"`
  const [, from] = /^bytes=(\d{1,15})-$/.exec(headers.range ?? '') ?? []
  const start = from !== undefined && headers['if-range'] === etag && Number(from) < size ? Number(from) : 0
  const state = { etag, 'last-modified': changed.toUTCString(), 'content-length': size - start }
  if (start > 0) response.writeHead(206, { ...state, 'content-range': `bytes ${start}-${size - 1}/${size}` })
  else response.writeHead(200, state)
  if (method === 'HEAD') response.end()
  else await pipeline(createReadStream(path, { start }), response)
}

function fileOf(root: string, url: string) {
  try {
    const path = realpathSync(join(root, decodeURIComponent(url.split(/[?#]/, 1)[0] ?? '')))
    const status = statSync(path)
    if (!path.startsWith(root + sep) || !status.isFile()) return undefined
    return { path, size: status.size, changed: status.mtime }
  } catch {
    // No such file, or a name that is none.
    return undefined
  }
}
