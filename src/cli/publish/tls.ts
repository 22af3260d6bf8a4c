/** The certificate that nginx.conf names: whether machines could take it, and what they need for that. */

import { X509Certificate } from 'node:crypto'
import { statSync } from 'node:fs'
import { isIP } from 'node:net'
import { CommandError } from '../../../build/error.ts'
import { readInput } from '../../../build/inputs.ts'
import type { Tls } from './site.ts'

export interface Served {
  readonly url: string | undefined
  readonly tls: Tls | undefined
  /** The initrd is known to have authorities. */
  readonly trusts: boolean
  /** iPXE is among the loaders. */
  readonly ipxe: boolean
}

/** What a person should know. Throws a `CommandError` for a certificate that no machine would take. */
export function checkTls({ url, tls, trusts, ipxe }: Served): readonly string[] {
  if (url?.startsWith('https:') !== true) return []
  const trust = [
    ...(trusts
      ? []
      : [
          'url is https: init takes certificates of those authorities alone that the initrd has (diskless build --ca, or build: { certificates })',
        ]),
    ...(ipxe
      ? [
          'url is https: iPXE takes certificates of public authorities, or of those that it was built with (TRUST=); else it does not fetch boot.ipxe',
        ]
      : []),
  ]
  if (tls === undefined) {
    return [
      'url is https, and nginx.conf has no certificate: it listens on port 80, for a server before it that ends TLS (tls: { certificate, key } has nginx do it)',
      ...trust,
    ]
  }
  const certificate = readCertificate(tls.certificate)
  const host = new URL(url).hostname.replace(/^\[|\]$/g, '')
  const named = isIP(host) === 0 ? certificate.checkHost(host) : certificate.checkIP(host)
  if (named === undefined) {
    throw new CommandError(`the certificate ${tls.certificate} is not for ${host}, where machines will ask`, {
      advice: [
        `It is for ${certificate.subjectAltName ?? certificate.subject}. Name another, or publish another url.`,
      ],
    })
  }
  if (statSync(tls.key, { throwIfNoEntry: false })?.isFile() !== true)
    throw new CommandError(`the key ${tls.key} of the certificate is not there`)
  const until = certificate.validToDate
  const over =
    until.getTime() < Date.now()
      ? [`the certificate ${tls.certificate} has expired: ${certificate.validTo}`]
      : []
  return [...over, ...trust]
}

function readCertificate(path: string): X509Certificate {
  const pem = readInput(path)
  try {
    return new X509Certificate(pem)
  } catch (cause) {
    throw new CommandError(`${path} is no certificate in PEM`, { cause })
  }
}
