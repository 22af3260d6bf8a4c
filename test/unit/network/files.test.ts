/** What other programs read of the network. */

import { expect, test } from 'vitest'
import { parseIpParameter } from '../../../src/boot/ip-parameter.ts'
import { formatLease, formatResolvConf } from '../../../src/network/files.ts'
import { joinNetwork } from '../../../src/network/join.ts'
import { dhcpServer, fakeMachine } from '../../support/machine/index.ts'

test('resolv.conf', () => {
  expect(formatResolvConf({ dns: ['10.0.2.3', '9.9.9.9'], search: ['a.example', 'b.example'] })).toBe(
    'search a.example b.example\nnameserver 10.0.2.3\nnameserver 9.9.9.9\n',
  )
  expect(formatResolvConf({ dns: [], search: [] })).toBe('')
})

test.each([
  ['dhcp', { address: '10.0.2.15', lease: { serverId: '10.0.2.2', leaseTime: 3600, renewalTime: 1800 } }],
  ['10.0.0.5:::255.255.255.0', { address: '10.0.0.5', static: { kind: 'static', prefixLength: 24 } }],
])('lease.json of ip=%s', async (ip, expected) => {
  const machine = fakeMachine({
    links: [
      { name: 'lo', physical: false },
      { name: 'eth0', dhcp: dhcpServer() },
    ],
  })
  const up = await machine.run(
    joinNetwork(machine, { ip: parseIpParameter(ip) }, { onNotice: () => {} }, new AbortController().signal),
  )
  const text = formatLease(up)
  expect(JSON.parse(text)).toMatchObject({ link: 'eth0', ...expected })
  expect(text).not.toContain('"raw"')
})
