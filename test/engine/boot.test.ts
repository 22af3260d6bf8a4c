/** The bundle that ships, in the engine that ships, boots the fake machine as TypeScript on Node does. */

import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { bundleInit } from '../../build/bundle.ts'
import { run } from '../../src/init/run.ts'
import { startEngine } from '../support/engine/engine.ts'
import { leavings } from '../support/leavings.ts'
import { dhcp6Server, type FakeMachine, fakeMachine, type MachineOptions } from '../support/machine/index.ts'
import { commandLine, networkBoot, overlay, overlayUrl, servers } from '../support/scenario.ts'

const directory = mkdtempSync(join(tmpdir(), 'diskless-engine-'))
let bundle = ''

beforeAll(async () => {
  bundle = readFileSync(await bundleInit(directory), 'utf8')
})
afterAll(() => rmSync(directory, { recursive: true }))

async function bootInEngine(options: MachineOptions) {
  const machine = fakeMachine(options)
  const engine = await startEngine(bundle, machine)
  return {
    machine,
    engine,
    until: <T>(event: Promise<T>) => machine.run(Promise.race([event, engine.failed])),
  }
}

/** What a person, and the new system, would find. */
async function result(machine: FakeMachine) {
  return {
    tree: await leavings(machine, '/sysroot'),
    mounts: (await machine.mounts.list()).map(({ type, target, options }) => ({ type, target, options })),
    // What is asked at the same instant has no order that anybody promised.
    requests: machine.servers.requests.map((request) => JSON.stringify(request)).sort(),
    ran: machine.processes.ran,
    policies: machine.supervisor.policies,
    console: machine.consoles.text(),
    ended: machine.clock.now(),
  }
}

test('a network boot ends in the same handoff, the same root and the same words', async () => {
  const onNode = fakeMachine(networkBoot())
  void run(onNode)
  const wanted = await onNode.run(onNode.supervisor.ended)
  const { machine, engine, until } = await bootInEngine(networkBoot())
  expect(await until(machine.supervisor.ended)).toEqual(wanted)
  expect(wanted.kind).toBe('handoff')
  expect(await result(machine)).toEqual(await result(onNode))
  expect(engine.log).toEqual([])
})

test('a boot without IPv4 ends in the same handoff: advertisements, DHCPv6 and addresses cross as they are', async () => {
  const at = (text: string) => text.replaceAll('10.0.2.2', '[fd00::1]')
  const dhcp = () => dhcp6Server({ rapidCommit: true, dns: ['fd00::53'] })
  const options = () =>
    networkBoot({
      commandLine: at(commandLine).replace('ip=dhcp', 'ip=auto6'),
      links: [
        {
          ...{ name: 'eth0', module: 'virtio_net' },
          ipv6: { routers: [{ prefixes: ['fd00::'], managed: true }], dhcp: dhcp() },
        },
      ],
      servers: Object.fromEntries(Object.entries(servers()).map(([url, answer]) => [at(url), answer])),
    })
  const onNode = fakeMachine(options())
  void run(onNode)
  const wanted = await onNode.run(onNode.supervisor.ended)
  const { machine, engine, until } = await bootInEngine(options())
  expect(await until(machine.supervisor.ended)).toEqual(wanted)
  expect(wanted.kind, onNode.consoles.text()).toBe('handoff')
  expect(machine.network.ipv6('eth0').addresses.map(({ address }) => address)).toContain('fd00::100')
  expect(await result(machine)).toEqual(await result(onNode))
  expect(engine.log).toEqual([])
})

test('a failed boot opens a shell, and its retry goes on to the handoff', async () => {
  let there = false
  const { machine, until } = await bootInEngine(
    networkBoot({
      servers: servers({ [overlayUrl]: () => (there ? { body: overlay } : { status: 404 }) }),
    }),
  )
  const shell = async () => {
    while (machine.processes.sessions.length === 0) await machine.clock.sleep(100)
  }
  await until(shell())
  expect(machine.consoles.text()).toMatch(/What came back: .*404/)
  there = true
  expect((await until(machine.supervisor.type('retry'))).status).toBe(0)
  expect(await until(machine.supervisor.ended)).toMatchObject({ kind: 'handoff' })
})

test('the bundle needs nothing that only Node or a browser has', async () => {
  const { machine, engine, until } = await bootInEngine(networkBoot())
  await until(machine.supervisor.ended)
  const foreign = [
    ...['process', 'require', 'module', 'Buffer', 'global', 'window', 'self', 'fetch', 'TextDecoder', 'URL'],
    ...['setTimeout', 'setInterval', 'setImmediate', 'structuredClone', 'Intl', 'std', 'os', 'print'],
  ]
  expect(engine.evaluate(`${JSON.stringify(foreign)}.filter((name) => name in globalThis)`)).toEqual([])
  // A static import of anything would have failed to load: this engine has no module loader.
  expect(bundle).not.toMatch(/\bimport\(|__require/)
})
