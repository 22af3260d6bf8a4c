/** What is in a lock: who signed it, what the fleet gets from where. */

import { CommandError } from '../../../build/error.ts'
import { formatEntries, parseLock, splitLock } from '../../apk/lock.ts'
import { redactUrl } from '../../network/url.ts'
import { BootError } from '../../sys/index.ts'
import { clean } from './bytes.ts'
import type { InspectOptions } from './report.ts'
import { checkSignatures, type SignatureFacts } from './signatures.ts'

export interface LockFacts {
  readonly size: number
  readonly made: string
  readonly architecture: string
  readonly signatures: readonly SignatureFacts[]
  readonly world: readonly string[]
  readonly repositories: readonly string[]
  readonly packages: readonly {
    readonly name: string
    readonly version: string
    readonly size: number
    readonly sha256: string | undefined
  }[]
  /** Of the package files, and of what they hold. */
  readonly bytes: number
  readonly installedBytes: number
}

/** Throws a CommandError for one that is damaged or cut short. */
export function inspectLock(file: string, { subject, keys }: InspectOptions): LockFacts {
  const { signed, lock } = parse(file, subject)
  const signature = {
    keyName: signed.keyName,
    algorithm: 'sha256',
    bytes: Buffer.from(signed.signature, 'base64'),
  } as const
  const sum = (of: 'size' | 'installedSize') => lock.packages.reduce((total, pkg) => total + pkg[of], 0)
  return {
    size: Buffer.byteLength(file),
    made: clean(lock.made),
    architecture: clean(lock.arch),
    signatures: checkSignatures([signature], Buffer.from(signed.text), keys),
    world: formatEntries(lock.world).map(clean),
    repositories: lock.repositories.map(({ urls, tag }) =>
      clean(`${tag === undefined ? '' : `@${tag} `}${urls.map(redactUrl).join(' or ')}`),
    ),
    packages: lock.packages.map(({ name, version, size, sha256 }) => ({
      name: clean(name),
      version: clean(version),
      size,
      sha256,
    })),
    bytes: sum('size'),
    installedBytes: sum('installedSize'),
  }
}

function parse(file: string, subject: string) {
  try {
    const signed = splitLock(file, subject)
    return { signed, lock: parseLock(signed.text, subject) }
  } catch (error) {
    if (!(error instanceof BootError)) throw error
    throw new CommandError(error.message, { advice: error.advice })
  }
}
