/** Whole boots on the fake machine with several cards: which one carries it, and what the new system is told. */

import { gzipSync } from 'node:zlib'
import { expect, test } from 'vitest'
import { file, writeTar } from '../../../scripts/repository/tar.ts'
import { run } from '../../../src/init/run.ts'
import {
  dhcpServer,
  type FakeMachine,
  fakeMachine,
  type LinkScript,
  type MachineOptions,
} from '../../support/machine/index.ts'
import { commandLine, networkBoot, overlayUrl, servers } from '../../support/scenario.ts'

async function boot(links: readonly LinkScript[], change: MachineOptions = {}) {
  const machine = fakeMachine(networkBoot({ ...change, links }))
  void run(machine)
  const ending = await machine.run(machine.supervisor.ended)
  return { machine, ending, console: machine.consoles.text() }
}

const interfacesOf = ({ machine }: { readonly machine: FakeMachine }) =>
  machine.files.readText('/sysroot/etc/network/interfaces')

/** An overlay that says nothing of the network; that of the scenario has interfaces of its own. */
const bare = { [overlayUrl]: { body: gzipSync(writeTar([file('etc/hostname', 'kiosk7\n')])) } }

test('four cards of which one has DHCP of a wrong network: it boots (netboot.xyz#1640, mkinitfs#52)', async () => {
  const wrong = dhcpServer({ address: '192.168.7.20', serverId: '192.168.7.1' })
  const booted = await boot([
    { name: 'eth1', module: 'virtio_net', mac: '52:54:00:00:00:a1', carrierAfterMs: 'never' },
    { name: 'eth2', module: 'virtio_net', mac: '52:54:00:00:00:a2', reachesServers: false, dhcp: wrong },
    { name: 'eth3', module: 'virtio_net', mac: '52:54:00:00:00:a3' },
    { name: 'eth0', module: 'virtio_net', mac: '52:54:00:00:00:01', dhcp: dhcpServer({ delayMs: 1500 }) },
  ])
  const { machine, ending, console } = booted
  expect(ending.kind).toBe('handoff')
  expect(console).toContain('network: eth2: nobody answers at 10.0.2.2:80: other cards go first')
  const links = await machine.network.links()
  expect(links.filter(({ up }) => up).map(({ name }) => name)).toEqual(['eth0'])
  expect(machine.network.sent[0]?.message.options).toMatchObject({
    vendorClass: 'diskless',
    userClass: 'diskless',
    clientUuid: '006c1f3f4e000040008000525400123456',
  })
})

test('a VLAN over a bond of two carries it, and the new system has both (netboot.xyz#1747)', async () => {
  const vlans = { 5: { dhcp: dhcpServer() } }
  const booted = await boot(
    [
      { name: 'eth1', module: 'virtio_net', vlans },
      { name: 'eth0', module: 'virtio_net', mac: '52:54:00:00:00:01', carrierAfterMs: 'never', vlans },
    ],
    {
      commandLine: `${commandLine} bond=bond0:eth0,eth1:mode=active-backup vlan=bond0.5:bond0`,
      servers: servers(bare),
    },
  )
  const { machine, ending } = booted
  expect(ending.kind).toBe('handoff')
  // {MAC} is that of the first member, which is unplugged.
  expect(machine.servers.requests.map(({ url }) => url)).toContain(overlayUrl)
  const interfaces = await interfacesOf(booted)
  expect(interfaces).toContain(
    'iface bond0 inet manual\n\tbond-slaves eth0 eth1\n\tbond-mode active-backup\n',
  )
  expect(interfaces).toContain('iface bond0.5 inet dhcp\n\tvlan-raw-device bond0\n')
})

test('a fixed address is not lost in the new system; interfaces of the overlay stay (netboot.xyz#1485)', async () => {
  const card: LinkScript = { name: 'eth0', module: 'virtio_net', mac: '52:54:00:00:00:01' }
  const fixed = commandLine.replace('ip=dhcp', 'ip=10.0.2.77::10.0.2.2:24::eth0:off:10.0.2.3')
  const booted = await boot([card], { commandLine: fixed, servers: servers(bare) })
  expect(await interfacesOf(booted)).toBe(
    'auto lo\niface lo inet loopback\n\nauto eth0\niface eth0 inet static\n' +
      '\taddress 10.0.2.77\n\tnetmask 255.255.255.0\n\tgateway 10.0.2.2\n',
  )
  const withOwn = await boot([card], { commandLine: fixed })
  expect(await interfacesOf(withOwn)).toContain('iface eth0 inet dhcp\n')
})

test('a card whose driver lacks its firmware is told by name, with the file (grml#160, rancher/os#2877)', async () => {
  const scenario = networkBoot()
  const { console } = await boot([], {
    commandLine: `${commandLine} panic=1`,
    devices: [
      {
        path: 'devices/pci0000:00/0000:00:03.0',
        subsystem: 'pci',
        modalias: 'pci:v000014E4d00001639sv0000103Csd00007055bc02sc00i00',
        pciClass: '020000',
      },
    ],
    modules: { bnx2: { aliases: ['pci:v000014E4d00001639sv*sd*bc*sc*i*'] }, af_packet: {} },
    files: {
      ...scenario.files,
      '/etc/diskless/missing-firmware': 'bnx2 bnx2/bnx2-mips-09-6.2.1b.fw\n',
    },
  })
  expect(console.replace(/\s+/g, ' ')).toContain(
    'bnx2 asks for firmware that this initrd lacks: bnx2/bnx2-mips-09-6.2.1b.fw',
  )
  expect(console).toContain('--firmware')
})

test.each([
  ['vlan=eth0.4095:eth0', /vlan=eth0\.4095:eth0: 4095 is no VLAN/],
  ['bond=bond0:eth0:mode=quick', /the mode 'quick' is unknown: balance-rr, active-backup/],
  ['vlan=eth7.5:eth7', /there is no eth7, on which eth7\.5 is to lie; this machine has eth0/],
  ['ip=eth0:dhcp ip=eth1:dhcp bootdev=eth7', /none of them is for eth7, which bootdev= names/],
])('%s is told at the console', async (words, message) => {
  const { console } = await boot(
    [{ name: 'eth0', module: 'virtio_net', mac: '52:54:00:00:00:01', dhcp: dhcpServer() }],
    { commandLine: `${commandLine.replace('ip=dhcp ', '')} panic=1 ${words}` },
  )
  expect(console).toMatch(message)
})
