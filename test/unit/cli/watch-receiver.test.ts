/** The receiver of `diskless watch`, on real sockets: what it takes in, and whom it cuts off. */
import { createServer } from 'node:http'
import { connect } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { type Batch, readBatch } from '../../../src/cli/watch/batch.ts'
import { type Limits, type Listening, listen, usualLimits } from '../../../src/cli/watch/receiver.ts'

const head = { event: 'machine', report: 1, boot: 'b-1', mac: '52:54:00:00:00:01', at: 1200, lost: 0 }
const lines = (...events: readonly object[]) => events.map((each) => `${JSON.stringify(each)}\n`).join('')

let listening: Listening | undefined
afterEach(async () => {
  await listening?.close()
  listening = undefined
})

async function start(limits: Partial<Limits> = {}, room = true) {
  const batches: Batch[] = []
  const refused: string[] = []
  let word: (() => void) | undefined
  const place = { address: '127.0.0.1', port: 0 }
  listening = await listen(
    place,
    {
      onBatch(batch) {
        if (room) batches.push(batch)
        return room
      },
      onRefused(from, why) {
        refused.push(`${from}: ${why}`)
        word?.()
      },
    },
    { ...usualLimits, ...limits },
  )
  const refusal = () => new Promise<void>((resolve) => (word = resolve))
  return { batches, refused, refusal, ...listening }
}

/** Everything that a connection brings until it is closed by the other side. */
function raw(port: number, send: string, goOn?: (write: (text: string) => boolean) => void): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1')
    let answer = ''
    socket.setEncoding('latin1').on('data', (text: string) => {
      answer += text
    })
    // A reset is an end, too.
    socket.on('error', () => {})
    socket.on('close', () => resolve(answer))
    socket.setTimeout(20_000, () => reject(new Error('the connection was never closed')))
    socket.on('connect', () => {
      socket.write(send)
      goOn?.((text) => socket.writable && socket.write(text))
    })
  })
}

describe('a report', () => {
  it('is taken in: who it is from, and what happened', async () => {
    const { batches, url } = await start()
    const body = lines(head, {
      number: 0,
      event: 'phase',
      at: 1000,
      name: 'network',
      state: 'start',
      attempt: 1,
    })
    const answer = await fetch(url, { method: 'POST', body })
    expect(answer.status).toBe(204)
    expect(batches).toMatchObject([
      {
        sender: { boot: 'b-1', mac: '52:54:00:00:00:01', at: 1200 },
        events: [{ kind: 'phase', name: 'network', state: 'start', number: 0 }],
      },
    ])
  })

  it.each([
    ['nothing', '', /an empty report/],
    ['no JSON', '{"event"', /line 1 is not JSON/],
    ['nobody', lines({ event: 'phase', at: 1 }), /which machine/],
    ['another version', lines({ ...head, report: 2 }), /version/],
    ['a boot id with a path in it', lines({ ...head, boot: '../../etc/passwd' }), /no boot id/],
    ['an event without a time', lines(head, { event: 'phase' }), /line 2 says no time/],
    [
      'too many events',
      lines(head, ...Array.from({ length: 1001 }, () => ({ event: 'x', at: 1 }))),
      /more than 1000/,
    ],
  ])('of %s is refused by name', async (_, body, why) => {
    const { batches, refused, url } = await start()
    const answer = await fetch(url, { method: 'POST', body })
    expect(answer.status).toBe(400)
    expect(await answer.text()).toMatch(why)
    expect(refused).toEqual([expect.stringMatching(why)])
    expect(batches).toEqual([])
  })

  it('for which there is no room is told so', async () => {
    const { url } = await start({}, false)
    expect((await fetch(url, { method: 'POST', body: lines(head) })).status).toBe(503)
  })

  it('is no page: a browser is told what this is', async () => {
    const { url } = await start()
    const answer = await fetch(url)
    expect([answer.status, answer.headers.get('allow')]).toEqual([405, 'POST'])
  })
})

