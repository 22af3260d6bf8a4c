/**
 * A time server (SNTP, the server's side of RFC 4330) as a program for the lab's network, for both families: one line on
 * standard error for each question. The time that it tells is this machine's, moved by so many seconds: who has it has it
 * from here.
 *
 *   node test/support/lab/ntp.ts AHEAD-SECONDS
 */

import { createSocket } from 'node:dgram'
import { once } from 'node:events'

const port = 123
const packetLength = 48
/** Seconds from 1900 to 1970. */
const to1970 = 2_208_988_800

/** `question`: a client's whole packet. */
function answerTo(question: Buffer, aheadSeconds: number): Buffer {
  const seconds = Date.now() / 1000 + to1970 + aheadSeconds
  const answer = Buffer.alloc(packetLength)
  // No leap second, version 4, mode 4 (server); a server of stratum 2.
  answer.writeUInt8(0x24, 0)
  answer.writeUInt8(2, 1)
  // The client's transmit timestamp is the answer's originate timestamp.
  question.copy(answer, 24, 40, 48)
  for (const at of [16, 32, 40]) {
    answer.writeUInt32BE(Math.floor(seconds) % 2 ** 32, at)
    answer.writeUInt32BE(Math.floor((seconds % 1) * 2 ** 32), at + 4)
  }
  return answer
}

const ahead = Number(process.argv[2])
if (!Number.isFinite(ahead)) throw new Error('AHEAD-SECONDS')
const socket = createSocket('udp6')
socket.on('message', (question, { address, port: from }) => {
  console.error(`time for ${address}`)
  if (question.length >= packetLength) socket.send(answerTo(question, ahead), from, address)
})
// Both families: IPv4's addresses come as ::ffff:….
socket.bind(port, '::')
await once(socket, 'listening')
console.error(`ready at port ${port}`)
