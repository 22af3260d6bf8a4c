/** The TypeScript side of the wire, in the engine that ships, against the fake machine. */

import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { expect, test } from 'vitest'
import { startEngine } from '../support/engine/engine.ts'
import { dhcpServer, fakeMachine, type MachineOptions } from '../support/machine/index.ts'

/** Runs the body of an async function with `sys` in QuickJS; resolves with what it returned. */
async function inEngine(body: string, options: MachineOptions = {}) {
  const machine = fakeMachine(options)
  const { outputFiles } = await build({
    stdin: {
      contents: `
        import { polyfill } from './polyfill.ts'
        import { hostSys } from './host.ts'
        polyfill(globalThis, host.log)
        const sys = hostSys(host)
        globalThis.result = JSON.stringify(await (async () => { ${body} })()) ?? 'null'
        await sys.supervisor.note('done')
      `,
      resolveDir: fileURLToPath(new URL('../../src/init', import.meta.url)),
      loader: 'ts',
    },
    ...{ bundle: true, write: false, format: 'esm', platform: 'neutral', target: 'es2023' },
  })
  const engine = await startEngine(outputFiles[0]?.text ?? '', machine)
  const done = async () => {
    while (!machine.supervisor.notes.includes('done')) await machine.clock.sleep(10)
  }
  await machine.run(Promise.race([done(), engine.failed]))
  const result: unknown = JSON.parse(String(engine.evaluate('result')))
  return { machine, result }
}

test('values, absence and maps travel', async () => {
  const { result } = await inEngine(
    `return [
      await sys.files.readText('/etc/hostname'),
      (await sys.files.status('/none')) === undefined,
      [...await sys.files.readTexts(['/etc/hostname', '/none'])],
      await sys.files.resolveIn('/etc', 'hostname'),
    ]`,
    { files: { '/etc/hostname': 'schön\n' } },
  )
  expect(result).toEqual(['schön\n', true, [['/etc/hostname', 'schön\n']], '/etc/hostname'])
})

test('an error arrives as a SysError with all its fields', async () => {
  const { result } = await inEngine(
    `const deadlines = { connectMs: 1000, stallMs: 1000, totalMs: 9000 }
     const source = { kind: 'http', url: 'http://s/busy', deadlines }
     try {
       await sys.pipelines.run({ source, filters: [], sink: { kind: 'text', bytes: 10 } })
     } catch (error) {
       const { name, code, operation, subject, status, retryAfter, message } = error
       return { name, code, operation, subject, status, retryAfter, message }
     }`,
    { servers: { 'http://s/busy': { status: 503, retryAfter: 7 } } },
  )
  expect(result).toEqual({
    name: 'SysError',
    code: 'HTTP',
    operation: 'pipeline.http',
    subject: 'http://s/busy',
    status: 503,
    retryAfter: 7,
    message: 'http://s/busy: the server answered 503',
  })
})

test('streams deliver until their signal fires, and DHCP goes over its socket', async () => {
  const { result } = await inEngine(
    `const abort = new AbortController()
     const seen = []
     await sys.network.setLink('eth0', { up: true })
     for await (const link of sys.network.watchLinks(abort.signal)) {
       seen.push(link.carrier)
       if (link.carrier) abort.abort()
     }
     const socket = await sys.network.openDhcp('eth0')
     const zero = '0.0.0.0'
     await socket.send({
       op: 'request', xid: 1, secs: 0, broadcast: false, ciaddr: zero, yiaddr: zero, siaddr: zero, giaddr: zero,
       chaddr: '52:54:00:00:00:01', sname: '', file: '', options: { messageType: 'discover' },
     })
     const offer = await socket.receive(sys.clock.now() + 1000)
     const nothing = await socket.receive(sys.clock.now() + 1000)
     return [seen, offer.yiaddr, nothing === undefined]`,
    { links: [{ name: 'eth0', carrierAfterMs: 2500, dhcp: dhcpServer() }] },
  )
  expect(result).toEqual([[false, true], '10.0.2.15', true])
})

test('an abort ends a sleep at once', async () => {
  const { result } = await inEngine(
    `const abort = new AbortController()
     const began = sys.clock.now()
     const sleeping = sys.clock.sleep(60_000, abort.signal).catch((error) => error.code)
     await sys.clock.sleep(20)
     abort.abort()
     return [await sleeping, sys.clock.now() - began]`,
  )
  expect(result).toEqual(['ABORTED', 20])
})
