/** Public keys and certificates as they lie in an initrd or an overlay: which ones they are, in a few words. */

import { createHash, createPublicKey, X509Certificate } from 'node:crypto'
import { clean } from './bytes.ts'

export interface KeyFacts {
  readonly name: string
  /** `RSA 4096`, `Ed25519`; undefined: no public key can be read in it. */
  readonly type: string | undefined
  /** SHA-256 of the key itself, hex: two files of one name need not be one key. */
  readonly sha256: string | undefined
}

export function describeKey(name: string, pem: Buffer): KeyFacts {
  const nothing = { name: clean(name), type: undefined, sha256: undefined }
  // Node would take a private key for the public one in it.
  if (pem.includes('PRIVATE KEY')) return { ...nothing, type: 'a PRIVATE key' }
  try {
    const key = createPublicKey(pem)
    const bits = key.asymmetricKeyDetails?.modulusLength
    const type = `${(key.asymmetricKeyType ?? 'key').toUpperCase()}${bits === undefined ? '' : ` ${bits}`}`
    const der = key.export({ type: 'spki', format: 'der' })
    return { ...nothing, type, sha256: createHash('sha256').update(der).digest('hex') }
  } catch {
    return nothing
  }
}

export interface CertificateFacts {
  readonly subject: string
  readonly notAfter: string
}

/** Those that can be read; `broken`: how many cannot. */
export function describeCertificates(pem: Buffer): {
  readonly certificates: readonly CertificateFacts[]
  readonly broken: number
} {
  const texts =
    pem.toString('latin1').match(/-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g) ?? []
  const certificates = texts.flatMap((text) => {
    try {
      const { subject, validToDate } = new X509Certificate(text)
      const [, name] = /^CN=(.*)$/m.exec(subject) ?? []
      return [
        {
          subject: clean(name ?? subject.split('\n').at(-1) ?? ''),
          notAfter: validToDate.toISOString().slice(0, 10),
        },
      ]
    } catch {
      return []
    }
  })
  return { certificates, broken: texts.length - certificates.length }
}

/** For a table: name, type, the beginning of its digest. */
export function keyRow({ name, type, sha256 }: KeyFacts): readonly string[] {
  return [name, type ?? 'no public key', sha256 === undefined ? '' : `SHA-256 ${sha256.slice(0, 16)}…`]
}
