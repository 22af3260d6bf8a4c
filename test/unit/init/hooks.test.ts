import { describe, expect, it } from 'vitest'
import { makeOverlay } from '../../../scripts/repository/overlay.ts'
import { symlink } from '../../../scripts/repository/tar.ts'
import { defineHook, type Hook } from '../../../src/init/hook.ts'
import { placesPath } from '../../../src/init/hook-places.ts'
import { run } from '../../../src/init/run.ts'
import { type FakeMachine, fakeMachine, type MachineOptions } from '../../support/machine/index.ts'
import {
  commandLine,
  indexUrl,
  makeIndex,
  networkBoot,
  overlayUrl,
  packageOf,
  packages,
  packageUrl,
  servers,
} from '../../support/scenario.ts'

const installed = (hooks: Readonly<Record<string, Hook>>) =>
  Object.entries(hooks).map(([name, hook]) => ({ name, load: async () => ({ default: hook }) }))

async function bootWith(hooks: Readonly<Record<string, Hook>>, change: MachineOptions = {}) {
  const machine = fakeMachine(networkBoot(change))
  void run(machine, installed(hooks))
  const ending = await machine.run(machine.supervisor.ended)
  return { machine, ending, console: machine.consoles.text() }
}

/** Until the emergency shell is open. */
async function failWith(hooks: Readonly<Record<string, Hook>>, change: MachineOptions = {}) {
  const machine = fakeMachine(networkBoot(change))
  void run(machine, installed(hooks))
  await machine.run(shellOf(machine, 1))
  return { machine, console: machine.consoles.text() }
}

async function shellOf(machine: FakeMachine, number: number): Promise<void> {
  while (machine.processes.sessions.length < number) await machine.clock.sleep(100)
}

const spansOf = async (machine: FakeMachine) => {
  const { phases }: { phases: { name: string; detail: string; start: number; end: number }[] } = JSON.parse(
    await machine.files.readText('/sysroot/run/diskless/timeline.json'),
  )
  return phases
}

