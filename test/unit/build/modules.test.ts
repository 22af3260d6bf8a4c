import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { moduleName, readCatalog } from '../../../build/catalog.ts'
import { CommandError } from '../../../build/error.ts'
import { findFirmware } from '../../../build/firmware.ts'
import { selectModules, writeTables } from '../../../build/modules.ts'
import { kernelFiles, kernelModule, temporaryDirectory, version, writeFiles } from './synthetic.ts'

type Files = Record<string, Buffer | string>

function catalogOf(files: Files = kernelFiles()) {
  const root = temporaryDirectory()
  writeFiles(root, files)
  return readCatalog(join(root, 'lib/modules', version), join(root, 'cache'))
}

/** What a request adds to what is always there. */
function chosen(files: Files, ...requests: string[]): string[] {
  const { modules } = selectModules(catalogOf(files), requests)
  return modules.map(({ name }) => name)
}

describe('choosing modules', () => {
  it('follows dependencies and soft dependencies, and leaves the rest out', () => {
    const names = chosen(kernelFiles(), 'acme_net')
    expect(names.sort()).toEqual(['acme_bus', 'acme_net', 'acme_phy', 'crc32c_generic', 'failover'])
  })

  it('takes a name with a dash, an alias, and what the kernel has built in', () => {
    expect(chosen(kernelFiles(), 'acme-net')).toContain('acme_net')
    expect(chosen(kernelFiles(), 'fs-ext4')).toContain('ext4')
    expect(chosen(kernelFiles(), 'libphy')).toEqual(['crc32c_generic'])
  })

  it('follows what the kernel asks for at run time', () => {
    const files = kernelFiles()
    const path = `lib/modules/${version}/kernel/crypto/crc32c_generic.ko`
    files[path.replace('generic', 'fast')] = kernelModule(['name=crc32c_fast', 'alias=crypto-crc32c'])
    expect(chosen(files, 'ext4')).toContain('crc32c_fast')
  })

  it('takes a group by its rule', () => {
    expect(chosen(kernelFiles(), 'ethernet')).toContain('acme_net')
    expect(chosen(kernelFiles(), 'ethernet')).not.toContain('unrelated')
  })

  it('takes cards of every bus for ethernet, with VLANs and bonds', () => {
    const files = kernelFiles()
    const add = (path: string, name: string, alias: string) => {
      files[`lib/modules/${version}/kernel/${path}`] = kernelModule([`name=${name}`, `alias=${alias}`])
    }
    add('drivers/net/hyperv/hv_netvsc.ko', 'hv_netvsc', 'vmbus:635161f83edfc546913ff2d2f965ed0e')
    add('drivers/net/xen-netfront.ko', 'xen_netfront', 'xen:vif')
    add('drivers/net/virtio_net.ko', 'virtio_net', 'virtio:d00000001v*')
    add('drivers/net/ethernet/broadcom/genet/genet.ko', 'genet', 'of:N*T*Cbrcm,bcm2711-genet-v5')
    add('drivers/net/ethernet/acme/acme-acpi.ko', 'acme_acpi', 'acpi*:ACME0001:*')
    add('drivers/net/ethernet/smsc/smsc911x.ko', 'smsc911x', 'platform:smsc911x')
    add('drivers/net/usb/r8152.ko', 'r8152', 'usb:v0BDAp8153d*dc*dsc*dp*icFFiscFFip00in*')
    add('net/8021q/8021q.ko', '8021q', 'rtnl-link-vlan')
    add('drivers/net/bonding/bonding.ko', 'bonding', 'rtnl-link-bond')
    const wired = ['8021q', 'acme_acpi', 'acme_net', 'bonding', 'genet', 'hv_netvsc', 'smsc911x']
    expect(chosen(files, 'ethernet')).toEqual(
      expect.arrayContaining([...wired, 'virtio_net', 'xen_netfront']),
    )
    expect(chosen(files, 'ethernet')).not.toContain('r8152')
    expect(chosen(files, 'usb-ethernet')).toContain('r8152')
    expect(chosen(files, 'vlan-bond')).toEqual(expect.arrayContaining(['8021q', 'bonding']))
  })

  it('names the nearest module or group for a typo', () => {
    const advice = (request: string) => {
      try {
        chosen(kernelFiles(), request)
      } catch (error) {
        return error instanceof CommandError ? error.advice[0] : undefined
      }
    }
    expect(advice('acme_nte')).toBe("Did you mean 'acme_net'?")
    expect(advice('virtoi')).toBe("Did you mean 'virtio'?")
    expect(advice('nothing_like_it')).toMatch(/^Groups: /)
  })

  it('refuses a modules directory that lacks a dependency', () => {
    const files = kernelFiles()
    delete files[`lib/modules/${version}/kernel/net/failover.ko`]
    expect(() => chosen(files, 'acme_net')).toThrow(/needs failover, which .* does not have/)
  })
})

