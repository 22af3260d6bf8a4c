/** `diskless explain --check`, of TFTP and NFS servers on this machine: right, wrong, and none. */

import { createSocket, type Socket } from 'node:dgram'
import { createServer as createTcp } from 'node:net'
import { describe, expect, it } from 'vitest'
import { makeOverlay } from '../../../../scripts/repository/overlay.ts'
import { askNfs, askNfsPath } from '../../../../src/cli/explain/nfs.ts'
import { NoAnswer } from '../../../../src/cli/explain/no-answer.ts'
import { check, listen, of } from './asking.ts'

const overlay = makeOverlay({ hostname: 'guest', world: ['busybox'], runlevels: {} })

/** RFC 1350, with the sizes of RFC 2347 where they are asked for. */
async function tftp(
  files: Readonly<Record<string, Buffer>>,
): Promise<{ readonly port: number; readonly socket: Socket }> {
  const socket = createSocket('udp4')
  socket.on('message', (request, peer) => {
    const name = request.toString('latin1', 2).split('\0')[0] ?? ''
    const content = files[name]
    const own = createSocket('udp4')
    const send = (bytes: Buffer) => own.send(bytes, peer.port, peer.address)
    if (content === undefined) {
      own.send(Buffer.from('\0\x05\0\x01File not found\0'), peer.port, peer.address, () => own.close())
      return
    }
    own.on('message', (packet) => {
      const block = packet.readUInt16BE(2)
      if (packet.readUInt16BE(0) !== 4 || block * 1428 > content.length) return own.close()
      send(
        Buffer.concat([
          Buffer.from([0, 3, (block + 1) >> 8, (block + 1) & 255]),
          content.subarray(block * 1428, block * 1428 + 1428),
        ]),
      )
    })
    send(Buffer.from(`\0\x06blksize\x001428\0tsize\0${content.length}\0`))
  })
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve))
  return { port: socket.address().port, socket }
}

describe('TFTP', () => {
  it('has the overlay, or says that it does not', async () => {
    const { port, socket } = await tftp({ 'o.apkovl.tar.gz': overlay })
    try {
      expect(of(await check(`apkovl=tftp://127.0.0.1:${port}/o.apkovl.tar.gz`), /overlay/)).toMatchObject({
        state: 'fine',
        text: expect.stringMatching(/for guest/),
      })
      expect(of(await check(`apkovl=tftp://127.0.0.1:${port}/absent`), /overlay/)).toMatchObject({
        state: 'fails',
        text: expect.stringMatching(/the server says: File not found/),
      })
    } finally {
      socket.close()
    }
  })
})

describe('NFS', () => {
  const serve = async (reply: (call: Buffer) => Buffer | undefined) => {
    const server = createTcp((socket) => {
      socket.on('error', () => {})
      socket.on('data', (call) => {
        const bytes = reply(call)
        if (bytes === undefined) socket.destroy()
        else socket.write(bytes)
      })
    })
    return { server, at: { host: '127.0.0.1', port: await listen(server) } }
  }
  const words = (...values: readonly number[]) => {
    const bytes = Buffer.alloc(values.length * 4)
    for (const [n, value] of values.entries()) bytes.writeUInt32BE(value, n * 4)
    return bytes
  }
  /** A reply to this call, accepted with a status; what follows it. */
  const accepted = (call: Buffer, status: number, ...result: readonly number[]) =>
    Buffer.concat([
      words(0x8000_0018 + result.length * 4),
      call.subarray(4, 8),
      words(1, 0, 0, 0, status, ...result),
    ])

  it('answers by its versions', async () => {
    const { server, at } = await serve((call) => accepted(call, call.readUInt32BE(20) === 4 ? 0 : 2))
    expect(await askNfs(at)).toEqual([4])
    server.close()
  })

  // As RFC 7530 has a compound’s answer: status, tag, number of results, each operation with its status.
  it.each([
    ['a directory', [0, 0, 3, 24, 0, 15, 0, 9, 0, 1, 0x12, 12, 2, 0, 4096], { kind: 'directory' }],
    [
      'a file and its size',
      [0, 0, 3, 24, 0, 15, 0, 9, 0, 1, 0x12, 12, 1, 1, 7],
      { kind: 'file', bytes: 2 ** 32 + 7 },
    ],
    ['a device', [0, 0, 3, 24, 0, 15, 0, 9, 0, 1, 0x12, 12, 3, 0, 0], { kind: 'other' }],
    ['nothing', [2, 0, 3, 24, 0, 15, 0, 15, 2], { kind: 'missing', at: '/srv/root' }],
    ['nothing at all', [2, 0, 2, 24, 0, 15, 2], { kind: 'missing', at: '/srv' }],
    [
      'what is not told',
      [13, 0, 2, 24, 0, 15, 13],
      { kind: 'untold', why: expect.stringMatching(/error 13/) },
    ],
    ['4.1 alone', [10_021, 0, 0], { kind: 'untold', why: expect.stringMatching(/4.1 and newer/) }],
    ['an answer that is cut', [0], { kind: 'untold', why: expect.anything() }],
  ] as const)('says of a path: %s', async (_, result, found) => {
    const { server, at } = await serve((call) => accepted(call, 0, ...result))
    expect(await askNfsPath(at, '/srv/root')).toEqual(found)
    server.close()
  })

  it('is none, or is away', async () => {
    const { server, at } = await serve(() => undefined)
    await expect(askNfs(at)).rejects.toThrow(NoAnswer)
    await new Promise((resolve) => server.close(resolve))
    await expect(askNfs(at)).rejects.toThrow(/nothing listens/)
    const other = await serve(() => Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'))
    await expect(askNfs(other.at)).rejects.toThrow(/is no NFS server/)
    other.server.close()
  })

  it('that the lease names is the machine’s to ask', async () => {
    expect(of(await check('root=dhcp'), /NFS/)).toMatchObject({ state: 'unknown' })
    expect(of(await check('root=/dev/sda1'), /disk/)).toMatchObject({ state: 'unknown' })
  })
})
