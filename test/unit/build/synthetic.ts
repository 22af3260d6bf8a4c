/** Small inputs for the builder's tests: ELF files, kernel images, a kernel with a handful of modules, tar archives. */

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { onTestFinished } from 'vitest'
import type { BuildOptions } from '../../../build/index.ts'

/** A directory that is gone after the test. */
export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'diskless-test-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

export function writeFiles(root: string, files: Readonly<Record<string, string | Uint8Array>>): void {
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, name)), { recursive: true })
    writeFileSync(join(root, name), content)
  }
}

/** A quick build of tree/ and init in `root`, which `kernelFiles` and `program` make, for one card's driver. */
export function optionsIn(root: string): BuildOptions {
  return {
    kernel: join(root, 'tree'),
    modules: ['acme_net'],
    init: join(root, 'init'),
    out: join(root, 'out'),
    cache: join(root, 'cache'),
    level: 1,
    buildTime: 1_700_000_000,
  }
}

/** A 64-bit ELF file with a .modinfo and a .shstrtab and nothing else. */
export function kernelModule(modinfo: readonly string[]): Buffer {
  const content = Buffer.from(modinfo.map((line) => `${line}\0`).join(''))
  const names = Buffer.from('\0.modinfo\0.shstrtab\0')
  const table = 64 + content.length + names.length
  const header = elfHeader()
  header.writeBigUInt64LE(BigInt(table), 40)
  header.writeUInt16LE(64, 58)
  header.writeUInt16LE(3, 60)
  header.writeUInt16LE(2, 62)
  const section = (name: number, offset: number, size: number) => {
    const bytes = Buffer.alloc(64)
    bytes.writeUInt32LE(name, 0)
    bytes.writeBigUInt64LE(BigInt(offset), 24)
    bytes.writeBigUInt64LE(BigInt(size), 32)
    return bytes
  }
  return Buffer.concat([
    ...[header, content, names],
    ...[section(0, 0, 0), section(1, 64, content.length), section(10, 64 + content.length, names.length)],
  ])
}

/** A program with one program header: PT_INTERP (3) or PT_LOAD (1). */
export function program(headerType: 1 | 3): Buffer {
  const header = elfHeader()
  header.writeBigUInt64LE(64n, 32)
  header.writeUInt16LE(56, 54)
  header.writeUInt16LE(1, 56)
  const programHeader = Buffer.alloc(56)
  programHeader.writeUInt32LE(headerType, 0)
  return Buffer.concat([header, programHeader])
}

function elfHeader(): Buffer {
  const header = Buffer.alloc(64)
  header.write('\x7fELF', 0, 'latin1')
  header[4] = 2
  header[5] = 1
  return header
}

/** The start of an x86 kernel image that says its version. */
export function kernelImage(version: string): Buffer {
  const image = Buffer.alloc(0x400)
  image.write('HdrS', 0x202, 'latin1')
  image.writeUInt16LE(0x100, 0x20e)
  image.write(`${version} (builder@host) #1 SMP\0`, 0x300, 'latin1')
  return image
}

export const version = '6.1.0-test'

/** The files of a kernel below its root: a card that needs a bus and a PHY, a file system that needs a checksum. */
export function kernelFiles(): Record<string, Buffer | string> {
  const modules = `lib/modules/${version}`
  return {
    [`boot/vmlinuz-${version}`]: kernelImage(version),
    [`${modules}/kernel/drivers/net/ethernet/acme/acme-net.ko`]: kernelModule([
      'name=acme_net',
      'alias=pci:v00001AF4d00001000sv*sd*bc*sc*i*',
      'depends=acme-bus,failover',
      'softdep=pre: acme_phy',
      'firmware=acme/net.bin',
      'firmware=acme/absent.bin',
    ]),
    [`${modules}/kernel/drivers/bus/acme-bus.ko`]: kernelModule(['name=acme_bus', 'depends=failover']),
    [`${modules}/kernel/net/failover.ko`]: kernelModule(['name=failover', 'depends=']),
    [`${modules}/kernel/drivers/net/phy/acme_phy.ko`]: kernelModule(['name=acme_phy', 'depends=libphy']),
    [`${modules}/kernel/fs/ext4/ext4.ko`]: kernelModule(['name=ext4', 'alias=fs-ext4', 'depends=']),
    [`${modules}/kernel/crypto/crc32c_generic.ko`]: kernelModule([
      'name=crc32c_generic',
      'alias=crc32c',
      'alias=crypto-crc32c',
    ]),
    [`${modules}/kernel/drivers/other/unrelated.ko`]: kernelModule(['name=unrelated', 'depends=']),
    [`${modules}/modules.builtin`]: 'kernel/drivers/net/phy/libphy.ko\nkernel/fs/unix.ko\n',
    'lib/firmware/acme/net.bin': 'firmware of the card',
  }
}

/** A ustar archive of regular files, in order. */
export function tar(files: Readonly<Record<string, string | Uint8Array>>): Buffer {
  const blocks = Object.entries(files).flatMap(([name, text]) => {
    const content = Buffer.from(text)
    const header = Buffer.alloc(512)
    header.write(name, 0)
    header.write('0000644\0', 100)
    header.write(`${content.length.toString(8).padStart(11, '0')}\0`, 124)
    header.write('00000000001\0', 136)
    header.write('        ', 148)
    header.write('0ustar\0', 156)
    const sum = header.reduce((total, byte) => total + byte, 0)
    header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
    return [header, Buffer.concat([content], Math.ceil(content.length / 512) * 512)]
  })
  return Buffer.concat([...blocks, Buffer.alloc(1024)])
}

/** An ar archive, Debian's outer layer. */
export function ar(members: Readonly<Record<string, Uint8Array>>): Buffer {
  const pieces = Object.entries(members).flatMap(([name, content]) => [
    Buffer.from(
      `${name.padEnd(16)}${'0'.padEnd(12)}${'0'.padEnd(6)}${'0'.padEnd(6)}${'100644'.padEnd(8)}` +
        `${String(content.length).padEnd(10)}\`\n`,
    ),
    Buffer.concat([content], content.length + (content.length % 2)),
  ])
  return Buffer.concat([Buffer.from('!<arch>\n'), ...pieces])
}