describe('a stranger', () => {
  it('who announces too much is not listened to', async () => {
    const { port, batches } = await start({ bodyBytes: 1000 })
    const answer = await raw(port, 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\n\r\n')
    expect(answer).toMatch(/^HTTP\/1\.1 413 /)
    expect(batches).toEqual([])
  })

  it('who never ends is cut off at the limit', async () => {
    const { port, refused, batches } = await start({ bodyBytes: 10_000 })
    const piece = `1000\r\n${'x'.repeat(0x1000)}\r\n`
    let sent = 0
    const answer = await raw(
      port,
      'POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n',
      (write) => {
        const more = setInterval(() => {
          if (!write(piece) && sent > 0) clearInterval(more)
          sent += piece.length
        }, 1)
      },
    )
    expect(answer).toMatch(/^(HTTP\/1\.1 413 |$)/)
    expect(refused).toEqual(['127.0.0.1: a report of more than 10000 bytes'])
    expect(batches).toEqual([])
  })

  it('who sends a byte now and then is cut off when the time is over', async () => {
    const { port, refused } = await start({ headMs: 200, requestMs: 300 })
    const answer = await raw(port, 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\n{')
    expect(answer).toMatch(/^HTTP\/1\.1 4\d\d /)
    expect(refused).toEqual(['127.0.0.1: a request that did not end'])
  })

  it('who announces a body and sends none, or breaks off, is complained of once, in words', async () => {
    const { port, refused, refusal } = await start({ headMs: 200, requestMs: 300 })
    const announced = 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n'
    expect(await raw(port, announced)).toMatch(/^HTTP\/1\.1 400/)
    expect(refused).toEqual(['127.0.0.1: a request that did not end'])
    const told = refusal()
    const socket = connect(port, '127.0.0.1', () => socket.write(announced, () => socket.end()))
    await told
    socket.destroy()
    await listening?.close()
    listening = undefined
    expect(refused.slice(1)).toEqual([expect.stringMatching(/^127\.0\.0\.1: a report that broke off$/)])
  })

  it('who has too long a head, or speaks no HTTP, is sent away', async () => {
    const { port, refused } = await start({ headerBytes: 2000 })
    await raw(port, `POST / HTTP/1.1\r\nX: ${'y'.repeat(5000)}\r\n\r\n`)
    await raw(port, '\x16\x03\x01\x02\x00\x01\x00\x01')
    expect(refused).toEqual(['127.0.0.1: a request with too long a head', '127.0.0.1: what is not HTTP'])
  })

  it('who holds connections does not get more than there are', async () => {
    const { port, url, batches } = await start({ connections: 2, headMs: 300 })
    const held = [raw(port, 'POST'), raw(port, 'POST')]
    await Promise.all(held)
    expect((await fetch(url, { method: 'POST', body: lines(head) })).status).toBe(204)
    expect(batches).toHaveLength(1)
  })

  it('cannot say anything to the terminal, or anything long', () => {
    const nasty = `\u001b[2J\u009b31m\u202e\u0007kiosk${'x'.repeat(100_000)}`
    const { sender, events } = readBatch(
      lines(
        { ...head, hostname: nasty, mac: nasty, address: nasty, product: nasty, lost: -1, at: 'soon' },
        { event: 'failed', at: 1, phase: nasty, chain: Array(1000).fill(nasty), advice: [nasty, 7, null] },
        { event: 'notice', at: 1, phase: '__proto__', text: nasty },
        { event: nasty, at: 1 },
      ),
    )
    const all = JSON.stringify([sender, events])
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
    expect(all).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202e]|\\u00/)
    expect(all.length).toBeLessThan(20_000)
    expect(sender).toMatchObject({ mac: undefined, address: undefined, lost: 0, at: 0 })
    expect(events[1]).toMatchObject({ phase: 'unknown' })
  })
})

describe('listening', () => {
  it('at a port that is taken says so, and what to do', async () => {
    const other = createServer()
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve))
    const address = other.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    const listened = listen({ address: '127.0.0.1', port }, { onBatch: () => true, onRefused: () => {} })
    await expect(listened).rejects.toMatchObject({
      message: expect.stringContaining('the port is taken'),
      advice: [expect.stringContaining(`--listen 127.0.0.1:${port + 1}`)],
    })
    other.close()
  })

  it('at an address of another machine says which ones there are', async () => {
    const listened = listen({ address: '192.0.2.1', port: 0 }, { onBatch: () => true, onRefused: () => {} })
    await expect(listened).rejects.toMatchObject({
      message: expect.stringContaining('does not have that address'),
      advice: [expect.stringContaining('127.0.0.1')],
    })
  })
})
