/**
 * A web server that stalls, cuts and lies, as a program for the lab's network: one line on standard error for each
 * request. What becomes of a file is the first word of its path:
 *
 *   /stall/PATH   60 % of it, and then nothing, for ever      /cut/PATH    60 %, and the connection is closed
 *   /lie/PATH     everything, one bit turned                  /reset/PATH  the connection is reset
 *   /busy/PATH    503                                         /PATH        the file
 *
 *   node test/support/lab/faulty.ts ADDRESS PORT DIRECTORY
 */

import { type Behaviour, FileServer } from '../qemu/server.ts'

const faults: Readonly<Record<string, Behaviour>> = {
  stall: { kind: 'stall', share: 0.6 },
  cut: { kind: 'stop', share: 0.6 },
  lie: { kind: 'tamper', share: 0.6 },
  reset: { kind: 'reset' },
  busy: { kind: 'status', status: 503 },
}

const [address, port, directory] = process.argv.slice(2)
if (address === undefined || port === undefined || directory === undefined)
  throw new Error('ADDRESS PORT DIRECTORY')
const server = await FileServer.start(directory, {
  address,
  port: Number(port),
  onRequest: (path) => console.error(path),
})
for (const [name, behaviour] of Object.entries(faults))
  server.behave(new RegExp(`^/${name}/`), behaviour, `/${name}`)
console.error(`ready at http://${address}:${port}/`)
