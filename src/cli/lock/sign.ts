/** Signing a lock, by a key whose public half the initrd has. */

import { createPrivateKey, createPublicKey, type KeyObject, sign, verify } from 'node:crypto'
import { basename } from 'node:path'
import { CommandError } from '../../../build/error.ts'
import { readInput } from '../../../build/inputs.ts'
import { formatSignature, splitLock } from '../../apk/lock.ts'

export interface SigningKey {
  /** The file name of its public half, by abuild's custom. */
  readonly name: string
  readonly key: KeyObject
}

export function readSigningKey(path: string): SigningKey {
  const pem = readInput(path)
  let key: KeyObject
  try {
    key = createPrivateKey(pem)
  } catch (cause) {
    throw new CommandError(`${path} is no private key in PEM, or has a password`, {
      cause,
      advice: [
        'openssl genrsa -out lock.rsa 2048 makes one, and openssl rsa -in lock.rsa -pubout -out lock.rsa.pub its public half.',
      ],
    })
  }
  const bits = key.asymmetricKeyDetails?.modulusLength ?? 0
  if (key.asymmetricKeyType !== 'rsa' || bits < 2048 || bits > 8192) {
    throw new CommandError(`${path} is no RSA key of 2048 to 8192 bits, which is what init checks`)
  }
  return { name: `${basename(path).replace(/\s/g, '_')}.pub`, key }
}

/** The whole file. */
export function signLock(text: string, { name, key }: SigningKey): string {
  return text + formatSignature(name, sign('sha256', Buffer.from(text), key).toString('base64'))
}

/** Whether a file that is there says so and is by this key, for who asks whether to write it again. */
export function isSignedBy(file: string, { name, key }: SigningKey): boolean {
  const { text, keyName, signature } = splitLock(file, 'the file')
  const bytes = Buffer.from(signature, 'base64')
  return keyName === name && verify('sha256', Buffer.from(text), createPublicKey(key), bytes)
}

export function isAmong({ key }: SigningKey, publicKeys: ReadonlyMap<string, Buffer>): boolean {
  const ours = createPublicKey(key)
  return [...publicKeys.values()].some((pem) => createPublicKey(pem).equals(ours))
}
