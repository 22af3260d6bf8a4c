/** Finds a kernel, its modules and its firmware, in whatever they were handed over: see `findKernel`. */

import { closeSync, existsSync, openSync, readdirSync, readSync, statSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { CommandError, errnoOf } from './error.ts'
import { unpackKernel } from './unpack-kernel.ts'

export interface Kernel {
  /** `6.1.0-56-amd64`: what `uname -r` will say. */
  readonly version: string
  /** The kernel image, for `vmlinuz` in the output. */
  readonly image: string
  /** The directory that becomes /lib/modules/VERSION. */
  readonly modules: string
  /** Where firmware may lie, first match wins. */
  readonly firmware: readonly string[]
}

/** The oldest kernel that init supports: mounts and handoff need openat2, fsopen and what came with 5.10. */
const oldest = [5, 10] as const

/**
 * `source` is one of: a directory of modules (/lib/modules/VERSION), a tree that holds lib/modules/VERSION and
 * perhaps boot/, a Debian package (linux-image-*.deb), an Alpine kernel package (linux-*.apk), an Alpine modloop.
 * `image` names the kernel image where it is not inside or beside the source.
 */
export async function findKernel(
  source: string,
  image: string | undefined,
  firmware: readonly string[],
  cache: string,
): Promise<Kernel> {
  const given = resolve(source)
  if (!existsSync(given)) {
    throw new CommandError(`there is no kernel at ${given}`, {
      advice: [
        'Name a modules directory (/lib/modules/VERSION), a tree with lib/modules and boot, a linux-image-*.deb,',
        'an Alpine linux-*.apk or an Alpine modloop.',
      ],
    })
  }
  const tree = statSync(given).isDirectory() ? given : await unpackKernel(given, cache)
  const modules = findModules(tree)
  const version = basename(modules)
  checkAge(version)
  const found = image === undefined ? findImage(tree, modules, version, given) : resolve(image)
  if (statSync(found, { throwIfNoEntry: false })?.isFile() !== true) {
    throw new CommandError(`there is no kernel image at ${found}`)
  }
  checkImage(found, version)
  for (const place of firmware) {
    if (statSync(place, { throwIfNoEntry: false })?.isDirectory() !== true)
      throw new CommandError(`--firmware ${place}: there is no such directory`)
  }
  const beside = [
    ...['lib/firmware', 'usr/lib/firmware', 'modules/firmware'].map((place) => join(tree, place)),
    join(dirname(dirname(modules)), 'firmware'),
  ]
  const places = new Set([...firmware.map((path) => resolve(path)), ...beside])
  return { version, image: found, modules, firmware: [...places].filter((path) => existsSync(path)) }
}

function isModules(directory: string): boolean {
  return existsSync(join(directory, 'kernel')) && /^\d+\.\d+/.test(basename(directory))
}

function findModules(tree: string): string {
  if (isModules(tree)) return tree
  const candidates = ['lib/modules', 'usr/lib/modules', 'modules', '.']
    .map((place) => join(tree, place))
    .filter((place) => existsSync(place))
    .flatMap((place) => readdirSync(place).map((name) => join(place, name)))
    .filter(isModules)
  const versions = new Set(candidates.map((path) => basename(path)))
  const [only] = candidates
  if (only === undefined) {
    throw new CommandError(`${tree} holds no kernel modules`, {
      advice: ['Looked for VERSION/kernel in it, in lib/modules, usr/lib/modules and modules.'],
    })
  }
  if (versions.size > 1) {
    throw new CommandError(`${tree} holds modules of several kernels: ${[...versions].sort().join(', ')}`, {
      advice: [`Name the one that is meant: --kernel ${only}`],
    })
  }
  return only
}

/** The image whose own words name this version; one that does not say (arm64) by its file name. */
function findImage(tree: string, modules: string, version: string, given: string): string {
  const root = dirname(dirname(dirname(modules)))
  const places = new Set([
    ...[modules, tree, join(tree, 'boot'), join(root, 'boot')],
    ...[dirname(given), join(dirname(given), 'boot')],
  ])
  // Alpine names its images by flavour alone: vmlinuz-lts.
  const names = [`vmlinuz-${version}`, 'vmlinuz', `vmlinuz-${version.split('-').at(-1)}`]
  for (const place of places) {
    if (!existsSync(place)) continue
    for (const name of readdirSync(place).filter((file) => file.startsWith('vmlinuz'))) {
      const path = join(place, name)
      const claimed = statSync(path).isFile() ? imageVersion(path) : 'no image'
      if (claimed === version || (claimed === undefined && names.includes(name))) return path
    }
  }
  throw new CommandError(`no kernel image of ${version} was found`, {
    advice: [`Looked for vmlinuz* of that version in ${[...places].join(', ')}.`, 'Name it: --vmlinuz FILE'],
  })
}

function checkAge(version: string): void {
  const [major = 0, minor = 0] = version.split('.').map((part) => Number.parseInt(part, 10))
  if (major < oldest[0] || (major === oldest[0] && minor < oldest[1])) {
    throw new CommandError(
      `Linux ${version} is too old: ${oldest.join('.')} is the oldest that diskless boots`,
    )
  }
}

/** A kernel and modules of two builds boot into a machine without a single driver: refuse that here. */
function checkImage(image: string, version: string): void {
  const claimed = imageVersion(image)
  if (claimed === undefined) refuseNoImage(image)
  if (claimed === undefined || claimed === version) return
  throw new CommandError(`the kernel ${image} is ${claimed}, and the modules are of ${version}`, {
    advice: ['Kernel and modules must come from the same build: name the matching pair.'],
  })
}

/**
 * What a loader boots begins as an EFI program does (so do arm64's Image and a compressed one, boot.rst and efi_zboot), is
 * x86's with the boot sector's signature, or is arm64's compressed.
 */
function refuseNoImage(image: string): void {
  const start = readStart(image)
  const isImage =
    start.toString('latin1', 0, 2) === 'MZ' ||
    start.toString('latin1', 0x202, 0x206) === 'HdrS' ||
    start.toString('latin1', 0x38, 0x3c) === 'ARM\x64' ||
    start.toString('latin1', 0, 2) === '\x1f\x8b'
  if (isImage) return
  throw new CommandError(`${image} is no kernel image${start.length === 0 ? ': it is empty' : ''}`, {
    advice: [
      start.toString('latin1', 1, 4) === 'ELF'
        ? 'It is an ELF file, as a debugger reads it: loaders boot arch/x86/boot/bzImage of the same build.'
        : 'One is called vmlinuz, bzImage or Image.',
    ],
  })
}

/** What an x86 image says its version is (Documentation/arch/x86/boot.rst, kernel_version); undefined for others. */
export function imageVersion(image: string): string | undefined {
  const start = readStart(image)
  if (start.length < 0x210 || start.toString('latin1', 0x202, 0x206) !== 'HdrS') return undefined
  const offset = start.readUInt16LE(0x20e) + 0x200
  if (offset === 0x200 || offset >= start.length) return undefined
  const end = start.indexOf(0, offset)
  return start.toString('latin1', offset, end === -1 ? start.length : end).split(' ')[0]
}

function readStart(image: string): Buffer {
  const file = openImage(image)
  try {
    const start = Buffer.alloc(0x8200)
    return start.subarray(0, readSync(file, start, 0, start.length, 0))
  } finally {
    closeSync(file)
  }
}

function openImage(image: string): number {
  try {
    return openSync(image, 'r')
  } catch (cause) {
    const why = errnoOf(cause)
    throw new CommandError(`the kernel ${image} could not be read (${why ?? 'unknown'})`, {
      cause,
      // Ubuntu's are root's alone.
      advice:
        why === 'EACCES'
          ? [`Run this as root, or copy it: sudo install -m 644 ${image} . and --vmlinuz FILE`]
          : [],
    })
  }
}
