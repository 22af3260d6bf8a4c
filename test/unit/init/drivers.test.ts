/** Drivers for cards on every bus, by the modaliases that kernels really write (pains 1 and 14: netboot.xyz#1599, grml#160). */

import { describe, expect, test } from 'vitest'
import { parseCommandLine } from '../../../src/boot/command-line.ts'
import { type BootPlan, makePlan } from '../../../src/boot/plan.ts'
import { loadDrivers } from '../../../src/init/drivers.ts'
import type { Report } from '../../../src/init/story.ts'
import { driverlessCards, isNetworkCard, parseMissingFirmware } from '../../../src/network/cards.ts'
import { noNetworkError } from '../../../src/network/join-errors.ts'
import type { Device, Link } from '../../../src/sys/index.ts'
import { type DeviceScript, fakeMachine, type ModuleScript } from '../../support/machine/index.ts'

async function load(
  devices: readonly DeviceScript[],
  modules: Readonly<Record<string, ModuleScript>>,
  waitMs = 0,
): Promise<readonly string[]> {
  const machine = fakeMachine({ devices, modules })
  const plan = planOf('ip=dhcp', 2 ** 30)
  const over = new AbortController()
  const running: Promise<void>[] = []
  await machine.run(loadDrivers(machine, plan, reportOn(over.signal, running)))
  await machine.clock.advance(waitMs)
  over.abort()
  await Promise.all(running)
  return [...machine.modules.loaded.keys()].filter((name) => name !== 'af_packet')
}

function planOf(commandLine: string, memoryAvailable: number): BootPlan {
  const identity = { uuid: undefined, product: undefined, kernel: '6.1', architecture: 'x86_64' }
  return makePlan(parseCommandLine(commandLine), { ...identity, memoryAvailable, clock: undefined })
}

function reportOn(signal: AbortSignal, running: Promise<void>[]): Report {
  const silent = () => {}
  return {
    signal,
    hosts: new Map(),
    ...{ detail: silent, notice: silent, note: silent, warn: silent, progress: silent },
    meanwhile: (_, run) => running.push(run(signal)),
  }
}

const pci = 'devices/pci0000:00/0000:00'

describe('a card is driven, on whatever bus it is', () => {
  test.each<[string, Partial<DeviceScript> & { readonly modalias: string }, string, string]>([
    [
      'PCI, class 02',
      { modalias: 'pci:v00008086d0000100Esv00001AF4sd00001100bc02sc00i00', pciClass: '020000' },
      'e1000',
      'pci:v00008086d0000100Esv*sd*bc*sc*i*',
    ],
    [
      'PCI, class 0280: a card that is not quite Ethernet',
      { modalias: 'pci:v000015B3d00001017sv000015B3sd00000020bc02sc07i00', pciClass: '020700' },
      'mlx5_core',
      'pci:v000015B3d00001017sv*sd*bc*sc*i*',
    ],
    ['virtio', { modalias: 'virtio:d00000001v00001AF4' }, 'virtio_net', 'virtio:d00000001v*'],
    [
      'USB, by its vendor',
      { modalias: 'usb:v0BDAp8153d3000dc00dsc00dp00icFFiscFFip00in00' },
      'r8152',
      'usb:v0BDAp8153d*dc*dsc*dp*icFFiscFFip00in*',
    ],
    [
      'USB, by its class (CDC Ethernet)',
      { modalias: 'usb:v0525pA4A2d0404dc02dsc00dp00ic02isc06ip00in00' },
      'cdc_ether',
      'usb:v*p*d*dc*dsc*dp*ic02isc06ip00in*',
    ],
    [
      'Hyper-V',
      { modalias: 'vmbus:635161f83edfc546913ff2d2f965ed0e' },
      'hv_netvsc',
      'vmbus:635161f83edfc546913ff2d2f965ed0e',
    ],
    ['Xen', { modalias: 'xen:vif' }, 'xen_netfront', 'xen:vif'],
    [
      'a device tree',
      { modalias: 'of:NethernetT(null)Cbrcm,bcm2711-genet-v5' },
      'genet',
      'of:N*T*Cbrcm,bcm2711-genet-v5',
    ],
    ['ACPI', { modalias: 'acpi:BCM6E4E:' }, 'genet', 'acpi*:BCM6E4E:*'],
    ['a platform', { modalias: 'platform:smsc911x' }, 'smsc911x', 'platform:smsc911x'],
  ])('%s', async (_, device, module, alias) => {
    const loaded = await load([{ path: `${pci}:03.0`, ...device }], { [module]: { aliases: [alias] } })
    expect(loaded).toEqual([module])
  })

  test('behind a bus of which the driver comes first: Hyper-V’s VMBus, found by ACPI', async () => {
    const devices: DeviceScript[] = [
      { path: 'devices/LNXSYSTM:00/VMBUS:00', modalias: 'acpi:VMBUS:VMBUS:' },
      {
        path: 'devices/LNXSYSTM:00/VMBUS:00/5620e0c7',
        modalias: 'vmbus:635161f83edfc546913ff2d2f965ed0e',
        module: 'hv_vmbus',
        afterMs: 5,
      },
    ]
    const modules = {
      hv_vmbus: { aliases: ['acpi*:VMBUS:*', 'acpi*:VMBus:*'] },
      hv_netvsc: { aliases: ['vmbus:635161f83edfc546913ff2d2f965ed0e'], dependencies: ['hv_vmbus'] },
    }
    expect(await load(devices, modules, 100)).toEqual(['hv_vmbus', 'hv_netvsc'])
  })

  test('a USB adapter that is plugged in ten seconds later', async () => {
    const modalias = 'usb:v0B95p1790d0100dcFFdscFFdp00icFFiscFFip00in00'
    const devices: DeviceScript[] = [
      { path: `${pci}:14.0`, modalias: 'pci:v00008086d0000A36Dsv*', pciClass: '0c0330' },
      { path: `${pci}:14.0/usb2/2-1`, modalias, module: 'xhci_pci', afterMs: 10_000 },
    ]
    const modules = {
      xhci_pci: { aliases: ['pci:v00008086d0000A36D*'] },
      ax88179_178a: { aliases: ['usb:v0B95p1790d*dc*dsc*dp*icFFiscFFip00in*'] },
    }
    expect(await load(devices, modules, 11_000)).toEqual(['xhci_pci', 'ax88179_178a'])
  })

  test('before what is not in a hurry, when its bus has only just been driven', async () => {
    const devices: DeviceScript[] = [
      { path: `${pci}:03.0`, modalias: 'pci:v00001AF4d00001000', pciClass: '020000' },
      {
        path: `${pci}:03.0/virtio0`,
        modalias: 'virtio:d00000001v00001AF4',
        module: 'virtio_pci',
        afterMs: 0,
      },
    ]
    const modules = {
      virtio_pci: { aliases: ['pci:v00001AF4d*'], loadMs: 10 },
      virtio_net: { aliases: ['virtio:d00000001v*'], loadMs: 50 },
      ...{ loop: {}, squashfs: {}, overlay: {} },
    }
    const late = ['loop', 'squashfs', 'overlay']
    expect(await load(devices, modules, 100)).toEqual(['virtio_pci', 'virtio_net', ...late])
  })

  test('cards come before disks, whatever the order of the buses', async () => {
    const devices: DeviceScript[] = [
      { path: `${pci}:01.0`, modalias: 'pci:v00008086d00002922bc01', pciClass: '010601' },
      { path: `${pci}:02.0/virtio0`, modalias: 'virtio:d00000001v00001AF4' },
    ]
    const modules = {
      ahci: { aliases: ['pci:v*d*bc01'] },
      virtio_net: { aliases: ['virtio:d00000001v*'], loadMs: 50 },
    }
    expect(await load(devices, modules)).toEqual(['virtio_net', 'ahci'])
  })
})

