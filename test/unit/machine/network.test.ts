/** The fake machine's links, its DHCP and its servers. */

import { expect, test } from 'vitest'
import type { DhcpMessage, Pipeline } from '../../../src/sys/index.ts'
import { dhcpServer, fakeMachine } from '../../support/machine/index.ts'

const deadlines = { connectMs: 1000, stallMs: 5000, totalMs: 60_000 }

function text(url: string, ...filters: Pipeline['filters']): Pipeline<'text'> {
  return { source: { kind: 'http', url, deadlines }, filters, sink: { kind: 'text', bytes: 1000 } }
}

const discover: DhcpMessage = {
  op: 'request',
  xid: 7,
  secs: 0,
  broadcast: false,
  ciaddr: '0.0.0.0',
  yiaddr: '0.0.0.0',
  siaddr: '0.0.0.0',
  giaddr: '0.0.0.0',
  chaddr: '52:54:00:00:00:01',
  sname: '',
  file: '',
  options: { messageType: 'discover' },
}

test('the carrier comes when the script says, and DHCP answers only then', async () => {
  const machine = fakeMachine({
    links: [{ name: 'eth0', carrierAfterMs: 3000, dhcp: dhcpServer({ delayMs: 40 }) }],
  })
  const { network, clock } = machine
  const changes = network.watchLinks(new AbortController().signal)
  expect((await changes.next()).value).toMatchObject({ name: 'eth0', up: false })
  await network.setLink('eth0', { up: true })
  expect((await changes.next()).value).toMatchObject({ up: true, carrier: false })
  const socket = await network.openDhcp('eth0')
  await socket.send(discover)
  const started = clock.now()
  expect(await machine.run(socket.receive(started + 1000))).toBeUndefined()
  expect((await machine.run(changes.next())).value).toMatchObject({ carrier: true })
  expect(clock.now() - started).toBe(3000)
  await socket.send(discover)
  const offer = await machine.run(socket.receive(clock.now() + 1000))
  expect(offer).toMatchObject({
    yiaddr: '10.0.2.15',
    options: { messageType: 'offer', serverId: '10.0.2.2' },
  })
  expect(clock.now() - started).toBe(3040)
})

test('a server is out of reach until a link with a carrier has an address and a route', async () => {
  const machine = fakeMachine({
    links: [{ name: 'eth0' }],
    servers: { 'http://10.0.2.2/a': { body: 'a' }, 'http://boot.example/b': { body: 'b' } },
  })
  const { network, pipelines, files } = machine
  await expect(pipelines.run(text('http://10.0.2.2/a'))).rejects.toMatchObject({ code: 'ENETUNREACH' })
  await network.setLink('eth0', { up: true })
  await machine.clock.advance(10)
  await network.addAddress('eth0', { address: '10.0.2.15', prefixLength: 24 })
  expect(await machine.run(pipelines.run(text('http://10.0.2.2/a')))).toEqual({ bytes: 1, text: 'a' })
  await expect(pipelines.run(text('http://boot.example/b'))).rejects.toMatchObject({ code: 'DNS' })
  await files.writeText('/etc/resolv.conf', 'nameserver 10.0.2.3\n')
  await expect(pipelines.run(text('http://boot.example/b'))).rejects.toMatchObject({ code: 'ENETUNREACH' })
  await expect(
    network.addRoute('eth0', { destination: '0.0.0.0/0', gateway: '192.0.2.1' }),
  ).rejects.toMatchObject({ code: 'ENETUNREACH' })
  await network.addRoute('eth0', { destination: '0.0.0.0/0', gateway: '10.0.2.2' })
  expect(await machine.run(pipelines.run(text('http://boot.example/b')))).toMatchObject({ text: 'b' })
})

test('a server that stalls, breaks off, refuses, or hides its password', async () => {
  const machine = fakeMachine({
    servers: {
      'http://s/stall': { body: 'abcdef', stallAt: 3 },
      'http://s/short': { body: 'abcdef', truncateAt: 3 },
      'http://s/busy': { status: 503, retryAfter: 9 },
      'http://s/moved': { redirect: '/there' },
      'http://s/there': { body: 'there' },
    },
  })
  const get = (path: string) => machine.run(machine.pipelines.run(text(`http://s${path}`)))
  const before = machine.clock.now()
  await expect(get('/stall')).rejects.toMatchObject({ code: 'TIMEOUT', operation: 'pipeline.http' })
  expect(machine.clock.now() - before).toBe(5000)
  await expect(get('/short')).rejects.toMatchObject({ code: 'TRUNCATED' })
  await expect(get('/busy')).rejects.toMatchObject({ code: 'HTTP', status: 503, retryAfter: 9 })
  expect(await get('/moved')).toMatchObject({ text: 'there' })
  const secret = machine.run(machine.pipelines.run(text('http://user:secret@s/none')))
  await expect(secret).rejects.toMatchObject({ code: 'HTTP', status: 404, subject: 'http://s/none' })
})
