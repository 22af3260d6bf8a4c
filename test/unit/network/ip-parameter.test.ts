/** Every form of the kernel's ip=, and BOOTIF=. */

import { describe, expect, test } from 'vitest'
import {
  type IpConfiguration,
  parseBootInterface,
  parseIpParameter,
  parseIpParameters,
} from '../../../src/boot/ip-parameter.ts'

const ofAny = { device: undefined, hostname: undefined, dns: [], mtu: undefined, mac: undefined }
const dynamic = { kind: 'dynamic', ...ofAny }
const fixed = {
  kind: 'static',
  ...ofAny,
  address: '10.0.0.5',
  prefixLength: 8,
  gateway: undefined,
  server: undefined,
  ntp: undefined,
}

test.each<[string, unknown]>([
  ['', dynamic],
  ['dhcp', dynamic],
  ['on', dynamic],
  ['any', dynamic],
  ['off', { kind: 'off' }],
  ['none', { kind: 'off' }],
  [':::::eth1:dhcp', { ...dynamic, device: 'eth1' }],
  [':::::eth1', { ...dynamic, device: 'eth1' }],
  [':::::eth1:any', { ...dynamic, device: 'eth1' }],
  [':::::eth1:off', { kind: 'off' }],
  ['eth1:dhcp', { ...dynamic, device: 'eth1' }],
  ['::::kiosk7::dhcp:9.9.9.9', { ...dynamic, hostname: 'kiosk7', dns: ['9.9.9.9'] }],
  // Alpine's init runs DHCP here, whatever stands in the first field.
  ['10.0.0.5:::::eth0:dhcp', { ...dynamic, device: 'eth0' }],
  ['10.0.0.5', fixed],
  ['10.0.0.5::::::off', fixed],
  ['10.0.0.5::::::on', fixed],
  ['192.168.1.5', { ...fixed, address: '192.168.1.5', prefixLength: 24 }],
  ['10.0.0.5:::16', { ...fixed, prefixLength: 16 }],
  ['10.0.0.5:0.0.0.0:0.0.0.0:255.255.0.0', { ...fixed, prefixLength: 16 }],
  [
    '10.0.0.5:10.0.0.2:10.0.0.1:255.255.255.0:kiosk7:eth0:off:10.0.0.3:9.9.9.9:10.0.0.4',
    {
      ...fixed,
      device: 'eth0',
      hostname: 'kiosk7',
      prefixLength: 24,
      gateway: '10.0.0.1',
      server: '10.0.0.2',
      dns: ['10.0.0.3', '9.9.9.9'],
      ntp: '10.0.0.4',
    },
  ],
  // netboot.xyz#1485: a /32 whose gateway is off its net.
  [
    '10.0.0.5::172.31.1.1:255.255.255.255::eth0:none',
    { ...fixed, device: 'eth0', prefixLength: 32, gateway: '172.31.1.1' },
  ],
  // dracut's tail.
  ['eth1:dhcp:9000', { ...dynamic, device: 'eth1', mtu: 9000 }],
  ['eth1:dhcp:9000:52:54:00:AB:cd:ef', { ...dynamic, device: 'eth1', mtu: 9000, mac: '52:54:00:ab:cd:ef' }],
  ['eth1:dhcp::52:54:00:ab:cd:ef', { ...dynamic, device: 'eth1', mac: '52:54:00:ab:cd:ef' }],
  ['10.0.0.5:::::eth0:none:1400', { ...fixed, device: 'eth0', mtu: 1400 }],
  ['eth1:dhcp:9.9.9.9', { ...dynamic, device: 'eth1', dns: ['9.9.9.9'] }],
  ['auto6', { ...dynamic, kind: 'dynamic6', method: 'auto6' }],
  ['dhcp6', { ...dynamic, kind: 'dynamic6', method: 'dhcp6' }],
  ['eth0:either6', { ...dynamic, kind: 'dynamic6', method: 'either6', device: 'eth0' }],
  [
    ':::::eth0:auto6:1400:52:54:00:00:00:01',
    { ...dynamic, kind: 'dynamic6', method: 'auto6', device: 'eth0', mtu: 1400, mac: '52:54:00:00:00:01' },
  ],
  [
    '[fd00::2]:[fd00::1]:[fd00::ff]:64:host:eth0:none',
    {
      ...{ ...fixed, address: 'fd00::2', prefixLength: 64, device: 'eth0', hostname: 'host' },
      ...{ server: 'fd00::1', gateway: 'fd00::ff' },
    },
  ],
  [
    '[FD00:0::2]::[fe80::1]:::eth0:none:[fd00::53]:10.0.0.53',
    {
      ...{ ...fixed, address: 'fd00::2', prefixLength: 64, device: 'eth0' },
      ...{ gateway: 'fe80::1', dns: ['fd00::53', '10.0.0.53'] },
    },
  ],
])('ip=%s', (text, expected) => {
  expect(parseIpParameter(text)).toEqual(expected)
})

