/** The fake machine's hardware: what appears when, and because of which module. */

import { expect, test } from 'vitest'
import { dhcpServer, fakeMachine } from '../../support/machine/index.ts'

const signal = () => new AbortController().signal

test('a module brings its dependencies first, and then its hardware', async () => {
  const machine = fakeMachine({
    modules: {
      virtio_net: { aliases: ['virtio:d00000001v*'], dependencies: ['net_failover'], loadMs: 30 },
      net_failover: { loadMs: 20 },
    },
    links: [{ name: 'eth0', module: 'virtio_net', appearsAfterMs: 5 }],
  })
  const { modules, network, devices, clock } = machine
  expect(await modules.match(['virtio:d00000001v00001AF4', 'usb:v1'])).toEqual(['virtio_net'])
  const events = devices.watch(signal())
  const began = clock.now()
  await machine.run(modules.load('virtio-net'))
  expect([...modules.loaded.keys()]).toEqual(['net_failover', 'virtio_net'])
  expect(await network.links()).toEqual([])
  const added = await machine.run(events.next())
  expect(added.value).toMatchObject({ action: 'add', subsystem: 'net', environment: { INTERFACE: 'eth0' } })
  expect(clock.now() - began).toBe(55)
  expect(await machine.files.readText('/sys/class/net/eth0/address')).toBe('52:54:00:00:00:01\n')
  await expect(modules.load('no_such')).rejects.toMatchObject({ code: 'ENOENT' })
})

test('a disk has a node, and its file system is mounted as often as it is asked for', async () => {
  const { files, mounts, devices } = fakeMachine({
    devices: [{ path: 'devices/pci0000:00/block/vda', subsystem: 'block', devname: 'vda' }],
    media: { '/dev/vda': { type: 'ext4', files: { '/x': 'x' } } },
    files: { '/a': { directory: true }, '/b': { directory: true } },
  })
  expect(await files.status('/dev/vda')).toMatchObject({ kind: 'block' })
  expect((await devices.list()).map(({ devname }) => devname)).toEqual(['vda'])
  await mounts.mount({ type: 'ext4', source: '/dev/vda', target: '/a', options: [] })
  await mounts.mount({ type: 'ext4', source: '/dev/vda', target: '/b', options: [] })
  await files.writeText('/a/y', 'y')
  expect(await files.list('/b')).toEqual(['x', 'y'])
})

test('the memory that a tmpfs takes is gone from /proc/meminfo', async () => {
  const { files, mounts } = fakeMachine({ memory: 64 * 2 ** 20 })
  const available = async () => Number(/MemAvailable: (\d+)/.exec(await files.readText('/proc/meminfo'))?.[1])
  await mounts.mount({ type: 'tmpfs', source: 'tmpfs', target: '/tmp', options: [] })
  const before = await available()
  await files.writeText('/tmp/x', 'x'.repeat(2 ** 20))
  expect(before - (await available())).toBe(1024)
})

test('a program runs when its file is in the root, takes its time, and is killed at its deadline', async () => {
  const machine = fakeMachine({
    files: { '/root/bin/true': '', '/bin/outside': '' },
    program: ({ argv }) => (argv[0] === 'slow' ? { afterMs: 5000, status: 3 } : undefined),
  })
  const run = (name: string, timeoutMs: number) =>
    machine.run(machine.processes.run({ argv: [name], root: '/root', timeoutMs }))
  expect(await run('true', 1000)).toEqual({ status: 0, output: '' })
  await expect(run('outside', 1000)).rejects.toMatchObject({ code: 'ENOENT' })
  expect(await run('slow', 9000)).toMatchObject({ status: 3 })
  await expect(run('slow', 1000)).rejects.toMatchObject({ code: 'TIMEOUT' })
})

test('no handoff to a root without its init', async () => {
  const { supervisor, files } = fakeMachine()
  const handoff = { root: '/tmp', init: '/sbin/init', arguments: [], console: '/dev/console' }
  await expect(supervisor.handoff(handoff)).rejects.toMatchObject({ code: 'ENOENT' })
  files.seed('/tmp/sbin/init', { content: '', mode: 0o755 })
  void supervisor.handoff(handoff)
  expect(await supervisor.ended).toEqual({ kind: 'handoff', handoff })
})

test('an operation fails by order, so often and no more', async () => {
  const { faults, files } = fakeMachine({ files: { '/x': 'x' } })
  faults.order({ operation: 'files.readText', subject: '/x', code: 'EIO', times: 1 })
  await expect(files.readText('/x')).rejects.toMatchObject({ code: 'EIO', operation: 'files.readText' })
  expect(await files.readText('/x')).toBe('x')
})

test('a DHCP server that is deaf at first, says no once, and answers a renewal', async () => {
  const machine = fakeMachine({ links: [{ name: 'eth0', dhcp: dhcpServer({ deaf: 1, naks: 1 }) }] })
  const { network, clock } = machine
  await network.setLink('eth0', { up: true })
  await clock.advance(1)
  const socket = await network.openDhcp('eth0')
  const zero = '0.0.0.0'
  const ask = async (options: object, ciaddr = zero) => {
    const addresses = { ciaddr, yiaddr: zero, siaddr: zero, giaddr: zero, chaddr: '52:54:00:00:00:01' }
    await socket.send({
      ...{ op: 'request', xid: 1, secs: 0, broadcast: false, sname: '', file: '' },
      ...addresses,
      options,
    })
    const answer = await machine.run(socket.receive(clock.now() + 500))
    return answer?.options.messageType
  }
  const request = { messageType: 'request', serverId: '10.0.2.2', requestedAddress: '10.0.2.15' }
  expect(await ask({ messageType: 'discover' })).toBeUndefined()
  expect(await ask({ messageType: 'discover' })).toBe('offer')
  expect(await ask(request)).toBe('nak')
  expect(await ask(request)).toBe('ack')
  expect(await ask({ ...request, serverId: '10.0.2.9' })).toBeUndefined()
  expect(await ask({ messageType: 'request' }, '10.0.2.15')).toBe('ack')
  expect(network.sent).toHaveLength(6)
})
