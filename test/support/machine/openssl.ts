/** What `openssl enc` writes, made and read: the encrypted overlays of the tests. */

import { createCipheriv, createDecipheriv, createHash, pbkdf2Sync } from 'node:crypto'
import type { Filter } from '../../../src/sys/index.ts'

export type Encryption = Pick<Extract<Filter, { kind: 'decrypt' }>, 'cipher' | 'keyDerivation' | 'password'>

const MAGIC = Buffer.from('Salted__')
const KEY_BYTES = { 'aes-128-cbc': 16, 'aes-192-cbc': 24, 'aes-256-cbc': 32 } as const
const VECTOR_BYTES = 16

/** As `openssl enc -CIPHER [-pbkdf2 | -md DIGEST] -pass pass:PASSWORD` does. The salt is always the same. */
export function encrypt(bytes: Uint8Array | string, encryption: Encryption): Buffer {
  const salt = Buffer.from('saltsalt')
  const { key, vector } = derive(encryption, salt)
  const cipher = createCipheriv(encryption.cipher, key, vector)
  return Buffer.concat([MAGIC, salt, cipher.update(Buffer.from(bytes)), cipher.final()])
}

/** Undefined: a wrong password, or not encrypted like this. */
export function decrypt(bytes: Buffer, encryption: Encryption): Buffer | undefined {
  if (bytes.length < 32 || !bytes.subarray(0, 8).equals(MAGIC)) return undefined
  const { key, vector } = derive(encryption, bytes.subarray(8, 16))
  const decipher = createDecipheriv(encryption.cipher, key, vector)
  try {
    return Buffer.concat([decipher.update(bytes.subarray(16)), decipher.final()])
  } catch {
    // The padding is wrong: OpenSSL itself says no more than "bad decrypt".
    return undefined
  }
}

function derive({ cipher, keyDerivation, password }: Encryption, salt: Buffer) {
  const length = KEY_BYTES[cipher] + VECTOR_BYTES
  const bytes =
    keyDerivation === 'pbkdf2'
      ? pbkdf2Sync(password, salt, 10_000, length, 'sha256')
      : bytesToKey(keyDerivation, password, salt, length)
  return { key: bytes.subarray(0, KEY_BYTES[cipher]), vector: bytes.subarray(KEY_BYTES[cipher], length) }
}

/** EVP_BytesToKey(3) with one round. */
function bytesToKey(digest: 'sha256' | 'md5', password: string, salt: Buffer, length: number): Buffer {
  let block: Buffer = Buffer.alloc(0)
  let all: Buffer = Buffer.alloc(0)
  while (all.length < length) {
    block = createHash(digest).update(block).update(password).update(salt).digest()
    all = Buffer.concat([all, block])
  }
  return all
}
