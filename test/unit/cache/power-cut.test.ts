import { expect, it } from 'vitest'
import { makeOverlay } from '../../../scripts/repository/overlay.ts'
import { cacheTarget } from '../../../src/cache/open.ts'
import { run } from '../../../src/init/run.ts'
import {
  type FakeMachine,
  fakeMachine,
  type MachineOptions,
  serversDown,
} from '../../support/machine/index.ts'
import { overlayUrl } from '../../support/scenario.ts'
import { bootOn, emptyDisk, read, taggedServers, withCache } from './scenario.ts'

/** What changes a disk, and the path that it changes. */
const changes = ['makeDirectory', 'remove', 'rename', 'writeText', 'sync'] as const

/** A boot that the power leaves at its so-manieth change of the cache; false: it came to its end before. */
async function bootUntilCut(options: MachineOptions, at: number): Promise<boolean> {
  const machine = fakeMachine(options)
  let pull: (value: true) => void = () => {}
  const cut = new Promise<true>((resolve) => {
    pull = resolve
  })
  let count = 0
  const files = new Proxy(machine.files, {
    get(target, name: keyof FakeMachine['files']) {
      const member: unknown = target[name]
      if (typeof member !== 'function') return member
      return (...given: unknown[]) => {
        const [path] = given
        const inside = name === 'sync' || (typeof path === 'string' && path.startsWith(cacheTarget))
        if (inside && changes.some((change) => change === name) && ++count > at) {
          pull(true)
          return new Promise<never>(() => {})
        }
        return Reflect.apply(member, target, given)
      }
    },
  })
  void run({ ...machine, files })
  return machine.run(Promise.race([cut, machine.supervisor.ended.then(() => false)]))
}

it('leaves the old state or the new one, whenever the power goes', async () => {
  const later = makeOverlay({ hostname: 'later', world: ['busybox'], runlevels: {} })
  const servers = { ...taggedServers(), [overlayUrl]: { body: later, etag: 'overlay-2' } }
  const hostnames: string[] = []
  for (let at = 0, cut = true; cut; at++) {
    const disk = emptyDisk()
    await bootOn(withCache(disk))
    cut = await bootUntilCut(withCache(disk, { servers }), at)
    const { machine, ending } = await bootOn(serversDown(withCache(disk)))
    expect(ending, `after ${at} changes`).toBe('handoff')
    hostnames.push((await read(machine, '/etc/hostname')) ?? '')
  }
  expect(hostnames.length).toBeGreaterThan(8)
  expect(hostnames.join('')).toMatch(/^(guest\n)+(later\n)+$/)
})

it('spoils no first boot either', async () => {
  for (let at = 0, cut = true; cut; at++) {
    const disk = emptyDisk()
    cut = await bootUntilCut(withCache(disk), at)
    expect((await bootOn(withCache(disk))).ending, `after ${at} changes`).toBe('handoff')
    expect((await bootOn(serversDown(withCache(disk)))).ending, `after ${at} changes`).toBe('handoff')
  }
})
