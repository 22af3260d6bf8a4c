/** Pain: certificates that are "not yet valid" on a machine whose clock says 1970. */
import { describe, expect, it } from 'vitest'
import { run } from '../../../src/init/run.ts'
import { parseHttpDate } from '../../../src/network/time.ts'
import { dhcpServer, fakeMachine, type MachineOptions, VirtualClock } from '../../support/machine/index.ts'
import { commandLine, networkBoot, servers } from '../../support/scenario.ts'

/** The initrd of the scenario. */
const builtAt = 1_760_000_000_000
const today = builtAt + 90 * 86_400_000
const ntp = '10.0.2.9'

async function boot(wall: number, change: MachineOptions = {}) {
  const clock = new VirtualClock({ wall })
  const links = [{ name: 'eth0', module: 'virtio_net', dhcp: dhcpServer({ options: { ntpServers: [ntp] } }) }]
  const machine = fakeMachine(networkBoot({ clock, links, ...change }))
  void run(machine)
  const { kind } = await machine.run(machine.supervisor.ended)
  expect(kind).toBe('handoff')
  return { machine, console: machine.consoles.text(), wall: clock.wall() }
}

const isToday = (wall: number) => Math.abs(wall - today) < 120_000

describe('a clock that stands', () => {
  it('is set by the NTP server of the lease before anything is fetched', async () => {
    const { machine, console, wall } = await boot(0, { times: { [ntp]: today } })
    expect(isToday(wall)).toBe(true)
    expect(console).toMatch(/clock +\S+ s +was 90 days behind, says NTP server 10\.0\.2\.9/)
    expect(console.indexOf('clock ')).toBeLessThan(console.indexOf('overlay '))
    expect(machine.network.asked).toEqual([ntp])
  })

  it('is set by the date of the boot’s own server where no NTP server answers', async () => {
    const { machine, console, wall } = await boot(0, { times: { '10.0.2.2': today } })
    expect(isToday(wall)).toBe(true)
    expect(console).toMatch(/says web server 10\.0\.2\.2/)
    expect(console).toMatch(/no time from NTP server 10\.0\.2\.9: .*no answer/)
    expect(machine.network.asked).toEqual([ntp, ntp, '10.0.2.2'])
  })

  it.each([
    ['1970', 0],
    ['before the initrd was', builtAt - 3_600_000],
    ['2106', Date.UTC(2106, 0, 1)],
  ])('does not believe a server that says %s', async (_, lie) => {
    const { console, wall } = await boot(0, { times: { [ntp]: lie, '10.0.2.2': today } })
    expect(isToday(wall)).toBe(true)
    expect(console).toMatch(/no time from NTP server 10\.0\.2\.9: it says \d{4}-/)
  })

  it('is never before the initrd was built, and a person is told when nobody knows better', async () => {
    const { console, wall } = await boot(0)
    expect(wall).toBeGreaterThanOrEqual(builtAt)
    expect(wall).toBeLessThan(builtAt + 300_000)
    expect(console).toMatch(/warning: the clock of this machine stands .* it is 2025-10-09 here/)
  })
})

describe('a clock that runs', () => {
  it('is put right beside the downloads, which do not wait for it', async () => {
    const { console, wall } = await boot(today - 3_600_000, { times: { [ntp]: today } })
    expect(isToday(wall)).toBe(true)
    expect(console).toMatch(/was 60 min 0\d s behind/)
  })

  it('is waited for where a certificate will be judged by it', async () => {
    const secure = Object.entries(servers()).map(([url, answer]) => [url.replace('http:', 'https:'), answer])
    const { console } = await boot(today - 3_600_000, {
      times: { [ntp]: today },
      commandLine: commandLine.replaceAll('http:', 'https:'),
      servers: Object.fromEntries(secure),
    })
    expect(console.indexOf('clock ')).toBeLessThan(console.indexOf('overlay '))
  })

  it('is left alone where no lease names a time server', async () => {
    const links = [{ name: 'eth0', module: 'virtio_net', dhcp: dhcpServer() }]
    const { machine, console } = await boot(today, { links })
    expect(machine.network.asked).toEqual([])
    expect(console).not.toContain('clock')
  })

  it('costs no boot where the time server is dead', async () => {
    const { console } = await boot(today)
    expect(console).toMatch(/clock +\S+ s +left as it runs/)
  })
})

it('reads the dates that servers send, and no others', () => {
  expect(parseHttpDate('Sun, 06 Nov 1994 08:49:37 GMT')).toBe(Date.UTC(1994, 10, 6, 8, 49, 37))
  for (const text of ['', 'Sun, 06 Xyz 1994 08:49:37 GMT', '1994-11-06', 'Sunday, 06-Nov-94 08:49:37 GMT'])
    expect(() => parseHttpDate(text)).toThrow('is no date')
})
