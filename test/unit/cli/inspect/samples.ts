/** Small files of each kind, and `diskless inspect` of them. */

import { spawnSync } from 'node:child_process'
import { type Entry, paddingAfter, writeCpio } from '../../../../build/cpio.ts'
import { CommandError } from '../../../../build/error.ts'
import { bytesOf } from '../../../../src/cli/inspect/bytes.ts'
import { inspectBytes } from '../../../../src/cli/inspect/recognise.ts'
import type { Inspection } from '../../../../src/cli/inspect/report.ts'
import { printSheet } from '../../../../src/cli/sheet.ts'
import { key } from '../../../support/scenario.ts'

export const given = new Map([[key.name, Buffer.from(key.publicPem)]])
export const look = (bytes: Buffer, keys = new Map<string, Buffer>(), all = false): Inspection =>
  inspectBytes(bytesOf(bytes), { subject: 'it', keys, all })
export const shown = ({ sheet }: Inspection) => printSheet(sheet, { width: 100, style: (_, text) => text })
export const refusal = (bytes: Buffer): CommandError => {
  try {
    look(bytes)
  } catch (error) {
    if (error instanceof CommandError) return error
    throw error
  }
  throw new Error('it was inspected')
}

export const plain = (text: string | Buffer): Entry => ({
  kind: 'file',
  mode: 0o644,
  bytes: Buffer.from(text),
})
export const bytecode = Buffer.alloc(1000, 7)
export const length = Buffer.alloc(8)
length.writeBigUInt64LE(BigInt(bytecode.length))
export const init = Buffer.concat([Buffer.alloc(5000, 1), bytecode, length, Buffer.from('DISKLSBC')])
export const tree = new Map<string, Entry>([
  ['init', { kind: 'file', mode: 0o755, bytes: init }],
  [
    'etc/diskless/config.json',
    plain(JSON.stringify({ buildTime: 1_760_000_000, version: '0.1.0', shell: { kind: 'open' } })),
  ],
  ['etc/diskless/hooks.json', plain('{"sources":["hooks/light.ts"],"files":{}}')],
  [`etc/apk/keys/${key.name}`, plain(key.publicPem)],
  ['lib/modules/6.1.0/kernel/drivers/net/ethernet/intel/e1000.ko', plain(Buffer.alloc(3000))],
  ['lib/modules/6.1.0/kernel/drivers/net/virtio_net.ko', plain(Buffer.alloc(2000))],
  ['lib/modules/6.1.0/kernel/fs/overlayfs/overlay.ko', plain(Buffer.alloc(1000))],
  ['lib/firmware/rtl_nic/a.fw', plain('firmware')],
])
export const archive = writeCpio(tree)
export const padded = (bytes: Buffer) => Buffer.concat([bytes, Buffer.alloc(paddingAfter(bytes.length))])
export const microcode = writeCpio(
  new Map([['kernel/x86/microcode/GenuineIntel.bin', plain(Buffer.alloc(2048, 9))]]),
)

export function squashfs(): Buffer {
  const image = Buffer.alloc(8192)
  image.write('hsqs', 0, 'latin1')
  image.writeUInt32LE(42, 4)
  image.writeUInt32LE(1_700_000_000, 8)
  image.writeUInt32LE(131_072, 12)
  image.writeUInt16LE(6, 20)
  image.writeBigUInt64LE(8000n, 40)
  return image
}

export function xz(bytes: Buffer): Buffer {
  const { stdout, status } = spawnSync('xz', ['--check=crc32', '--stdout'], { input: bytes })
  if (status !== 0) throw new Error('xz is not installed')
  return stdout
}

export function gunzip(bytes: Buffer): Buffer {
  return spawnSync('gzip', ['-dc'], { input: bytes, maxBuffer: 1 << 26 }).stdout
}
