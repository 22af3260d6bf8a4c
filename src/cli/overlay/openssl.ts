/** What `openssl enc` writes and reads (enc(1), EVP_BytesToKey(3)), which is how lbu encrypts: both ways. */

import { createCipheriv, createDecipheriv, createHash, pbkdf2Sync } from 'node:crypto'
import type { Filter } from '../../sys/index.ts'

export type Encryption = Pick<Extract<Filter, { kind: 'decrypt' }>, 'cipher' | 'keyDerivation' | 'password'>

const magic = Buffer.from('Salted__')
const keyBytes = { 'aes-128-cbc': 16, 'aes-192-cbc': 24, 'aes-256-cbc': 32 } as const
const vectorBytes = 16
/** What enc(1) does with `-pbkdf2` and no `-iter`. */
const rounds = 10_000

/** As `openssl enc -CIPHER [-pbkdf2 | -md DIGEST] -pass pass:PASSWORD` does. `salt`: 8 bytes. */
export function encrypt(bytes: Uint8Array | string, encryption: Encryption, salt: Buffer): Buffer {
  const { key, vector } = derive(encryption, salt)
  const cipher = createCipheriv(encryption.cipher, key, vector)
  return Buffer.concat([magic, salt, cipher.update(Buffer.from(bytes)), cipher.final()])
}

export function isEncrypted(bytes: Buffer): boolean {
  return bytes.length >= 32 && bytes.subarray(0, 8).equals(magic)
}

/** Undefined: a wrong password, or not encrypted like this. */
export function decrypt(bytes: Buffer, encryption: Encryption): Buffer | undefined {
  if (!isEncrypted(bytes)) return undefined
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
  const length = keyBytes[cipher] + vectorBytes
  const bytes =
    keyDerivation === 'pbkdf2'
      ? pbkdf2Sync(password, salt, rounds, length, 'sha256')
      : bytesToKey(keyDerivation, password, salt, length)
  return { key: bytes.subarray(0, keyBytes[cipher]), vector: bytes.subarray(keyBytes[cipher], length) }
}

/** EVP_BytesToKey with one round: each digest is of the one before, the password and the salt. */
function bytesToKey(digest: 'sha256' | 'md5', password: string, salt: Buffer, length: number): Buffer {
  let block: Buffer = Buffer.alloc(0)
  let all: Buffer = Buffer.alloc(0)
  while (all.length < length) {
    block = createHash(digest).update(block).update(password).update(salt).digest()
    all = Buffer.concat([all, block])
  }
  return all
}
