/** What https needs in the initrd: the authorities that are trusted, and who this machine is. */
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { existsSync } from 'node:fs'
import { CommandError } from './error.ts'
import { readInput } from './inputs.ts'

/** The public authorities, as distributions keep them: Debian and Alpine, Fedora. */
const publicBundles = ['/etc/ssl/certs/ca-certificates.crt', '/etc/pki/tls/certs/ca-bundle.crt']

const form = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g

/** A PEM file, or `public`: those that this machine trusts. Each is read, and a bundle has one copy of each. */
export function readAuthorities(place: string): Buffer {
  const path = place === 'public' ? publicBundles.find((bundle) => existsSync(bundle)) : place
  if (path === undefined) {
    throw new CommandError('this machine has no list of public authorities', {
      advice: ['install the package ca-certificates, or name a PEM file: --ca FILE'],
    })
  }
  return Buffer.from(`${[...new Set(certificatesIn(path))].join('\n')}\n`)
}

/** The certificate, with those between it and its authority, and its key. */
export interface ClientIdentity {
  readonly certificate: string
  readonly key: string
}

/** One PEM file with both. The key must be the certificate's, and have no password. */
export function readClientIdentity({ certificate, key }: ClientIdentity): Buffer {
  const chain = certificatesIn(certificate)
  const text = readInput(key).toString('utf8').trim()
  const [own] = chain
  try {
    const secret = createPrivateKey(text)
    if (own === undefined || new X509Certificate(own).checkPrivateKey(secret)) {
      return Buffer.from(`${[...chain, text].join('\n')}\n`)
    }
  } catch (cause) {
    throw new CommandError(`the file ${key} is no private key that can be used without a password`, {
      cause,
      advice: ['openssl pkey -in KEY -out FILE takes its password off'],
    })
  }
  throw new CommandError(`the key ${key} is not that of the first certificate in ${certificate}`)
}

function certificatesIn(path: string): readonly string[] {
  const found = readInput(path).toString('utf8').match(form) ?? []
  if (found.length === 0) throw new CommandError(`the file ${path} has no certificate in PEM`)
  for (const pem of found) {
    try {
      new X509Certificate(pem)
    } catch (cause) {
      throw new CommandError(`the file ${path} has a certificate that cannot be read`, { cause })
    }
  }
  return found
}
