/** A directory by HTTP on the loopback, which guests see as their server: files, and nothing else. */
import { once } from 'node:events'
import { createReadStream, realpathSync, statSync } from 'node:fs'
import { createServer, type ServerResponse } from 'node:http'
import { join, sep } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { SwitchOnError } from './error.ts'

export interface Served {
  readonly port: number
  close(): Promise<void>
}

/** Rejects with a `SwitchOnError`. */
export async function serve(directory: string, port: number): Promise<Served> {
  const root = realpathSync(directory)
  const server = createServer((request, response) => {
    answer(root, request.url ?? '/', request.method === 'HEAD', response).catch(() => response.destroy())
  })
  server.listen(port, '127.0.0.1')
  try {
    await once(server, 'listening')
  } catch (cause) {
    const taken = cause instanceof Error && 'code' in cause && cause.code === 'EADDRINUSE'
    throw new SwitchOnError(
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

async function answer(root: string, url: string, headOnly: boolean, response: ServerResponse): Promise<void> {
  const file = fileOf(root, url)
  if (file === undefined) {
    response.writeHead(404, { 'content-length': 0 }).end()
    return
  }
  response.writeHead(200, { 'content-length': file.size, 'last-modified': file.changed.toUTCString() })
  if (headOnly) response.end()
  else await pipeline(createReadStream(file.path), response)
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
