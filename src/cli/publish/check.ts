/** Compares a published directory, or a copy of one, with its manifest. */

import { createPublicKey, type KeyObject } from 'node:crypto'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { CommandError } from '../../../build/error.ts'
import { readInput } from '../../../build/inputs.ts'
import { sha256Of } from '../../../build/root-image.ts'
import { isSigned, manifestName, parseManifest } from './manifest.ts'

export interface Checked {
  readonly directory: string
  readonly files: number
  readonly bytes: number
  readonly signedWith: string | undefined
  /** Undefined: no key was given. */
  readonly verified: boolean | undefined
  /** In words. */
  readonly wrong: readonly string[]
}

/** `publicKey`: a path. Rejects with a `CommandError` where there is no manifest. */
export async function checkDirectory(
  directory: string,
  publicKey: string | undefined,
  onProgress: (done: number, total: number) => void = () => {},
): Promise<Checked> {
  const path = join(directory, manifestName)
  if (!existsSync(path)) {
    throw new CommandError(`${directory} has no manifest: nothing was published there`, {
      advice: ['A copy is to have all files of the original, those that begin with a dot excepted.'],
    })
  }
  const manifest = parseManifest(readFileSync(path, 'utf8'), path)
  const wrong: string[] = []
  const verified = publicKey === undefined ? undefined : isSigned(manifest, readPublicKey(publicKey))
  if (verified === false) wrong.push(`${manifestName} is not signed with ${publicKey}`)
  const all = [...manifest.files, ...manifest.former]
  const total = all.reduce((sum, [, { size }]) => sum + size, 0)
  let done = 0
  for (const [name, { sha256, size }] of all) {
    const place = join(directory, name)
    const status = statSync(place, { throwIfNoEntry: false })
    if (status?.isFile() !== true) wrong.push(`${name} is missing`)
    else if (status.size !== size) wrong.push(`${name} has ${status.size} bytes, and ${size} by the manifest`)
    else if ((await sha256Of(place, size, (read) => onProgress(done + read, total))) !== sha256)
      wrong.push(`${name} is not what was published`)
    done += size
    onProgress(done, total)
  }
  return {
    directory,
    files: all.length,
    bytes: total,
    signedWith: manifest.signature?.keyName,
    verified,
    wrong,
  }
}

function readPublicKey(path: string): KeyObject {
  const pem = readInput(path)
  try {
    return createPublicKey(pem)
  } catch (cause) {
    throw new CommandError(`${path} is no public key in PEM`, {
      cause,
      advice: ['openssl rsa -in KEY -pubout -out KEY.pub makes one of the private key that signed.'],
    })
  }
}
