/** Reads a file by TFTP (RFC 1350) with larger blocks and its size asked for (RFC 2347 to 2349), as iPXE and init do. */

import { createSocket, type Socket } from 'node:dgram'
import { type Answer, startLength, type Wish } from './http.ts'
import { NoAnswer } from './no-answer.ts'

const blockSize = 1428
/** Milliseconds until a packet is sent again, and how many times. */
const waitMs = 1000
const tries = 5

const opcodes = { read: 1, data: 3, acknowledge: 4, error: 5, options: 6 } as const

/** Rejects with a `NoAnswer`. */
export async function askTftp(url: string, { part, limit }: Pick<Wish, 'part' | 'limit'>): Promise<Answer> {
  const { hostname, port, pathname } = new URL(url.replace(/^tftp:/i, 'http:'))
  const path = decodeURIComponent(pathname.replace(/^\//, ''))
  const host = hostname.replace(/^\[|\]$/g, '')
  const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4')
  try {
    return await receive(
      socket,
      { host, port: Number(port) || 69 },
      path,
      part === 'start' ? startLength : limit,
      part,
    )
  } finally {
    socket.close()
  }
}

interface Place {
  readonly host: string
  readonly port: number
}

function receive(
  socket: Socket,
  server: Place,
  path: string,
  most: number,
  part: Wish['part'],
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let length = 0
    let expected = 1
    let size: number | undefined
    let block = 512
    let peer: Place | undefined
    let left = tries
    let last = packet(opcodes.read, Buffer.from(`${path}\0octet\0blksize\0${blockSize}\0tsize\0${0}\0`))
    let timer: NodeJS.Timeout | undefined
    const fail = (why: string) => {
      clearTimeout(timer)
      reject(new NoAnswer(why))
    }
    const send = (bytes: Buffer) => {
      last = bytes
      const { host, port } = peer ?? server
      socket.send(bytes, port, host, (error) => error !== null && fail(error.message))
      clearTimeout(timer)
      timer = setTimeout(() => {
        left -= 1
        if (left === 0) fail(`nobody answers by TFTP (${tries} tries, ${waitMs / 1000} s apart)`)
        else send(last)
      }, waitMs)
    }
    const finish = () => {
      clearTimeout(timer)
      // A transfer that is broken off is told: the server would go on sending.
      if (peer !== undefined)
        socket.send(packet(opcodes.error, Buffer.from('\0\0enough\0')), peer.port, peer.host, () => {})
      resolve({ bytes: Buffer.concat(chunks), size, notes: [] })
    }
    socket.on('error', (error) => fail(error.message))
    socket.on('message', (bytes, { address, port }) => {
      // Its first answer comes from the port of this transfer; what comes from another is somebody else's.
      if (peer !== undefined && port !== peer.port) return
      peer ??= { host: address, port }
      if (bytes.length < 4) return
      const code = bytes.readUInt16BE(0)
      if (code === opcodes.error) {
        return fail(
          `the server says: ${
            bytes
              .toString('utf8', 4)
              .replace(/\0.*$/s, '')
              .replace(/\p{Cc}/gu, '?') || `error ${bytes.readUInt16BE(2)}`
          }`,
        )
      }
      left = tries
      if (code === opcodes.options) {
        const words = bytes.toString('latin1', 2).split('\0')
        const value = (name: string) =>
          Number(words[words.findIndex((word) => word.toLowerCase() === name) + 1])
        if (words.some((word) => word.toLowerCase() === 'tsize')) size = value('tsize')
        if (words.some((word) => word.toLowerCase() === 'blksize')) block = value('blksize')
        return send(packet(opcodes.acknowledge, Buffer.from([0, 0])))
      }
      if (code !== opcodes.data) return
      const number = bytes.readUInt16BE(2)
      if (number === (expected & 0xffff)) {
        const content = bytes.subarray(4)
        chunks.push(Buffer.from(content))
        length += content.length
        expected += 1
        if (content.length < block) {
          socket.send(packet(opcodes.acknowledge, bytes.subarray(2, 4)), port, address, () => {})
          size ??= length
          peer = undefined
          return finish()
        }
        if (length >= most) {
          if (part === 'start') return finish()
          return fail(`it is larger than the ${most} bytes that are read here`)
        }
      }
      send(packet(opcodes.acknowledge, bytes.subarray(2, 4)))
    })
    send(last)
  })
}

function packet(opcode: number, rest: Buffer): Buffer {
  return Buffer.concat([Buffer.from([0, opcode]), rest])
}