describe('a card without its firmware is told by name (grml#160, rancher/os#2877)', () => {
  const card = (more: Partial<Device> = {}): Device => ({
    path: `${pci}:03.0`,
    subsystem: 'pci',
    modalias: 'pci:v000014E4d00001639sv*',
    pciClass: '020000',
    driver: undefined,
    devname: undefined,
    ...more,
  })
  const missing = parseMissingFirmware(
    'bnx2 bnx2/bnx2-mips-09-6.2.1b.fw\nbnx2 bnx2/bnx2-rv2p-09-6.0.17.fw\nbnx2x bnx2x/a\nbnx2x bnx2x/b\nbnx2x bnx2x/c\nbnx2x bnx2x/d\n',
  )
  const modules = async (names: readonly string[]) => names

  test('its driver was there and did not take it', async () => {
    expect(await driverlessCards([card()], () => modules(['bnx2']), missing)).toEqual([
      '0000:00:03.0 (pci:v000014E4d00001639sv*), as bnx2 asks for firmware that this initrd lacks: bnx2/bnx2-mips-09-6.2.1b.fw, bnx2/bnx2-rv2p-09-6.0.17.fw',
    ])
  })

  test('it has a driver that wants none, or no driver at all', async () => {
    expect(await driverlessCards([card()], () => modules(['e1000']), missing)).toEqual([
      '0000:00:03.0 (pci:v000014E4d00001639sv*), for which e1000 was tried',
    ])
    expect(await driverlessCards([card()], () => modules([]), missing)).toEqual([
      '0000:00:03.0 (pci:v000014E4d00001639sv*)',
    ])
  })

  test('cards with a driver, and what is no card, are not told', async () => {
    const others = [card({ driver: 'bnx2' }), card({ pciClass: '010000' })]
    expect(await driverlessCards(others, () => modules(['bnx2']), missing)).toEqual([])
    expect(isNetworkCard(card({ pciClass: undefined, modalias: 'xen:vif' }))).toBe(true)
    expect(isNetworkCard(card({ pciClass: undefined, modalias: 'xen:vbd' }))).toBe(false)
  })

  test('it has a driver, and cannot be brought up', () => {
    const link: Link = {
      ...{ index: 2, name: 'eth0', mac: '52:54:00:00:00:01', mtu: 1500, up: false, carrier: false },
      ...{ physical: true, driver: 'bnx2x' },
    }
    const error = noNetworkError([{ kind: 'broken', link, error: new Error('ENOENT') }], missing)
    expect(error.advice).toEqual([
      'Its driver bnx2x may ask for firmware that this initrd lacks (bnx2x/a, bnx2x/b, bnx2x/c and 1 more): build it with --firmware DIR.',
    ])
  })
})

test.each([
  ['ip=dhcp root=nfs:10.0.0.1:/depot', 48, true],
  ['ip=dhcp root=nfs:10.0.0.1:/depot', 900, false],
  ['ip=dhcp', 48, true],
  // The new system gets them.
  ['ip=dhcp diskless.modules=keep', 48, false],
])(
  '%s with %i MiB left: the files of loaded modules are given up: %s',
  async (commandLine, mib, discards) => {
    const machine = fakeMachine({})
    const over = new AbortController()
    const running: Promise<void>[] = []
    await machine.run(loadDrivers(machine, planOf(commandLine, mib << 20), reportOn(over.signal, running)))
    over.abort()
    await Promise.all(running)
    expect(machine.modules.discards).toBe(discards)
  },
)
