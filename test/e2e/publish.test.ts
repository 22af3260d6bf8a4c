/**
 * `diskless publish`: machines boot from what it wrote, by every loader, from power-on; DHCP, TFTP and HTTP are dnsmasq
 * and nginx on the very files that it wrote for them.
 */

import { spawnSync } from 'node:child_process'
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from 'vitest'
import { packageRoot } from '../../build/paths.ts'
import { kernelDirectory } from '../../scripts/kernel.ts'
import { password } from '../../scripts/repository/overlay.ts'
import { Machine, usualMac } from '../../src/cli/boot/machine.ts'
import { describeInLab } from '../support/lab/describe.ts'
import { Lab } from '../support/lab/index.ts'
import { dnsmasqOn, nginxOn } from '../support/lab/published.ts'
import type { Service } from '../support/lab/service.ts'
import { logIn, onlyCard, patience, runIn } from './guest.ts'

const busybox = createRequire(import.meta.url).resolve('busybox-static/bin/busybox')
const firmware = '/usr/share/OVMF/OVMF_CODE_4M.fd'
const loaders = ['/usr/lib/PXELINUX/pxelinux.0', '/usr/lib/grub/i386-pc/normal.mod', firmware]
const bootif = `BOOTIF=01-${usualMac.replaceAll(':', '-')}`

const missing = loaders.filter((file) => !existsSync(file))

/** The reason of a skip is in the name (scripts/test.ts prints it). */
function describeWithLoaders(name: string, tests: () => void): void {
  if (missing.length === 0) describeInLab(name, tests)
  else describe.skip(`${name} (needs ${missing.join(', ')})`, tests)
}

