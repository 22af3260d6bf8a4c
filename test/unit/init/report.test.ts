/** diskless.report=: who hears of a boot, what, and what it costs the boot when nobody does. */
import { describe, expect, it } from 'vitest'
import { parseCommandLine } from '../../../src/boot/command-line.ts'
import { makePlan } from '../../../src/boot/plan.ts'
import { openReporter } from '../../../src/init/report.ts'
import { run } from '../../../src/init/run.ts'
import {
  type Answer,
  type FakeMachine,
  fakeMachine,
  type MachineOptions,
  type Server,
} from '../../support/machine/index.ts'
import { commandLine, networkBoot, overlay, overlayUrl, servers } from '../../support/scenario.ts'

const reportUrl = 'http://10.0.2.2:8080/report'

function reportingBoot(answer: Server, change: MachineOptions = {}, url = reportUrl): MachineOptions {
  const base = networkBoot()
  return networkBoot({
    commandLine: `${commandLine} diskless.report=${url}`,
    kernel: { ...base.kernel, '/proc/sys/kernel/random/boot_id': '6ba7b810-9dad-11d1-80b4-00c04fd430c8\n' },
    servers: servers({ [reportUrl]: answer }),
    ...change,
  })
}

const identity = {
  uuid: undefined,
  product: undefined,
  kernel: '6.1.0',
  architecture: 'x86_64',
  memoryAvailable: 1e9,
  clock: undefined,
}

const online = { mac: '52:54:00:00:00:01', address: '10.0.2.15', hostname: 'kiosk-1' }

/** What was posted, by batch: its lines. */
function batches(machine: FakeMachine): Record<string, unknown>[][] {
  return machine.servers.requests
    .filter(({ body }) => body !== undefined)
    .map(({ body = '' }) =>
      body
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line)),
    )
}

async function bootOn(options: MachineOptions) {
  const machine = fakeMachine(options)
  void run(machine)
  const ending = await machine.run(machine.supervisor.ended)
  return { machine, ending, sent: batches(machine), console: machine.consoles.text() }
}

describe('a boot that is watched', () => {
  it('says whose it is in every batch, and tells each event once, the timeline last', async () => {
    const { sent, ending } = await bootOn(reportingBoot(() => ({})))
    expect(ending.kind).toBe('handoff')
    expect(sent.length).toBeGreaterThan(1)
    for (const [head] of sent) {
      expect(head).toMatchObject({
        event: 'machine',
        report: 1,
        boot: '6ba7b810-9dad-11d1-80b4-00c04fd430c8',
        mac: '52:54:00:00:00:01',
        address: '10.0.2.15',
        uuid: '6c1f3f4e-0000-4000-8000-525400123456',
        diskless: '0.1.0',
        lost: 0,
      })
    }
    const events = sent.flatMap(([, ...lines]) => lines)
    const numbers = events.flatMap(({ number }) => number ?? [])
    expect(numbers).toEqual(numbers.map((_, at) => at))
    expect(events[0]).toMatchObject({ event: 'begin' })
    // The overlay's, from when it is there.
    expect(sent[0]?.[0]).not.toHaveProperty('hostname')
    expect(sent.at(-1)?.[0]).toMatchObject({ hostname: 'guest' })
    expect(events.at(-1)).toMatchObject({ event: 'handoff', timeline: { version: 1, attempts: 1 } })
    const phases = events.filter(({ event, state }) => event === 'phase' && state === 'done')
    expect(phases.map(({ name }) => name)).toEqual(expect.arrayContaining(['machine', 'network', 'packages']))
    expect(phases.find(({ name }) => name === 'overlay')?.bytes).toBeGreaterThan(0)
  })

  it('tells no secret of the command line, wherever it might be repeated', async () => {
    const secret = 'hunter2%21'
    const line = [
      commandLine,
      `diskless.report=http://boot:${secret}@10.0.2.2:8080/report`,
      'ssh_key=http://10.0.2.2/key?token=opensesame http_proxy=proxyuser:proxypass@10.0.2.9:3128 no_proxy=*',
      'rootpw=swordfish diskless.onfail=reboot',
    ].join(' ')
    const { machine, sent } = await bootOn(
      reportingBoot(() => ({}), {
        commandLine: line,
        servers: servers({
          [reportUrl]: {},
          [overlayUrl]: { status: 403 },
          'http://boot:hunter2%21@10.0.2.2:8080/report': {},
        }),
      }),
    )
    expect(sent.length).toBeGreaterThan(0)
    const posted = machine.servers.requests.map(({ body }) => body ?? '').join('')
    for (const each of [secret, 'hunter2!', 'opensesame', 'proxypass', 'swordfish']) {
      expect(posted).not.toContain(each)
    }
    expect(sent[0]?.[0]?.commandLine).toContain('diskless.report=http://boot:***@10.0.2.2:8080/report')
  })

  it('has its failure told, with the causes and what to do, before it reboots', async () => {
    const { sent, ending } = await bootOn(
      reportingBoot(() => ({ delayMs: 400 }), {
        commandLine: `${commandLine} diskless.report=${reportUrl} panic=-1`,
        servers: servers({ [reportUrl]: { delayMs: 400 }, [overlayUrl]: { status: 404 } }),
      }),
    )
    expect(ending.kind).toBe('reboot')
    const failed = sent.flat().find(({ event }) => event === 'failed')
    expect(failed).toMatchObject({
      phase: 'overlay',
      chain: expect.arrayContaining([expect.stringContaining('404')]),
      timeline: { version: 1 },
    })
  })
})

