/** Leases: what of a server's answer is used, and what is left out with a word. */

import { expect, test } from 'vitest'
import { expiryOf, parseLease } from '../../../src/network/lease.ts'
import type { DhcpMessage, DhcpOptions } from '../../../src/sys/index.ts'

function ack(options: DhcpOptions = {}, fields: Partial<DhcpMessage> = {}): DhcpMessage {
  return {
    op: 'reply',
    xid: 1,
    secs: 0,
    broadcast: false,
    ciaddr: '0.0.0.0',
    yiaddr: '192.168.7.20',
    siaddr: '192.168.7.3',
    giaddr: '0.0.0.0',
    chaddr: '52:54:00:00:00:01',
    sname: '',
    file: '',
    ...fields,
    options: { messageType: 'ack', serverId: '192.168.7.1', subnetMask: '255.255.255.0', ...options },
  }
}

function lease(options: DhcpOptions = {}, fields: Partial<DhcpMessage> = {}) {
  const parsed = parseLease(ack(options, fields), 'eth0', 5000)
  if (parsed.kind === 'unusable') throw new Error(parsed.reason)
  return parsed.lease
}

function reason(options: DhcpOptions, fields: Partial<DhcpMessage> = {}): string {
  const parsed = parseLease(ack(options, fields), 'eth0', 5000)
  return parsed.kind === 'unusable' ? parsed.reason : 'usable'
}

test('everything that a server can say', () => {
  expect(
    lease({
      leaseTime: 600,
      routers: ['192.168.7.1', '192.168.7.2'],
      dnsServers: ['192.168.7.1', '9.9.9.9', '9.9.9.9'],
      domainSearch: ['a.example', 'b.example'],
      domainName: 'example',
      hostname: 'kiosk7',
      mtu: 1400,
      ntpServers: ['192.168.7.1'],
      rootPath: '192.168.7.3:/srv/root',
      tftpServerName: '192.168.7.3',
      bootFile: 'boot.ipxe',
      pathPrefix: '/p/',
      broadcastAddress: '192.168.7.255',
    }),
  ).toMatchObject({
    link: 'eth0',
    mac: '52:54:00:00:00:01',
    address: '192.168.7.20',
    prefixLength: 24,
    broadcast: '192.168.7.255',
    routers: ['192.168.7.1', '192.168.7.2'],
    routes: [{ destination: '0.0.0.0/0', gateway: '192.168.7.1' }],
    dns: ['192.168.7.1', '9.9.9.9'],
    search: ['a.example', 'b.example'],
    domain: 'example',
    hostname: 'kiosk7',
    mtu: 1400,
    ntp: ['192.168.7.1'],
    rootPath: '192.168.7.3:/srv/root',
    serverId: '192.168.7.1',
    nextServer: '192.168.7.3',
    bootFile: 'boot.ipxe',
    tftpServerName: '192.168.7.3',
    pathPrefix: '/p/',
    leaseTime: 600,
    renewalTime: 300,
    rebindingTime: 525,
    obtainedAt: 5000,
    warnings: [],
  })
})

test('the BOOTP fields stand in for options that are missing, and lose their NULs', () => {
  expect(lease({}, { file: 'pxelinux.0\0\0', sname: 'tftp\0', siaddr: '0.0.0.0' })).toMatchObject({
    bootFile: 'pxelinux.0',
    tftpServerName: 'tftp',
    nextServer: undefined,
  })
  expect(lease({ bootFile: 'option' }, { file: 'field' }).bootFile).toBe('option')
})

test('RFC 3442: with classless routes, routers are ignored', () => {
  const got = lease({
    routers: ['192.168.7.1'],
    classlessRoutes: [
      { destination: '0.0.0.0/0', gateway: '192.168.7.254' },
      { destination: '10.9.8.7/8', gateway: '192.168.7.253' },
      { destination: '10.1.0.0/16', gateway: '172.16.0.1' },
      { destination: '172.16.0.0/24', gateway: '0.0.0.0' },
    ],
  })
  expect(got.routes).toEqual([
    { destination: '172.16.0.0/24' },
    { destination: '10.1.0.0/16', gateway: '172.16.0.1', onlink: true },
    { destination: '10.0.0.0/8', gateway: '192.168.7.253' },
    { destination: '0.0.0.0/0', gateway: '192.168.7.254' },
  ])
})