describeWithLoaders('what was published', () => {
  const scratch = mkdtempSync(join(tmpdir(), 'diskless-published-'))
  const www = join(scratch, 'www')
  let lab: Lab
  let http: Service
  let dhcp: Service | undefined
  let guest: Machine | undefined

  beforeAll(async () => {
    mkdirSync(join(scratch, 'boot'))
    symlinkSync(inject('image'), join(scratch, 'boot/vmlinuz'))
    symlinkSync(inject('initrd'), join(scratch, 'boot/initrd'))
    publish('')
    lab = await Lab.start({ dhcp: false, secondDhcp: {} })
    await lab.secondDhcp.stop()
    http = nginxOn(lab, www, scratch)
    await http.start()
  })
  afterEach(async () => {
    await guest?.stop()
    await dhcp?.kill()
  })
  afterAll(async () => {
    await http?.kill()
    await lab?.stop()
    rmSync(scratch, { recursive: true })
  })

  /** As a person does it; what it said. */
  function publish(more: string): string {
    writeFileSync(
      join(scratch, 'diskless.config.ts'),
      `import { defineConfig } from 'diskless'
export default defineConfig({
  boot: './boot',
  commandLine: 'console=ttyS0 diskless.idle=0',
  network: { server: '${Lab.address}/24', interface: 'br0' },
  overlay: '${inject('demo')}/{MAC}.apkovl.tar.gz',
  repositories: ['${inject('demo')}/apks'],
  ${more}
})
`,
    )
    const command = [join(packageRoot, 'src/cli/main.ts'), 'publish', www]
    const { status, stdout, stderr } = spawnSync(process.execPath, command, {
      cwd: scratch,
      encoding: 'utf8',
    })
    expect(status, stderr).toBe(0)
    return stdout
  }

  /** In place of the network above: a lease with a router is one that GRUB hands over. */
  const withRouter = `network: { server: '${Lab.address}/24', interface: 'br0', router: '${Lab.address}' }`
  const ownLease = / ip=10\.77\.0\.\d+:10\.77\.0\.1:10\.77\.0\.1:255\.255\.255\.0:::none( |$)/

  async function serve(file: string): Promise<Service> {
    dhcp = dnsmasqOn(lab, www, file, scratch)
    await dhcp.start()
    return dhcp
  }

  async function switchOn(options: { readonly efi?: boolean } = {}): Promise<Machine> {
    const variables = join(scratch, 'vars.fd')
    if (options.efi) copyFileSync('/usr/share/OVMF/OVMF_VARS_4M.fd', variables)
    const model = options.efi ? { model: 'virtio-net-pci,romfile=' } : {}
    const pflash = (file: string, more = '') => ['-drive', `if=pflash,format=raw,file=${file}${more}`]
    guest = await Machine.start({
      start: { by: 'network' },
      memoryMb: 768,
      // EFI firmware boots by its own PXE client: without the iPXE that QEMU's cards have.
      cards: [{ kind: 'tap', lab, ...model }, ...onlyCard.map((card) => ({ ...card, ...model }))],
      qemu: options.efi ? [...pflash(firmware, ',readonly=on'), ...pflash(variables)] : [],
    })
    return guest
  }

  /** Until init has the overlay: kernel, initrd, BOOTIF, the address and HTTP are then right. */
  async function bootsFrom(machine: Machine, loader: string, began: number): Promise<string> {
    await machine.console.waitFor(/Command line: .*\n/, 3 * patience)
    const kernel = performance.now() - began
    await machine.events.waitFor('phase', { name: 'overlay', state: 'done' }, 2 * patience)
    const seconds = (ms: number) => (ms / 1000).toFixed(1)
    const [, line = ''] = /Command line: (.*)\n/.exec(machine.console.text) ?? []
    console.log(
      `${loader}: the kernel ${seconds(kernel)} s and the overlay ${seconds(performance.now() - began)} s after power-on`,
    )
    // The other card has a DHCP server, too.
    expect(machine.console.text).toMatch(new RegExp(`network .*\\(${usualMac}\\) 10\\.77\\.0\\.\\d+/24`))
    return line.trim()
  }

  it('is told to each client by dnsmasq as it is for it: to BIOS, EFI and iPXE', async () => {
    publish('')
    const service = await serve('dnsmasq.conf')
    const [bios, efi, ipxe] = ['0x5d:0000', '0x5d:0007', '0x4d:69505845'] as const
    const told = [
      { says: [bios], file: 'ipxe/undionly.kpxe' },
      { says: [efi], file: 'ipxe/snponly.efi' },
      { says: [efi, ipxe], file: `http://${Lab.address}/boot.ipxe` },
    ]
    for (const { says, file } of told) {
      const given = says.flatMap((option) => ['-x', option])
      // Beside the server, where the other one is; -q: it ends with the lease, -n: or without.
      const client = [busybox, 'udhcpc', '-i', 'eth0', '-f', '-q', '-n', '-s', '/bin/true', ...given]
      await lab.run('ip', 'netns', 'exec', `${lab.namespace}-0`, ...client)
      await service.says(new RegExp(`bootfile name: ${file}`), patience)
    }
  })

  it('is booted by iPXE, which hands over its own lease, to a login', async () => {
    publish(`ip: 'lease', loaders: ['ipxe'],`)
    await serve('dnsmasq.conf')
    const began = performance.now()
    const machine = await switchOn()
    const line = await bootsFrom(machine, 'iPXE', began)
    expect(line).toContain(bootif)
    expect(line).toMatch(/ ip=10\.77\.0\.\d+:10\.77\.0\.1::255\.255\.255\.0:[^:]*::none: /)
    await logIn(machine, password, 4 * patience)
    console.log(`iPXE: a login ${((performance.now() - began) / 1000).toFixed(1)} s after power-on`)
    const { output } = await runIn(machine, 'cat /etc/apk/repositories; apk info | wc -l')
    expect(output).toContain(`http://${Lab.address}/repositories/apks`)
  })

  it('is booted by pxelinux, a machine of its own; published again it is another in little', async () => {
    const said = publish(`loaders: ['pxelinux'], ip: 'lease',
  machines: { '${usualMac}': { hostname: 'kiosk', address: '10.77.0.20', commandLine: 'greeting="of its own"' } },`)
    expect(said).toMatch(/\/vmlinuz|\d+ unchanged/)
    expect(said).not.toContain('+ files/')
    const service = await serve('dnsmasq.conf')
    const began = performance.now()
    const line = await bootsFrom(await switchOn(), 'pxelinux', began)
    expect(line).toContain(bootif)
    // As pxelinux writes it: client, server, gateway (none here), mask.
    expect(line).toMatch(/ ip=10\.77\.0\.20:10\.77\.0\.1:[\d.]+:255\.255\.255\.0( |$)/)
    expect(line).toContain('greeting="of its own"')
    expect(service.log).toMatch(/sent .*pxelinux\.cfg\/01-52-54-00-12-34-56 to 10\.77\.0\.20/)
    expect(service.log).toMatch(/DHCPACK\(br0\) 10\.77\.0\.20 \S+ kiosk/)
  })

  it('is booted by GRUB from BIOS', async () => {
    publish(`loaders: ['grub'], ip: 'lease', ${withRouter},`)
    const service = await serve('dnsmasq.conf')
    const began = performance.now()
    const line = await bootsFrom(await switchOn(), 'GRUB from BIOS', began)
    expect(line).toContain(`BOOTIF=01-${usualMac}`)
    expect(line).toMatch(ownLease)
    expect(service.log).toMatch(/sent .*grub\/bios\.0 to/)
  })

  it('is booted by GRUB from EFI firmware', async () => {
    publish(`loaders: ['grub'], ip: 'lease', ${withRouter},
  machines: { '${usualMac}': { commandLine: 'greeting="of its own"' } },`)
    const service = await serve('dnsmasq.conf')
    const began = performance.now()
    const line = await bootsFrom(await switchOn({ efi: true }), 'GRUB from EFI', began)
    expect(line).toContain(`BOOTIF=01-${usualMac}`)
    expect(line).toMatch(ownLease)
    expect(line).toContain('"greeting=of its own"')
    expect(service.log).toMatch(/sent .*grub\/x64\.efi to/)
    expect(service.log).toMatch(/sent .*grub\/grub\.cfg-01-52-54-00-12-34-56 to/)
  })

  it('is booted beside a DHCP server that knows nothing of it', async () => {
    publish('')
    await lab.secondDhcp.start()
    const service = await serve('dnsmasq-proxy.conf')
    const began = performance.now()
    const machine = await switchOn({ efi: true })
    const line = await bootsFrom(machine, 'iPXE, fetched by EFI firmware, by proxy DHCP', began)
    expect(line).toContain(bootif)
    expect(lab.log('second-dhcp')).toMatch(/sending ACK to 10\.77\.0\.2\d\d/i)
    expect(service.log).toMatch(/PXE\(br0\) 52:54:00:12:34:56 proxy/)
    expect(service.log).toMatch(/sent .*ipxe\/snponly\.efi to/)
  })
})

