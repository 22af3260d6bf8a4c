/** What the e2e tests of disks put on them: the demo's packages, overlays, and damage. */

import { execFileSync } from 'node:child_process'
import { closeSync, openSync, readdirSync, readFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { inject } from 'vitest'
import { makeOverlay } from '../../scripts/repository/overlay.ts'

/** The demo's repository as a medium has it, by path. */
export function repositoryFiles(): Readonly<Record<string, Buffer | string>> {
  const packages = join(inject('demo'), 'apks/x86_64')
  const files = readdirSync(packages).map((name): [string, Buffer] => [
    `apks/x86_64/${name}`,
    readFileSync(join(packages, name)),
  ])
  return { ...Object.fromEntries(files), 'apks/.boot_repository': '' }
}

/** Asks for nothing besides its name, which a test can see. */
export function overlayOf(hostname: string): Buffer {
  return makeOverlay({ hostname, world: [], runlevels: { sysinit: ['devfs'], boot: ['hostname'] } })
}

/** As lbu does it (`-pbkdf2` only where asked for, as who does it by hand is told to). */
export function encrypt(bytes: Buffer, password: string, ...options: readonly string[]): Buffer {
  const words = ['enc', '-aes-256-cbc', '-salt', ...options, '-pass', `pass:${password}`]
  // Without -pbkdf2 it complains, and does it.
  return execFileSync('openssl', words, {
    input: bytes,
    maxBuffer: 2 ** 26,
    stdio: ['pipe', 'pipe', 'ignore'],
  })
}

/** Overwrites so many bytes: what was there is lost, as after a bad sector or a wrong dd. */
export function damage(image: string, from: number, bytes: number): void {
  const file = openSync(image, 'r+')
  try {
    writeSync(file, Buffer.alloc(bytes, 0xa5), 0, bytes, from)
  } finally {
    closeSync(file)
  }
}