describe("depmod's tables", () => {
  it('lists dependencies so that loading from the last to the first works', () => {
    const catalog = catalogOf()
    const { modules } = selectModules(catalog, ['acme_net'])
    const tables = writeTables(catalog, modules)
    expect(tables.get('modules.dep')?.split('\n')).toContain(
      'kernel/drivers/net/ethernet/acme/acme-net.ko: kernel/drivers/bus/acme-bus.ko kernel/net/failover.ko',
    )
    expect(tables.get('modules.softdep')).toBe('softdep acme_net pre: acme_phy\n')
    expect(tables.get('modules.alias')).toContain('alias pci:v00001AF4d00001000sv*sd*bc*sc*i* acme_net\n')
    expect(tables.get('modules.alias')).not.toContain('ext4')
    expect(tables.get('modules.builtin')).toContain('kernel/drivers/net/phy/libphy.ko')
  })

  const installed = existsSync('/lib/modules') ? readdirSync('/lib/modules') : []
  const real = installed
    .map((name) => join('/lib/modules', name))
    .find((path) => existsSync(`${path}/modules.dep`))

  it.skipIf(real === undefined)("says of a real kernel's modules what depmod says", () => {
    const directory = real ?? ''
    const catalog = readCatalog(directory, temporaryDirectory())
    const tables = writeTables(catalog, [...catalog.modules.values()])
    const dependencies = (text: string) =>
      new Map(
        text
          .split('\n')
          .filter(Boolean)
          .map((line) => [
            moduleName(line.split(':')[0] ?? ''),
            line.split(/[: ]+/).slice(1).filter(Boolean).map(moduleName),
          ]),
      )
    const ours = dependencies(tables.get('modules.dep') ?? '')
    const theirs = dependencies(readFileSync(join(directory, 'modules.dep'), 'utf8'))
    const sorted = (table: Map<string, string[]>) =>
      [...table].map(([name, list]) => [name, ...list.sort()].join(' '))
    const wrong = [...ours].filter(([, list]) =>
      list.some((name, at) => (ours.get(name) ?? []).some((needed) => list.indexOf(needed) < at)),
    )
    expect(wrong, 'dependencies out of order').toEqual([])
    expect(sorted(ours).sort()).toEqual(sorted(theirs).sort())
    const aliases = (text: string) => new Set(text.split('\n').filter((line) => line.startsWith('alias ')))
    const theirAliases = aliases(readFileSync(join(directory, 'modules.alias'), 'utf8'))
    expect(aliases(tables.get('modules.alias') ?? '')).toEqual(theirAliases)
  })
})

describe('compressed modules', () => {
  it.each([
    ['gz', gzipSync],
    ['zst', zstdCompressSync],
  ] as const)('are read and stored plain: %s', (suffix, compress) => {
    const files: Files = {}
    for (const [name, content] of Object.entries(kernelFiles())) {
      if (name.endsWith('.ko')) files[`${name}.${suffix}`] = compress(Buffer.from(content))
      else files[name] = content
    }
    const plain = catalogOf()
    const packed = catalogOf(files)
    expect([...packed.modules.keys()].sort()).toEqual([...plain.modules.keys()].sort())
    const [module] = packed.resolve('acme_net')
    const [same] = plain.resolve('acme_net')
    if (module === undefined || same === undefined) throw new Error('acme_net is not there')
    expect(module.path).toBe(same.path)
    expect(packed.read(module)).toEqual(plain.read(same))
  })
})

describe('the catalog', () => {
  it('reads a changed module anew', () => {
    const root = temporaryDirectory()
    writeFiles(root, kernelFiles())
    const directory = join(root, 'lib/modules', version)
    const names = () => [...readCatalog(directory, join(root, 'cache')).modules.keys()]
    expect(names()).toContain('unrelated')
    rmSync(join(directory, 'kernel/drivers/other/unrelated.ko'))
    expect(names()).not.toContain('unrelated')
  })
})

describe('firmware', () => {
  it('is found plain or compressed, and what is missing is told with who names it', () => {
    const root = temporaryDirectory()
    writeFiles(root, { 'b/acme/net.bin.zst': zstdCompressSync(Buffer.from('packed')) })
    const { modules } = selectModules(catalogOf(), ['acme_net'])
    const { files, missing } = findFirmware(modules, [join(root, 'a'), join(root, 'b')])
    expect(files.get('acme/net.bin')?.toString()).toBe('packed')
    expect([...missing]).toEqual([['acme/absent.bin', 'acme_net']])
  })
})
