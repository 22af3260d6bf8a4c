/** Who signed a file, and whether that is true, as far as the key is given. */

import { createVerify } from 'node:crypto'
import type { Signature } from '../lock/apk-file.ts'
import { clean } from './bytes.ts'

export interface SignatureFacts {
  /** The key’s file name, as the signature has it. */
  readonly key: string
  readonly algorithm: 'sha1' | 'sha256'
  /** `unchecked`: no key of that name is given. */
  readonly state: 'good' | 'bad' | 'unchecked'
}

export function checkSignatures(
  signatures: readonly Signature[],
  signed: Buffer,
  keys: ReadonlyMap<string, Buffer>,
): readonly SignatureFacts[] {
  return signatures.map(({ keyName, algorithm, bytes }) => {
    const key = keys.get(keyName)
    return {
      key: clean(keyName),
      algorithm,
      state: key === undefined ? 'unchecked' : isBy(key, algorithm, signed, bytes) ? 'good' : 'bad',
    }
  })
}

function isBy(key: Buffer, algorithm: string, signed: Buffer, signature: Buffer): boolean {
  try {
    return createVerify(algorithm).update(signed).verify(key, signature)
  } catch {
    // No key that signs by RSA.
    return false
  }
}

/** For a fact’s value. */
export function showSignatures(signatures: readonly SignatureFacts[]): readonly string[] {
  if (signatures.length === 0) return ['by nobody']
  return signatures.map(
    ({ key, algorithm, state }) => `${key} (RSA, ${algorithm.toUpperCase()}): ${words[state]}`,
  )
}

const words = {
  good: 'right',
  bad: 'WRONG: it is another file’s, or another key’s',
  unchecked: 'not checked, as no key of that name is given (--keys)',
} as const

/** A signature that is wrong is a failure, as is one by a stranger where keys are given. */
export function isDistrusted(
  signatures: readonly SignatureFacts[],
  keys: ReadonlyMap<string, Buffer>,
): boolean {
  if (signatures.some(({ state }) => state === 'bad')) return true
  return keys.size > 0 && !signatures.some(({ state }) => state === 'good')
}
