/** Locks of the small network boot (scenario.ts), for tests that change what they are about. */

import { createHash } from 'node:crypto'
import { indexText, type Package, type SigningKey } from '../../scripts/repository/apk.ts'
import { formatLock, type Lock } from '../../src/apk/lock.ts'
import { numberField } from '../../src/apk/stanza.ts'
import { makeWorld } from '../../src/apk/world.ts'
import { signLock } from '../../src/cli/lock/sign.ts'
import { key, packages } from './scenario.ts'

export const lockUrl = 'http://10.0.2.2/fleet/guests.lock'

/** Of packages in this order, from `../apks`, with the digests of their files. */
export function lockOf(of: readonly Package[], change: Partial<Lock> = {}): Lock {
  return {
    made: '2026-11-21T20:15:03Z by diskless 0.1.0',
    arch: 'x86_64',
    world: makeWorld(['alpine-base', 'busybox']),
    repositories: [{ urls: ['../apks'], tag: undefined }],
    packages: of.map((pkg) => {
      const stanza = indexText([pkg]).trim()
      return {
        name: pkg.spec.name,
        version: pkg.spec.version,
        checksum: pkg.checksum,
        stanza,
        repositories: [0],
        tag: undefined,
        size: numberField(stanza, 'S'),
        installedSize: numberField(stanza, 'I'),
        sha256: createHash('sha256').update(pkg.bytes).digest('hex'),
      }
    }),
    ...change,
  }
}

/** What the solver makes of the scenario’s world, put down by hand. */
export const inOrder = ['busybox', 'baselayout', 'alpine-base'].flatMap((name) =>
  packages.filter(({ spec }) => spec.name === name),
)

export function signedLock(lock: Lock = lockOf(inOrder), by: SigningKey = key): string {
  return signLock(formatLock(lock), { name: by.name, key: by.privateKey })
}
