/** Finds the firmware that kernel modules name (MODULE_FIRMWARE) in the directories given. */

import { existsSync, readFileSync } from 'node:fs'
import { join, normalize } from 'node:path'
import type { Module } from './catalog.ts'
import { decompress } from './compression.ts'

export interface Firmware {
  /** Contents by the name that a driver asks for, below /lib/firmware. */
  readonly files: ReadonlyMap<string, Buffer>
  /** What was not found, and who asks for it. A driver may do without, or ask for one of several. */
  readonly missing: ReadonlyMap<string, string>
}

export function findFirmware(modules: readonly Module[], directories: readonly string[]): Firmware {
  const files = new Map<string, Buffer>()
  const missing = new Map<string, string>()
  for (const module of modules) {
    for (const name of module.firmware) {
      if (files.has(name) || missing.has(name) || !isInside(name)) continue
      const bytes = read(name, directories)
      if (bytes === undefined) missing.set(name, module.name)
      else files.set(name, bytes)
    }
  }
  return { files, missing }
}

function isInside(name: string): boolean {
  return name !== '' && !name.startsWith('/') && normalize(name) === name && !name.startsWith('..')
}

/** Stored plain, as the initrd is compressed as a whole and not every kernel reads compressed firmware. */
function read(name: string, directories: readonly string[]): Buffer | undefined {
  for (const directory of directories) {
    const path = join(directory, name)
    if (existsSync(path)) return readFileSync(path)
    for (const compression of ['zst', 'xz'] as const) {
      const packed = `${path}.${compression}`
      if (existsSync(packed)) return decompress(readFileSync(packed), compression, packed)
    }
  }
  return undefined
}
