import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { readCatalog } from '../../../build/catalog.ts'
import { build } from '../../../build/index.ts'
import { describeDrivers, driversOf, parseModaliases } from '../../../build/machine.ts'
import { selectModules } from '../../../build/modules.ts'
import { parse } from '../../../src/cli/build.ts'
import {
  kernelFiles,
  kernelImage,
  kernelModule,
  program,
  temporaryDirectory,
  version,
  writeFiles,
} from './synthetic.ts'

const modules = `lib/modules/${version}`

function kernel(change: Record<string, Buffer | string> = {}) {
  const root = temporaryDirectory()
  writeFiles(root, {
    ...kernelFiles(),
    [`${modules}/kernel/drivers/ata/ahci.ko`]: kernelModule([
      'name=ahci',
      'alias=pci:v*d*sv*sd*bc01sc06i01*',
    ]),
    [`${modules}/kernel/drivers/gpu/drm/acme/acme-gpu.ko`]: kernelModule([
      'name=acme_gpu',
      'alias=pci:v00001002d*',
    ]),
    [`${modules}/kernel/drivers/net/wireless/acme-wifi.ko`]: kernelModule(['alias=pci:v00001111d*']),
    [`${modules}/kernel/drivers/input/acpi-keys.ko`]: kernelModule(['alias=acpi*:ACME0001:*']),
    [`${modules}/modules.builtin.modinfo`]:
      'xhci_pci.alias=pci:v*d*sv*sd*bc0Csc03i30*\0xhci_pci.license=GPL\0',
    ...change,
  })
  return { root, catalog: readCatalog(join(root, modules), join(root, 'cache')) }
}

const card = 'pci:v00001AF4d00001000sv00001AF4sd00000001bc02sc00i00'
const strangeCard = 'pci:v00009999d00001000sv00001AF4sd00000001bc02sc00i00'
const list = [
  card,
  'pci:v00008086d00002822sv00008086sd00000000bc01sc06i01',
  'pci:v00001002d000073BFsv00001002sd00000000bc03sc00i00',
  'pci:v00001111d00000001sv00001002sd00000000bc02sc80i00',
  'pci:v00008086d0000A0EDsv00001002sd00000000bc0Csc03i30',
  'acpi:ACME0001:ACME:',
  'acpi:PNP0C02:',
]

describe('a machine’s drivers', () => {
  it('are those of its cards, disks and keyboards; the rest is told', () => {
    const drivers = driversOf(kernel().catalog, [...list, strangeCard])
    expect(drivers.modules.map(({ name }) => name).sort()).toEqual(['acme_net', 'acpi_keys', 'ahci'])
    expect(drivers).toMatchObject({
      builtin: 1,
      passedOver: ['acme_gpu', 'acme_wifi'],
      driverless: [strangeCard],
      others: 1,
    })
    const [first, second] = describeDrivers(drivers, version)
    expect(first).toContain(`Linux ${version} has no driver of this device`)
    expect(first).toContain(strangeCard)
    expect(second).toContain('acme_gpu, acme_wifi')
  })

  it('come with what they need, and in place of the usual groups', async () => {
    const { root, catalog } = kernel()
    const chosen = selectModules(catalog, [], driversOf(catalog, [card]).modules)
    expect(chosen.modules.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['acme_net', 'acme_bus', 'failover', 'acme_phy']),
    )
    writeFiles(root, { init: program(1), 'kiosk.txt': `${list.join('\n')}\n` })
    const request = parse([
      ...['--kernel', root, '--out', join(root, 'out'), '--from-machine', join(root, 'kiosk.txt')],
    ])
    expect(request.modules).toEqual([])
    const result = await build({ ...request, init: join(root, 'init'), level: 1, cache: join(root, 'cache') })
    expect(result.report.rows.map(({ part }) => part)).toContain('modules: this machine')
    expect(result.warnings.join('\n')).toContain('left to the new system')
  })

  it('are read from what the one-line command prints, and from nothing else', () => {
    expect(parseModaliases(`${card}\n\n${card}\n`, 'x')).toEqual([card])
    expect(() => parseModaliases('', 'list.txt')).toThrow('list.txt is empty')
    expect(() => parseModaliases('root@kiosk: no such file\nls\n', 'list.txt')).toThrow(
      expect.objectContaining({
        message: expect.stringContaining('list.txt is no list of modaliases'),
        advice: [expect.stringContaining('find /sys -name modalias')],
      }),
    )
  })
})

describe('a kernel that does not fit', () => {
  it('has nothing of a group that was asked for', () => {
    const { catalog } = kernel()
    expect(() => selectModules(catalog, ['usb-ethernet'])).toThrow(
      expect.objectContaining({
        message: expect.stringContaining('the group usb-ethernet matches nothing'),
        advice: [expect.stringContaining('Leave usb-ethernet out')],
      }),
    )
    expect(() => selectModules(catalog, ['ethernet', 'storage'])).not.toThrow()
  })

  it('has modules of another build', async () => {
    const { root } = kernel({
      [`${modules}/kernel/crypto/crc32c_generic.ko`]: kernelModule([
        'name=crc32c_generic',
        'vermagic=6.1.0-other SMP',
      ]),
      init: program(1),
    })
    const options = { kernel: root, modules: [], init: join(root, 'init'), out: join(root, 'out') }
    await expect(build({ ...options, cache: join(root, 'cache') })).rejects.toThrow(
      /are of Linux 6\.1\.0-other, and the kernel is 6\.1\.0-test/,
    )
  })

  it('has no modules at all', async () => {
    const root = temporaryDirectory()
    writeFiles(root, { [`${modules}/kernel/README`]: 'nothing', vmlinuz: kernelImage('6.1.0-test') })
    const options = { kernel: root, modules: [], out: join(root, 'out'), cache: join(root, 'cache') }
    await expect(build({ ...options, image: join(root, 'vmlinuz') })).rejects.toMatchObject({
      message: expect.stringContaining('holds not a single kernel module'),
      advice: [expect.stringContaining('linux-image')],
    })
  })
})
