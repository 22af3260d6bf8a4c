/** Whether an NFS server is there: a connection, and the procedure that does nothing (RFC 5531, 7530, 1813). */

import { connect } from 'node:net'
import { NoAnswer } from './http.ts'

const program = 100_003
const deadlineMs = 5000

/** The versions that the server answers to, of 4 and 3. Rejects with a `NoAnswer`. */
export async function askNfs(host: string, port = 2049): Promise<readonly number[]> {
  const spoken: number[] = []
  for (const version of [4, 3]) if (await speaks(host, port, version)) spoken.push(version)
  return spoken
}

function speaks(host: string, port: number, version: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port })
    const chunks: Buffer[] = []
    const end = (settle: () => void) => {
      socket.destroy()
      settle()
    }
    socket.setTimeout(deadlineMs, () =>
      end(() =>
        reject(new NoAnswer(`nobody answers at ${host}, port ${port}, within ${deadlineMs / 1000} s`)),
      ),
    )
    socket.on('error', (error) => {
      const refused = 'code' in error && error.code === 'ECONNREFUSED'
      end(() => reject(new NoAnswer(refused ? `nothing listens on port ${port} of ${host}` : error.message)))
    })
    socket.on('connect', () => socket.write(nullCall(version)))
    socket.on('data', (bytes) => {
      chunks.push(bytes)
      const whole = Buffer.concat(chunks)
      if (whole.length > 4096)
        return end(() => reject(new NoAnswer(`what is at port ${port} of ${host} is no NFS server`)))
      if (whole.length >= 28) end(() => resolve(isAccepted(whole)))
    })
    socket.on('end', () => end(() => reject(new NoAnswer(`${host} ended the connection without an answer`))))
  })
}

/** RFC 5531, 9: a record of one fragment; no credentials. */
function nullCall(version: number): Buffer {
  const words = [0x8000_0000 + 40, 0x6469_736b, 0, 2, program, version, 0, 0, 0, 0, 0]
  const bytes = Buffer.alloc(words.length * 4)
  for (const [n, word] of words.entries()) bytes.writeUInt32BE(word, n * 4)
  return bytes
}

/** MSG_ACCEPTED, and SUCCESS behind a verifier of any length. */
function isAccepted(reply: Buffer): boolean {
  const isReply = reply.readUInt32BE(4) === 0x6469_736b && reply.readUInt32BE(8) === 1
  const verifier = reply.readUInt32BE(20)
  const at = 24 + Math.ceil(Math.min(verifier, 400) / 4) * 4
  return isReply && reply.readUInt32BE(12) === 0 && reply.length >= at + 4 && reply.readUInt32BE(at) === 0
}
