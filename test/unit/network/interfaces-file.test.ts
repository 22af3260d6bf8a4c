/** /etc/network/interfaces of the new system, in the words of Alpine's setup-interfaces (netboot.xyz#1485: static addressing lost). */

import { expect, test } from 'vitest'
import { formatInterfaces } from '../../../src/network/interfaces-file.ts'
import { dhcp6Server, dhcpServer } from '../../support/machine/index.ts'
import { joining, type Words } from './join-fixture.ts'

const cards = ['eth0', 'eth1'].map((name) => ({
  name,
  dhcp: dhcpServer(),
  ipv6: { routers: [{ prefixes: ['fd00::'] }], dhcp: dhcp6Server({ rapidCommit: true }) },
  vlans: { 5: { dhcp: dhcpServer() } },
}))

const lo = 'auto lo\niface lo inet loopback\n\n'

test.each<[string, Words, string]>([
  ['a lease', { ip: ['eth0:dhcp'] }, 'auto eth0\niface eth0 inet dhcp\n'],
  [
    'a fixed address',
    { ip: ['10.0.0.5::10.0.0.1:255.255.255.0::eth0:off'] },
    'auto eth0\niface eth0 inet static\n\taddress 10.0.0.5\n\tnetmask 255.255.255.0\n\tgateway 10.0.0.1\n',
  ],
  [
    'a /32 whose gateway is off its net',
    { ip: ['10.0.0.5::172.31.1.1:255.255.255.255::eth0:off'] },
    'auto eth0\niface eth0 inet static\n\taddress 10.0.0.5\n\tnetmask 255.255.255.255\n' +
      '\tup ip route add default via 172.31.1.1 dev $IFACE onlink\n',
  ],
  [
    'a VLAN over a bond',
    { vlan: ['vlan5:bond0'], bond: ['bond0:eth0,eth1:mode=1,arp_ip_target=10.0.0.1;10.0.0.2:9000'] },
    'auto bond0\niface bond0 inet manual\n\tbond-slaves eth0 eth1\n\tbond-mode active-backup\n\tbond-miimon 100\n' +
      '\tbond-arp-ip-target 10.0.0.1 10.0.0.2\n\tmtu 9000\n' +
      '\tup ip link set $IFACE up\n\tdown ip link set $IFACE down\n\n' +
      'auto vlan5\niface vlan5 inet dhcp\n\tvlan-raw-device bond0\n\tvlan-id 5\n',
  ],
  [
    'two links',
    { ip: ['eth1:dhcp', '10.0.0.5:::24::eth0:off'] },
    'auto eth1\niface eth1 inet dhcp\n\nauto eth0\niface eth0 inet static\n\taddress 10.0.0.5\n\tnetmask 255.255.255.0\n',
  ],
  ...['auto6', 'dhcp6'].map((word): [string, Words, string] => [
    `${word}: the kernel goes on by itself, and every ifup can read it`,
    { ip: [`eth0:${word}`] },
    'auto eth0\niface eth0 inet6 manual\n\tup ip link set $IFACE up\n\tdown ip link set $IFACE down\n',
  ]),
  [
    'a fixed IPv6 address',
    { ip: ['[fd00::2]::[fe80::1]:64::eth0:none'] },
    'auto eth0\niface eth0 inet6 static\n\taddress fd00::2\n\tnetmask 64\n\tgateway fe80::1\n',
  ],
])('%s', async (_, words, text) => {
  expect(formatInterfaces(await joining(cards).join(words))).toBe(lo + text)
})