test.each<[string, RegExp]>([
  ['bootp', /BOOTP is not spoken/],
  ['rarp', /RARP/],
  ['both', /BOOTP and RARP/],
  ['10.0.0.5::::::rarp', /RARP/],
  ['link6', /link-local addresses reach no server/],
  ['[fe80::5]', /link-local addresses reach no server/],
  ['[fd00::5]::10.0.0.1', /of two families/],
  ['[fd00::5]:::129', /the netmask '129' is none/],
  ['[fd00::5]:::255.255.255.0', /the netmask '255\.255\.255\.0' is none/],
  ['[ff02::1]', /the client 'ff02::1' is no host's address/],
  ['[fd00::5', /the client '\[fd00' is no host's address/],
  ['[fd00::g]', /the client '\[fd00::g\]'/],
  ['fd00:0:0:0:0:0:0:5:0:0:0:1', /12 fields/],
  ['dhpc', /the client 'dhpc' is no host's address/],
  ['10.0.0.256', /the client '10\.0\.0\.256'/],
  ['10.0.0.5:x', /the server 'x'/],
  ['10.0.0.5::10.0.0', /the gateway '10\.0\.0'/],
  ['10.0.0.5:::255.0.255.0', /the netmask '255\.0\.255\.0' is none/],
  ['10.0.0.5:::33', /the netmask '33' is none/],
  ['10.0.0.5::::-x', /'-x' is no host name/],
  ['10.0.0.5:::::a/b', /'a\/b' is no name of a link/],
  ['10.0.0.5::::::sometimes', /'sometimes' is no way to configure/],
  ['::::::dhcp:nowhere', /the DNS server 'nowhere'/],
  ['10.0.0.5:::::::9.9.9.9::ntp', /the NTP server 'ntp'/],
  ['eth0:dhcp:1500:52:54:00', /'52:54:00' behind the MTU is no hardware address/],
])('ip=%s is refused with its reason', (text, reason) => {
  const parsed: IpConfiguration = parseIpParameter(text)
  expect(parsed.kind === 'refused' ? parsed.reason : parsed).toMatch(reason)
})

describe('several ip=', () => {
  test('none is DHCP; of several without devices the last counts, as on Alpine', () => {
    expect(parseIpParameters([])).toEqual({ boot: dynamic, others: [] })
    expect(parseIpParameters(['dhcp', 'off'])).toEqual({ boot: { kind: 'off' }, others: [] })
    expect(parseIpParameters(['eth1:dhcp', 'dhcp'])).toEqual({ boot: dynamic, others: [] })
  })

  const eth0 = { ...dynamic, device: 'eth0' }
  const eth1 = { ...fixed, device: 'eth1', prefixLength: 24 }
  const both = ['eth0:dhcp', '10.0.0.5:::24::eth1:none']

  test.each([
    [undefined, { boot: eth1, others: [eth0] }],
    ['eth0', { boot: eth0, others: [eth1] }],
    ['eth1', { boot: eth1, others: [eth0] }],
  ])('each its device, all are for one boot; bootdev=%s', (bootdev, expected) => {
    expect(parseIpParameters(both, bootdev)).toEqual(expected)
  })

  test('a device that is off is left alone, one that is named again has what was said last', () => {
    expect(parseIpParameters([...both, ':::::eth2:off'])).toEqual({ boot: eth1, others: [eth0] })
    expect(parseIpParameters(['eth0:dhcp', 'eth0:dhcp:1400'])).toEqual({
      boot: { ...eth0, mtu: 1400 },
      others: [],
    })
    expect(parseIpParameters(['eth0:off', ':::::eth1:off']).boot).toEqual({ kind: 'off' })
  })

  test('bootdev= gives one ip= its device', () => {
    expect(parseIpParameters(['dhcp'], 'eth1').boot).toEqual({ ...dynamic, device: 'eth1' })
    expect(parseIpParameters([], 'eth1').boot).toEqual({ ...dynamic, device: 'eth1' })
  })

  test.each([
    [both, 'eth7', 'none of them is for eth7, which bootdev= names'],
    [['eth0:dhcp'], 'eth1', 'it is for eth0, and bootdev= says eth1'],
    [['dhcp'], 'a b', 'bootdev=a b is no name of a link'],
    [
      ['eth0:dhcp', 'eth1:sometimes'],
      undefined,
      "the client 'eth1' is no host's address (ip=eth1:sometimes)",
    ],
  ])('%s with bootdev=%s is refused', (values, bootdev, reason) => {
    expect(parseIpParameters(values, bootdev).boot).toEqual({ kind: 'refused', reason })
  })
})

test.each([
  ['01-52-54-00-12-34-56', '52:54:00:12:34:56'],
  ['01-52-54-00-AB-CD-EF', '52:54:00:ab:cd:ef'],
  ['01:52:54:00:ab:cd:ef', '52:54:00:ab:cd:ef'],
  ['52:54:00:AB:CD:EF', '52:54:00:ab:cd:ef'],
  ['20-52-54-00-12-34-56', undefined],
  ['01-52-54-00-12', undefined],
  ['eth0', undefined],
  ['', undefined],
])('BOOTIF=%s', (text, mac) => {
  expect(parseBootInterface(text)).toBe(mac)
})