describe('a boot that nobody hears', () => {
  it('takes a second longer at most, and says so once', async () => {
    const alone = await bootOn(networkBoot())
    const { machine, ending, console } = await bootOn(reportingBoot(() => ({ delayMs: 1e6 })))
    expect(ending.kind).toBe('handoff')
    expect(machine.clock.now() - alone.machine.clock.now()).toBeLessThanOrEqual(1000)
    expect(console.match(/did not reach/g)).toHaveLength(1)
  })

  it('is told of whoever refuses it, without the password', async () => {
    const url = 'http://boot:hunter2@10.0.2.2:8080/report'
    const { console, ending } = await bootOn(reportingBoot(() => ({ fails: 'ECONNREFUSED' }), {}, url))
    expect(ending.kind).toBe('handoff')
    expect(console.match(/nobody hears of this boot/g)).toHaveLength(1)
    expect(console).not.toContain('hunter2')
  })

  it('tries again, and tells everything to a receiver that comes late', async () => {
    const late = (answer: Answer): Server => {
      return ({ at }) => (at < 90_000 ? { status: 503 } : answer)
    }
    const { sent } = await bootOn(
      reportingBoot(() => ({}), {
        servers: servers({
          [reportUrl]: ({ at }) => (at < 60_000 ? { status: 503 } : {}),
          [overlayUrl]: late({ body: overlay }),
        }),
      }),
    )
    const numbers = [...new Set(sent.flat().flatMap(({ number }) => number ?? []))]
    expect(numbers).toEqual(numbers.map((_, at) => at))
    expect(sent.flat().at(-1)).toMatchObject({ event: 'handoff' })
  })

  it('drops what is refused for good, counts it, and goes on with the rest', async () => {
    const { sent, console } = await bootOn(
      reportingBoot(({ attempt }) => (attempt === 1 ? { status: 413 } : {}), {
        servers: servers({
          [reportUrl]: ({ attempt }) => (attempt === 1 ? { status: 413 } : {}),
          [overlayUrl]: ({ attempt }) => (attempt < 4 ? { status: 503 } : { body: overlay }),
        }),
      }),
    )
    const [refused = [], ...others] = sent
    const dropped = refused.flatMap(({ number }) => number ?? [])
    const again = others.flat().flatMap(({ number }) => number ?? [])
    expect(dropped.length).toBeGreaterThan(0)
    expect(again.filter((number) => dropped.includes(number))).toEqual([])
    expect(others.map(([head]) => head?.lost)).toEqual(others.map(() => dropped.length))
    expect(others.flat().at(-1)).toMatchObject({ event: 'handoff' })
    expect(console.match(/nobody hears/g)).toHaveLength(1)
  })

  it('keeps so much and no more, and counts the rest', async () => {
    const machine = fakeMachine({ servers: { [reportUrl]: {} } })
    const reporter = openReporter(machine)
    const line = parseCommandLine(`ip=dhcp diskless.report=${reportUrl}`)
    await reporter.meet(makePlan(line, identity), () => undefined)
    for (let at = 0; at < 1000; at++) reporter.send({ event: 'notice', at })
    reporter.send({ event: 'failed', at: 1000, chain: ['x'.repeat(1e6)] })
    expect(batches(machine)).toEqual([])
    reporter.connect(online)
    await machine.run(reporter.flush(1000))
    const sent = batches(machine)
    expect(sent.map(([head]) => head?.lost)).toEqual([1000])
    expect(sent[0]?.[1]).toMatchObject({ number: 1000, event: 'failed' })
  })
})

it('a boot without a network says that nobody will be told', async () => {
  const machine = fakeMachine(
    networkBoot({ commandLine: `console=ttyS0 diskless.report=${reportUrl} ip=off` }),
  )
  void run(machine)
  await machine.clock.advance(5000)
  expect(machine.consoles.text()).toContain('diskless.report= tells nobody')
})

it('a receiver that is no URL stops the boot before it begins', async () => {
  const { console } = await bootOn(
    networkBoot({ commandLine: `${commandLine} panic=-1 diskless.report=syslog://10.0.2.2` }),
  )
  expect(console).toContain('diskless.report= is not the URL')
})