test('a /32 with a gateway off its net: the default route is onlink (netboot.xyz#1485)', () => {
  expect(lease({ subnetMask: '255.255.255.255', routers: ['172.31.1.1'] })).toMatchObject({
    prefixLength: 32,
    routes: [{ destination: '0.0.0.0/0', gateway: '172.31.1.1', onlink: true }],
  })
})

test.each([
  ['10.1.2.3', 8],
  ['172.16.2.3', 16],
  ['192.168.2.3', 24],
])('no mask: %s is taken as /%d', (yiaddr, prefixLength) => {
  const message = ack({}, { yiaddr })
  const { subnetMask: _, ...options } = message.options
  expect(parseLease({ ...message, options }, 'eth0', 0)).toMatchObject({
    kind: 'lease',
    lease: { prefixLength },
  })
})

test.each<[string, DhcpOptions, Partial<DhcpMessage>]>([
  ['no usable address in it (0.0.0.0)', {}, { yiaddr: '0.0.0.0' }],
  ['no usable address in it (224.0.0.1)', {}, { yiaddr: '224.0.0.1' }],
  ['no usable address in it (127.0.0.1)', {}, { yiaddr: '127.0.0.1' }],
  ['no usable address in it (fd00::1)', {}, { yiaddr: 'fd00::1' }],
  ['no usable server identifier in it (0.0.0.0)', { serverId: '0.0.0.0' }, {}],
  ['its subnet mask 255.0.255.0 is none', { subnetMask: '255.0.255.0' }, {}],
  ['its subnet mask 0.0.0.0 is none', { subnetMask: '0.0.0.0' }, {}],
])('unusable: %s', (expected, options, fields) => {
  expect(reason(options, fields)).toBe(expected)
})

test('nonsense beside a good address is left out, each with a warning', () => {
  const got = lease({
    routers: ['0.0.0.0', '192.168.7.1'],
    dnsServers: ['255.255.255.255', '9.9.9.9'],
    ntpServers: ['127.0.0.1'],
    domainName: 'a b; rm -rf /',
    hostname: '$(reboot)',
    domainSearch: ['ok.example', '-bad'],
    mtu: 40,
    rootPath: 'x\n/y',
    broadcastAddress: '10.255.255.255',
    classlessRoutes: [],
  })
  expect(got).toMatchObject({
    routers: ['192.168.7.1'],
    dns: ['9.9.9.9'],
    ntp: [],
    domain: undefined,
    hostname: undefined,
    search: ['ok.example'],
    mtu: undefined,
    rootPath: undefined,
    broadcast: undefined,
  })
  expect(got.warnings).toHaveLength(9)
  expect(got.warnings).toContain('hostname "$(reboot)" is no valid name: left out')
})

test('routes that make no sense are left out', () => {
  const got = lease({
    classlessRoutes: [
      { destination: '10.0.0.0/33', gateway: '192.168.7.1' },
      { destination: '10.0.0.0/8', gateway: '255.255.255.255' },
      { destination: '10.2.0.0/16', gateway: '192.168.7.1' },
      { destination: '10.2.0.0/16', gateway: '192.168.7.2' },
    ],
  })
  expect(got.routes).toEqual([{ destination: '10.2.0.0/16', gateway: '192.168.7.1' }])
  expect(got.warnings).toHaveLength(2)
})

test('a router that is the machine itself is no way out', () => {
  expect(lease({ routers: ['192.168.7.20'] }).routes).toEqual([])
})

test.each<[string, DhcpOptions, [number | undefined, number | undefined, number | undefined]]>([
  ['as told', { leaseTime: 1000, renewalTime: 100, rebindingTime: 200 }, [1000, 100, 200]],
  ['by default', { leaseTime: 1000 }, [1000, 500, 875]],
  ['in the wrong order', { leaseTime: 1000, renewalTime: 900, rebindingTime: 200 }, [1000, 200, 200]],
  ['beyond the end', { leaseTime: 1000, renewalTime: 5000, rebindingTime: 5000 }, [1000, 500, 875]],
  ['for ever', { leaseTime: 0xffffffff }, [undefined, undefined, undefined]],
  ['forgotten', {}, [3600, 1800, 3150]],
])('times %s', (_, options, [leaseTime, renewalTime, rebindingTime]) => {
  expect(lease(options)).toMatchObject({ leaseTime, renewalTime, rebindingTime })
})

test('a lease ends so many seconds after it was given', () => {
  expect(expiryOf(lease({ leaseTime: 60 }))).toBe(65_000)
  expect(expiryOf(lease({ leaseTime: 0xffffffff }))).toBeUndefined()
})