describe('hooks', () => {
  it('run at their points, in the order in which they were given, with what each point knows', async () => {
    const seen: string[] = []
    const noting = (name: string): Hook => ({
      async beforeNetwork({ sys, plan }) {
        const up = (await sys.network.links()).some(({ carrier }) => carrier)
        seen.push(`${name} before ${up} ${plan.machine.uuid?.slice(0, 8)} ${plan.machine.architecture}`)
      },
      leaseObtained: ({ network }) => {
        seen.push(`${name} lease ${network.address} ${network.mac}`)
      },
      async rootBuilt({ sys, root }) {
        seen.push(`${name} root ${(await sys.files.readText(`${root}/etc/hostname`)).trim()}`)
      },
      beforeHandoff: ({ plan }) => {
        seen.push(`${name} handoff ${plan.init.path}`)
      },
    })
    const { machine, ending } = await bootWith({ 'a.ts': noting('a'), 'hooks/b.ts': noting('b') })
    expect(ending.kind).toBe('handoff')
    const both = (text: string) => [`a ${text}`, `b ${text}`]
    expect(seen).toEqual([
      ...both('before false 6c1f3f4e x86_64'),
      ...both('lease 10.0.2.15 52:54:00:00:00:01'),
      ...both('root guest'),
      ...both('handoff /sbin/init'),
    ])
    const spans = await spansOf(machine)
    expect(spans.filter(({ name }) => name === 'hook').map(({ detail }) => detail)).toEqual([
      'loaded a.ts, hooks/b.ts',
      ...['before the network', 'lease obtained', 'root built', 'before the handoff'].flatMap((point) => [
        `a.ts, ${point}`,
        `hooks/b.ts, ${point}`,
      ]),
    ])
  })

  it('may do nothing at all, and then nothing waits for them', async () => {
    const { machine: without } = await bootWith({})
    const { machine, ending } = await bootWith({ 'empty.ts': defineHook({}) })
    expect(ending.kind).toBe('handoff')
    expect(machine.clock.now()).toBe(without.clock.now())
  })

  it('before the network have the drivers, and the network and the disks wait for them', async () => {
    const { machine } = await bootWith({
      'slow.ts': { beforeNetwork: ({ sys, signal }) => sys.clock.sleep(3000, signal) },
    })
    const spans = await spansOf(machine)
    const span = (name: string, detail = '') => {
      const found = spans.find((one) => one.name === name && one.detail.includes(detail))
      if (found === undefined) throw new Error(`no span ${name} ${detail}`)
      return found
    }
    expect(span('hook', 'slow.ts,').start).toBeGreaterThanOrEqual(span('drivers').end)
    expect(span('network').start).toBeGreaterThanOrEqual(span('hook', 'slow.ts,').end)
  })

  it('run without a network where the boot needs none, but for the lease’s', async () => {
    const seen: string[] = []
    const hook: Hook = {
      beforeNetwork: () => void seen.push('before'),
      leaseObtained: () => void seen.push('lease'),
      rootBuilt: ({ network }) => void seen.push(`root ${network}`),
    }
    const { machine } = await failWith(
      { 'a.ts': hook },
      { commandLine: 'console=ttyS0 ip=none root=/dev/sda1' },
    )
    expect(seen).toEqual(['before'])
    expect(machine.consoles.text()).toContain('/dev/sda1')
  })

  it('write into the new system, and symlinks there do not lead them out', async () => {
    const overlay = makeOverlay({ hostname: 'guest', world: ['trap'], runlevels: {} })
    const trap = packageOf({ name: 'trap', entries: [symlink('srv', '/etc')] })
    const { machine } = await bootWith(
      {
        'name.ts': {
          async rootBuilt({ write, read }) {
            await write('/etc/hostname', `kiosk-${(await read('/etc/hostname'))?.trim()}\n`)
            await write('/srv/note', 'inside\n')
            await write('/at-the-top', 'too\n')
            expect(await read('/none')).toBeUndefined()
          },
        },
      },
      {
        servers: servers({
          [overlayUrl]: { body: overlay },
          [indexUrl]: { body: makeIndex([...packages, trap]) },
          [packageUrl(trap)]: { body: trap.bytes },
        }),
      },
    )
    expect(await machine.files.readText('/sysroot/etc/hostname')).toBe('kiosk-guest\n')
    expect(await machine.files.readText('/sysroot/etc/note')).toBe('inside\n')
    expect(await machine.files.status('/etc/note')).toBeUndefined()
    expect(await machine.files.readText('/sysroot/at-the-top')).toBe('too\n')
  })

  it('that throw stop the boot, with their name and their point; a retry runs what has not ended well', async () => {
    const ran: string[] = []
    const { machine, console } = await failWith({
      'good.ts': { leaseObtained: () => void ran.push('good') },
      'hooks/bad.ts': {
        leaseObtained: () => {
          ran.push('bad')
          if (ran.length < 4) throw new TypeError('the serial number is empty')
        },
      },
    })
    expect(console).toContain('The boot failed in the phase "hook".')
    expect(console).toContain('What was tried: the hook hooks/bad.ts failed (lease obtained)')
    expect(console).toContain('What came back: the serial number is empty')
    expect(console).toContain('without --hook hooks/bad.ts')
    await machine.run(machine.supervisor.type('retry'))
    await machine.run(shellOf(machine, 2))
    expect(ran).toEqual(['good', 'bad', 'bad'])
    await machine.run(machine.supervisor.type('retry'))
    expect(await machine.run(machine.supervisor.ended)).toMatchObject({ kind: 'handoff' })
  })

  it('that cannot be loaded stop the boot, too', async () => {
    const machine = fakeMachine(networkBoot())
    void run(machine, [{ name: 'top.ts', load: () => Promise.reject(new RangeError('at its top')) }])
    await machine.run(shellOf(machine, 1))
    expect(machine.consoles.text()).toMatch(
      /the hook top\.ts failed \(when it was loaded\)\s+What came back: at its top/,
    )
  })

  it('that never end are told, and then they fail the boot', async () => {
    let stopped = false
    const hang: Hook = {
      beforeHandoff: ({ signal }) => {
        signal.addEventListener('abort', () => {
          stopped = true
        })
        return new Promise(() => undefined)
      },
    }
    const { machine, console } = await failWith({ 'hang.ts': hang })
    expect(console).toContain('hang.ts goes on: 4 min 50 s more before the boot fails')
    expect(console).toContain('What came back: it did not end within 5 min')
    expect(stopped).toBe(true)
    expect(machine.clock.now()).toBeLessThan(310_000)
    const short = await failWith({ 'hang.ts': { ...hang, timeoutMs: 2000 } })
    expect(short.console).toContain('it did not end within 2.0')
    expect(short.machine.clock.now()).toBeLessThan(10_000)
  })

  it('are given up when another part of the boot fails', async () => {
    const { machine, console } = await failWith(
      { 'hang.ts': { leaseObtained: () => new Promise(() => undefined) } },
      { commandLine: `${commandLine} alpine_dev=/dev/sdz:ext4` },
    )
    expect(console).toContain('The boot failed in the phase "media"')
    expect(console).not.toContain('the hook hang.ts failed')
    expect(machine.clock.now()).toBeLessThan(300_000)
  })

  it('are named with the line that made a call which failed', async () => {
    // The engine's own stacks are test/engine's matter; here the table leads from this very file.
    const places = { sources: ['hooks/led.ts'], files: { 'hooks.test.ts': [[1, 1, 0, 12]] } }
    const files = { ...networkBoot().files, [placesPath]: JSON.stringify(places) }
    const { console } = await failWith(
      {
        'hooks/led.ts': {
          async beforeNetwork({ sys }) {
            await sys.clock.sleep(1)
            await sys.files.writeText('/sys/class/leds/none/brightness', '1')
          },
        },
      },
      { files },
    )
    expect(console).toContain('the hook hooks/led.ts failed (before the network) at hooks/led.ts:12')
    expect(console).toContain('What came back: /sys/class/leds/none/brightness')
    expect(console).toContain('look at hooks/led.ts:12')
  })
})
