/** The fake machine's servers: exports, names, validators, and all of them down. */

import { describe, expect, test } from 'vitest'
import type { Validator } from '../../../src/sys/index.ts'
import { dhcpServer, fakeMachine, type MachineOptions, serversDown } from '../../support/machine/index.ts'

const deadlines = { connectMs: 1000, stallMs: 1000, totalMs: 5000 }

describe('NFS', () => {
  const options: MachineOptions = {
    files: { '/mnt': { directory: true } },
    media: {
      '10.0.2.2:/srv': { type: 'nfs', versions: ['4.2', '3'], files: { '/x': 'x' } },
      '10.0.2.2:/secret': { type: 'nfs', access: 'denied' },
      '10.0.2.2:/fixed': { type: 'nfs', readOnly: true },
    },
  }
  const mount = (machine: ReturnType<typeof fakeMachine>, source: string, own: string, type = 'nfs') =>
    machine.run(
      machine.mounts.mount({ type, source, target: '/mnt', options: own.split(','), timeoutMs: 3000 }),
    )

  test.each([
    ['nfs', 'vers=4.2'],
    ['nfs4', 'minorversion=2'],
    ['nfs', 'nfsvers=3,nolock'],
    ['nfs', 'ro'],
  ])('%s with %s', async (type, own) => {
    const machine = fakeMachine(options)
    await mount(machine, 'server:/srv', `${own},addr=10.0.2.2`, type)
    expect(machine.files.text('/mnt/x')).toBe('x')
  })

  test.each([
    ['10.0.2.2:/srv', 'vers=4.1', 'EPROTONOSUPPORT'],
    ['10.0.2.2:/secret', 'vers=3', 'EACCES'],
    ['10.0.2.2:/other', 'vers=3', 'ENOENT'],
    ['10.0.2.9:/srv', 'vers=3', 'ECONNREFUSED'],
    ['server:/srv', 'vers=3', 'EINVAL'],
  ])('%s with %s is %s', async (source, own, code) => {
    await expect(mount(fakeMachine(options), source, own)).rejects.toMatchObject({ code })
  })

  test('a read-only export, and a machine whose network is not up, or does not lead there', async () => {
    const machine = fakeMachine({ ...options, links: [{ name: 'eth0' }] })
    await expect(mount(machine, '10.0.2.2:/fixed', 'vers=3')).rejects.toMatchObject({ code: 'ENETUNREACH' })
    await machine.network.addAddress('eth0', { address: '10.0.2.15', prefixLength: 24 })
    await machine.network.setLink('eth0', { up: true })
    await machine.clock.advance(1)
    await mount(machine, '10.0.2.2:/fixed', 'vers=3')
    await expect(machine.files.writeText('/mnt/y', '')).rejects.toMatchObject({ code: 'EROFS' })
    machine.network.plug('eth0', false)
    await expect(mount(machine, '10.0.2.2:/srv', 'vers=3')).rejects.toMatchObject({ code: 'TIMEOUT' })
  })
})

test('names are resolved by the machine’s own name servers', async () => {
  const names = { boot: '10.0.2.7', gone: '' }
  const { network } = fakeMachine({ names })
  expect(await network.resolve('boot', 1000)).toEqual(['10.0.2.7'])
  expect(await network.resolve('192.0.2.1', 1000)).toEqual(['192.0.2.1'])
  await expect(network.resolve('gone', 1000)).rejects.toMatchObject({ code: 'DNS' })
  const machine = fakeMachine({ names, links: [{ name: 'eth0', carrierAfterMs: 'never' }] })
  await expect(machine.network.resolve('boot', 1000)).rejects.toMatchObject({ code: 'DNS' })
  machine.files.seed('/etc/resolv.conf', 'nameserver 10.0.2.3\n')
  await machine.network.setLink('eth0', { up: true })
  await machine.network.addAddress('eth0', { address: '10.0.2.15', prefixLength: 24 })
  const asked = machine.run(machine.network.resolve('boot', 1000))
  await expect(asked).rejects.toMatchObject({ code: 'TIMEOUT' })
})

describe('a resource that has not changed is not sent again', () => {
  const url = 'http://10.0.2.2/x'
  const fetched = (unlessStill?: Validator) => {
    const machine = fakeMachine({
      servers: { [url]: { body: 'x', etag: '"1"', lastModified: 'Monday' } },
    })
    const source = {
      kind: 'http',
      url,
      deadlines,
      ...(unlessStill === undefined ? {} : { unlessStill }),
    } as const
    return machine.run(machine.pipelines.run({ source, filters: [], sink: { kind: 'discard' } }))
  }
  test('its validator is told', async () => {
    expect(await fetched()).toEqual({ bytes: 1, validator: { etag: '"1"', lastModified: 'Monday' } })
  })
  test.each([
    [{ etag: '"1"' }, true],
    [{ lastModified: 'Monday' }, true],
    [{ etag: '"0"', lastModified: 'Monday' }, false],
    [{ lastModified: 'Sunday' }, false],
  ])('%j: %s', async (known, still) => {
    if (still) await expect(fetched(known)).rejects.toMatchObject({ code: 'HTTP', status: 304 })
    else expect(await fetched(known)).toMatchObject({ bytes: 1 })
  })
})

test('what is announced as too long is not fetched, unless its length will change', async () => {
  const url = 'http://10.0.2.2/x'
  const machine = fakeMachine({ servers: { [url]: { body: 'x'.repeat(1000), bytesPerSecond: 1000 } } })
  const before = machine.clock.now()
  const result = machine.pipelines.run({
    source: { kind: 'http', url, deadlines },
    filters: [
      { kind: 'digest', algorithm: 'sha256', expected: '00' },
      { kind: 'limit', bytes: 999 },
    ],
    sink: { kind: 'discard' },
  })
  await expect(machine.run(result)).rejects.toMatchObject({ code: 'TOO_BIG', operation: 'pipeline.limit' })
  expect(machine.clock.now()).toBe(before)
})

test('with the servers down nobody answers', async () => {
  const machine = fakeMachine(
    serversDown({
      links: [{ name: 'eth0', dhcp: dhcpServer() }],
      media: { '10.0.2.2:/srv': { type: 'nfs' } },
      files: { '/mnt': { directory: true } },
    }),
  )
  await machine.network.addAddress('eth0', { address: '10.0.2.15', prefixLength: 24 })
  await machine.network.setLink('eth0', { up: true })
  await machine.clock.advance(1)
  const source = { kind: 'http', url: 'http://10.0.2.2/x', deadlines } as const
  const download = machine.run(machine.pipelines.run({ source, filters: [], sink: { kind: 'discard' } }))
  await expect(download).rejects.toMatchObject({ code: 'ECONNREFUSED' })
  const mount = machine.mounts.mount({ type: 'nfs', source: '10.0.2.2:/srv', target: '/mnt', options: [] })
  await expect(mount).rejects.toMatchObject({ code: 'ECONNREFUSED' })
})
