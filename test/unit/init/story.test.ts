import { describe, expect, it } from 'vitest'
import { openEventPort } from '../../../src/init/events.ts'
import { tellEverybody } from '../../../src/init/listeners.ts'
import { openReporter } from '../../../src/init/report.ts'
import { openScreen } from '../../../src/init/screen.ts'
import { tellStory } from '../../../src/init/story.ts'
import { timelineTable } from '../../../src/init/timeline.ts'
import { BootError, type Console } from '../../../src/sys/index.ts'
import { fakeMachine } from '../../support/machine/index.ts'

const serial: Console = { device: '/dev/ttyS0', screen: false, preferred: true }
const terminal: Console = { device: '/dev/tty0', screen: true, preferred: false }

async function newStory() {
  const machine = fakeMachine({ consoles: [serial, terminal] })
  const screen = openScreen(machine)
  screen.setConsoles(await machine.consoles.list())
  const events = tellEverybody(openEventPort(machine), openReporter(machine))
  return { machine, screen, story: tellStory(machine, screen, events) }
}

describe('phases', () => {
  it('start when what they need is there, and are timed from then on', async () => {
    const { machine, story } = await newStory()
    const network = story.phase('network', [], async () => {
      await machine.clock.sleep(2000)
      return 'eth0'
    })
    const overlay = story.phase('overlay', [network], async (report, [link]) => {
      report.detail(`by ${link}`)
      await machine.clock.sleep(500)
    })
    await machine.run(overlay)
    const span = story.timeline().phases.find(({ name }) => name === 'overlay')
    expect(span).toMatchObject({ state: 'done', detail: 'by eth0' })
    expect((span?.start ?? 0) - (span?.asked ?? 0)).toBe(2000)
    expect((span?.end ?? 0) - (span?.start ?? 0)).toBe(500)
    expect(machine.consoles.text()).toMatch(/overlay +0\.50 s +by eth0/)
  })

  it('that fail first abort the others, and are the ones that are told', async () => {
    const { machine, story } = await newStory()
    const reason = new BootError('no overlay')
    const index = story.phase('index', [], (report) => machine.clock.sleep(60_000, report.signal))
    const overlay = story.phase('overlay', [], async () => {
      await machine.clock.sleep(100)
      throw reason
    })
    const packages = story.phase('packages', [index, overlay], async () => undefined)
    await expect(machine.run(packages)).rejects.toBeDefined()
    await machine.run(story.settled())
    expect(story.failure).toEqual({ phase: 'overlay', error: reason })
    expect(machine.clock.now()).toBeLessThan(10_000)
    expect(story.timeline().phases.map(({ name, state }) => [name, state])).toEqual([
      ['index', 'given up'],
      ['overlay', 'failed'],
    ])
  })

  it('run once are remembered over tries, unless they failed', async () => {
    const { machine, story } = await newStory()
    let drivers = 0
    let network = 0
    const loadDrivers = story.once(
      'drivers',
      () => [],
      async () => ++drivers,
    )
    const join = story.once(
      'network',
      () => [loadDrivers()],
      async () => {
        if (++network === 1) throw new BootError('no lease')
      },
    )
    await expect(machine.run(join())).rejects.toThrow('no lease')
    await machine.run(story.settled())
    story.tryAgain('retry was typed')
    await machine.run(join())
    expect([drivers, network]).toEqual([1, 2])
    expect(story.failure).toBeUndefined()
    expect(story.timeline().attempts).toBe(2)
  })
})

describe('what a person sees', () => {
  it('is nothing but warnings with quiet', async () => {
    const { machine, screen, story } = await newStory()
    screen.setQuiet(true)
    await machine.run(story.phase('root', [], async (report) => report.warn('half of it is missing')))
    expect(machine.consoles.text()).toBe('warning: half of it is missing\r\n')
  })

  it('has a bar on a screen once a download takes longer than a blink, and none on a serial line', async () => {
    const { machine, story } = await newStory()
    const download = story.phase('packages', [], async (report) => {
      for (let done = 0; done <= 100; done += 10) {
        report.progress({ done: done * 1e5, total: 1e7, text: 'musl' })
        await machine.clock.sleep(100)
      }
    })
    await machine.run(download)
    expect(machine.consoles.text('/dev/tty0')).toMatch(
      /\[#{14}\.{14}\] {2}50 % {2}5\.0 MB of 10\.0 MB .* left {2}musl/,
    )
    expect(machine.consoles.text('/dev/ttyS0')).not.toContain('[')
    expect(machine.consoles.text('/dev/ttyS0').trimEnd().split('\r\n')).toHaveLength(1)
  })

  it('is said once the consoles are known', async () => {
    const machine = fakeMachine()
    const screen = openScreen(machine)
    screen.line('early')
    expect(machine.consoles.text()).toBe('')
    screen.setConsoles(await machine.consoles.list())
    await machine.run(Promise.resolve())
    expect(machine.consoles.text()).toBe('early\r\n')
  })
})

describe('events', () => {
  it('wait for the port, and go to it when its driver is there', async () => {
    const machine = fakeMachine({
      kernel: { '/sys/class/virtio-ports/vport1p1/name': 'diskless.events\n' },
      consoles: [serial, { device: '/dev/vport1p1', screen: false, preferred: false }],
    })
    const port = openEventPort(machine)
    port.send({ event: 'phase', at: 1, name: 'drivers' })
    await machine.run(port.open())
    port.send({ event: 'phase', at: 2, name: 'network' })
    await machine.run(Promise.resolve())
    const lines = machine.consoles.text('/dev/vport1p1').trim().split('\n')
    expect(lines.map((line) => JSON.parse(line).name)).toEqual(['drivers', 'network'])
  })
})

describe('the timeline’s table', () => {
  it('shows when, how long, and where in the boot', () => {
    const table = timelineTable(
      {
        version: 1,
        started: 900,
        script: 920,
        attempts: 1,
        warnings: ['chrony is missing'],
        phases: [
          {
            name: 'drivers',
            attempt: 1,
            asked: 1000,
            start: 1000,
            end: 2000,
            state: 'done',
            detail: 'virtio_net',
          },
          { name: 'network', attempt: 1, asked: 1000, start: 2000, end: 4000, state: 'failed', detail: '' },
        ],
        notices: [],
      },
      9000,
    )
    expect(table.split('\n').slice(1)).toEqual([
      'drivers      1.00 s    1.00 s |==========                    | virtio_net',
      'network      2.00 s    2.00 s |          ====================| failed',
      'init began at 0.90 s, its TypeScript 20.0 ms later',
      'warning: chrony is missing',
    ])
  })
})