describe('what publish builds by itself', () => {
  const scratch = mkdtempSync(join(tmpdir(), 'diskless-built-'))
  const www = join(scratch, 'www')
  afterAll(() => rmSync(scratch, { recursive: true }))

  const publish = (...words: string[]) =>
    spawnSync(process.execPath, [join(packageRoot, 'src/cli/main.ts'), 'publish', www, ...words], {
      cwd: scratch,
      encoding: 'utf8',
      // What an earlier run built is not taken.
      env: { ...process.env, NO_COLOR: '1', XDG_CACHE_HOME: join(scratch, 'cache') },
    })

  it('is what diskless build makes, which all guests here boot; by a configuration and by options', async () => {
    const kernel = await kernelDirectory()
    const modules = ['virtio', 'common-ethernet', 'vlan-bond']
    const keys = `${inject('demo')}/keys`
    writeFileSync(
      join(scratch, 'diskless.config.ts'),
      `import { defineConfig } from 'diskless'
export default defineConfig({
  build: { kernel: '${kernel}', modules: ${JSON.stringify(modules)}, keys: ['${keys}'] },
  network: { server: '10.0.0.1/24' },
})
`,
    )
    const { status, stderr, stdout } = publish()
    expect(status, stderr).toBe(0)
    const [vmlinuz = '', initrd = ''] = [...stdout.matchAll(/^ {2}\+ (files\/\S+\/(?:vmlinuz|initrd))$/gm)]
      .map(([, path = '']) => path)
      .sort((a, b) => (a.endsWith('vmlinuz') ? -1 : b.endsWith('vmlinuz') ? 1 : 0))
    const bytes = (path: string) => readFileSync(join(www, path))
    expect(bytes(vmlinuz).equals(readFileSync(inject('image')))).toBe(true)
    expect(bytes(initrd).equals(readFileSync(inject('initrd')))).toBe(true)
    for (const file of ['boot.ipxe', 'pxelinux.cfg/default', 'grub/grub.cfg']) {
      if (!existsSync(join(www, file))) continue
      expect(bytes(file).toString('utf8')).toContain(vmlinuz)
      expect(bytes(file).toString('utf8')).toContain(initrd)
    }
    expect(publish('--check').stdout).toMatch(/, whole; not signed\n$/)

    rmSync(join(scratch, 'diskless.config.ts'))
    const words = ['--kernel', kernel, '--modules', modules.join(','), '--keys', keys]
    const again = publish(...words, '--server', '10.0.0.1/24')
    expect(again.status, again.stderr).toBe(0)
    expect(again.stdout).toContain('nothing changed')
  })
})
