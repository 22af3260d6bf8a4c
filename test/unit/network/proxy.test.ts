/** http_proxy=, https_proxy=, no_proxy=: who is asked through whom, and what is said of a proxy that fails. */

import { describe, expect, it } from 'vitest'
import { parseCommandLine } from '../../../src/boot/command-line.ts'
import { planProxies } from '../../../src/boot/proxy-plan.ts'
import { readSettings } from '../../../src/boot/settings.ts'
import { run } from '../../../src/init/run.ts'
import { adviceFor } from '../../../src/network/fetch-errors.ts'
import { proxyFor } from '../../../src/network/proxy.ts'
import { SysError } from '../../../src/sys/index.ts'
import { fakeMachine } from '../../support/machine/index.ts'
import { commandLine, networkBoot, overlayUrl } from '../../support/scenario.ts'

const plan = (line: string) => planProxies(readSettings(parseCommandLine(line)))

describe('the words of the command line', () => {
  it.each([
    ['http_proxy=http://proxy:3128/', 'http://proxy:3128'],
    ['http_proxy=proxy.example:8080', 'http://proxy.example:8080'],
    ['http_proxy=http://us%40er:p%3Aw@[fd00::1]:3128', 'http://us%40er:p%3Aw@[fd00::1]:3128'],
    ['http_proxy=', undefined],
    ['quiet', undefined],
  ])('%s', (line, http) => {
    expect(plan(line)).toEqual({ http, https: undefined, none: [] })
  })

  it.each([
    ['http_proxy=socks5://user:secret@proxy:1080', 'socks5:// is refused'],
    ['https_proxy=https://user:secret@proxy', 'https:// is refused'],
    ['http_proxy=http://user:secret@', 'http_proxy=http:// is not the URL of a proxy'],
    ['https_proxy=http://proxy/path', 'https_proxy=http://proxy/path is not the URL of a proxy'],
    ['http_proxy=http://proxy:port', 'is not the URL of a proxy'],
  ])('%s is refused, without its password', (line, said) => {
    expect(() => plan(line)).toThrow(said)
    expect(() => plan(line)).not.toThrow('secret')
  })
})

describe('who is asked through a proxy', () => {
  const proxies = plan(
    'http_proxy=http://h:1 https_proxy=http://s:2 no_proxy=example.org,.lab,10.0.0.0/8 no_proxy=[fd00::1],192.0.2.7',
  )
  it.each([
    ['http://a.example.com/x', 'http://h:1'],
    ['https://a.example.com/x', 'http://s:2'],
    ['http://example.org/x', undefined],
    ['https://A.Example.ORG:8443/x', undefined],
    ['http://notexample.org/x', 'http://h:1'],
    ['http://boot.lab/x', undefined],
    ['http://user:pw@10.1.2.3/x', undefined],
    ['http://11.1.2.3/x', 'http://h:1'],
    ['http://192.0.2.7/x', undefined],
    ['http://192.0.2.70/x', 'http://h:1'],
    ['http://[fd00::1]:8080/x', undefined],
    ['http://[fd00::2]:8080/x', 'http://h:1'],
    ['tftp://a.example.com/x', undefined],
    ['/media/sda1/x', undefined],
  ])('%s: %s', (url, proxy) => expect(proxyFor(url, proxies)).toBe(proxy))

  it('nobody with no_proxy=*', () => {
    expect(proxyFor('http://a/x', plan('http_proxy=h no_proxy=*'))).toBeUndefined()
  })
})

it('a whole boot goes through the proxy of the command line, but for whom it is not for', async () => {
  const proxy = 'http://kiosk:secret@10.0.2.9:3128'
  const boot = async (more: string) => {
    const machine = fakeMachine(
      networkBoot({ commandLine: `${commandLine} http_proxy=${proxy} https_proxy=http://10.0.2.8 ${more}` }),
    )
    void run(machine)
    expect((await machine.run(machine.supervisor.ended)).kind).toBe('handoff')
    expect(machine.consoles.text()).not.toContain('secret')
    return machine.servers.requests
  }
  const all = await boot('')
  expect(all.length).toBeGreaterThan(3)
  expect(new Set(all.map((request) => request.proxy))).toEqual(new Set([proxy]))
  expect(new Set((await boot('no_proxy=10.0.2.0/24')).map((request) => request.proxy))).toEqual(
    new Set([undefined]),
  )
})

describe('an error of a proxy', () => {
  const advice = (fields: { code: 'DNS' | 'ECONNREFUSED' | 'HTTP' | 'DIGEST'; status?: number }) =>
    adviceFor(
      overlayUrl,
      new SysError({
        operation: 'pipeline.http',
        subject: overlayUrl,
        message: 'by the proxy http://10.0.2.9:3128: it said no',
        ...fields,
      }),
      Date.UTC(2026, 0, 1),
    ).join()

  it.each([
    { code: 'DNS' as const },
    { code: 'ECONNREFUSED' as const },
    { code: 'HTTP' as const, status: 407 },
    { code: 'HTTP' as const, status: 504 },
  ])('%o says to look at the proxy', (fields) => {
    expect(advice(fields)).toBe(
      'Check the proxy http://10.0.2.9:3128 (http_proxy=, https_proxy=), or ask without it: no_proxy=10.0.2.2.',
    )
  })

  it.each([{ code: 'HTTP' as const, status: 404 }, { code: 'DIGEST' as const }])(
    '%o is the server’s',
    (fields) => expect(advice(fields)).not.toContain('the proxy'),
  )
})
