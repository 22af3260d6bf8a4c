/** Kernel images: x86's by its boot protocol (Documentation/arch/x86/boot.rst), arm64's by its header (booting.rst). */

import { type Bytes, clean } from './bytes.ts'

export interface KernelFacts {
  readonly architecture: 'x86' | 'arm64'
  readonly size: number
  /** `uname -r`; undefined: the image does not say without being unpacked. */
  readonly version: string | undefined
  /** What else it says of its making. */
  readonly build: string | undefined
  /** Whether EFI can start it by itself. */
  readonly efi: boolean
  /** `2.15`: x86 only. */
  readonly protocol: string | undefined
  /** The longest command line that it takes, bytes; x86 only. */
  readonly longestCommandLine: number | undefined
}

export function inspectKernel(bytes: Bytes): KernelFacts | undefined {
  const start = bytes.slice(0, 0x8400)
  const efi = start.toString('latin1', 0, 2) === 'MZ'
  if (start.length >= 0x260 && start.toString('latin1', 0x202, 0x206) === 'HdrS') {
    const offset = start.readUInt16LE(0x20e)
    const end = start.indexOf(0, offset + 0x200)
    const said = offset === 0 || end === -1 ? undefined : start.toString('latin1', offset + 0x200, end)
    const [version, ...build] = said === undefined ? [] : clean(said).split(' ')
    const protocol = start.readUInt16LE(0x206)
    return {
      architecture: 'x86',
      size: bytes.size,
      version,
      build: build.length === 0 ? undefined : build.join(' '),
      efi,
      protocol: `${protocol >> 8}.${String(protocol & 0xff).padStart(2, '0')}`,
      longestCommandLine: protocol >= 0x206 ? start.readUInt32LE(0x238) : 255,
    }
  }
  if (start.length >= 64 && start.toString('latin1', 0x38, 0x3c) === 'ARM\x64') {
    return {
      architecture: 'arm64',
      size: bytes.size,
      version: bannerIn(bytes),
      build: undefined,
      efi,
      protocol: undefined,
      longestCommandLine: undefined,
    }
  }
  return undefined
}

/** An image that is not compressed has the words of /proc/version in it. */
function bannerIn(bytes: Bytes): string | undefined {
  const piece = 1 << 20
  for (let at = 0; at < bytes.size; at += piece) {
    const [, version] =
      /Linux version (\S{1,64}) /.exec(bytes.slice(at, piece + 128).toString('latin1')) ?? []
    if (version !== undefined) return clean(version)
  }
  return undefined
}
