/** Every form of the kernel's ip=, and BOOTIF=. */

import { expect, test } from 'vitest'
import {
  type IpConfiguration,
  parseBootInterface,
  parseIpParameter,
  parseIpParameters,
} from '../../../src/boot/ip-parameter.ts'

const dynamic = { kind: 'dynamic', device: undefined, hostname: undefined, dns: [] }
const fixed = {
  kind: 'static',
  device: undefined,
  hostname: undefined,
  address: '10.0.0.5',
  prefixLength: 8,
  gateway: undefined,
  server: undefined,
  dns: [],
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
])('ip=%s', (text, expected) => {
  expect(parseIpParameter(text)).toEqual(expected)
})

test.each<[string, RegExp]>([
  ['bootp', /BOOTP is not spoken/],
  ['rarp', /RARP/],
  ['both', /BOOTP and RARP/],
  ['10.0.0.5::::::rarp', /RARP/],
  ['dhcp6', /IPv6 is not supported yet/],
  ['auto6', /IPv6 is not supported yet/],
  ['eth0:auto6', /IPv6 is not supported yet/],
  ['[fd00::5]::[fd00::1]:64::eth0:off', /IPv6 is not supported yet/],
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
])('ip=%s is refused with its reason', (text, reason) => {
  const parsed: IpConfiguration = parseIpParameter(text)
  expect(parsed.kind === 'refused' ? parsed.reason : parsed).toMatch(reason)
})

test('no ip= is DHCP; of several the last counts, as on Alpine', () => {
  expect(parseIpParameters([])).toEqual(dynamic)
  expect(parseIpParameters(['dhcp', 'off'])).toEqual({ kind: 'off' })
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
