/** What `openssl enc` writes, made and read: the encrypted overlays of the tests. */

import { type Encryption, encrypt as encryptWith } from '../../../src/cli/overlay/openssl.ts'

export { decrypt, type Encryption } from '../../../src/cli/overlay/openssl.ts'

/** The salt is always the same. */
export function encrypt(bytes: Uint8Array | string, encryption: Encryption): Buffer {
  return encryptWith(bytes, encryption, Buffer.from('saltsalt'))
}
