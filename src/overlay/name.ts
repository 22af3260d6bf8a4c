/** What the name of an overlay says: how it is packed and encrypted, and what lies beside it. Pure. */

import { BootError, type Filter } from '../sys/index.ts'

export type Cipher = Extract<Filter, { kind: 'decrypt' }>['cipher']

export interface Format {
  /** Undefined: not encrypted. */
  readonly cipher: Cipher | undefined
  readonly unpack: Extract<Filter, { kind: 'gunzip' | 'unzstd' }>
}

const ciphers: readonly Cipher[] = ['aes-128-cbc', 'aes-192-cbc', 'aes-256-cbc']
/** How the names begin that `openssl list -cipher-commands` prints, which is what lbu takes. */
const cipherName =
  /^(aes|aria|bf|blowfish|camellia|cast5?|chacha20|des3?|desx|idea|rc2|rc4|rc5|seed|sm4)(-[a-z0-9-]+|\d*)$/

/** The suffix of a file that `openssl enc` wrote, by lbu’s custom; not all of these can be decrypted here. */
export function isCipher(suffix: string): boolean {
  return cipherName.test(suffix)
}

/** Of a path or a URL: Alpine tells the format by the name. Throws a BootError for ciphers that we do not know. */
export function formatOf(place: string, shown: string): Format {
  const name = nameOf(place)
  const suffix = suffixOf(name)
  const cipher = ciphers.find((each) => each === suffix)
  if (cipher === undefined && suffix !== undefined && isCipher(suffix)) {
    throw new BootError(`${shown} is encrypted with ${suffix}, which cannot be decrypted here`, {
      advice: [`commit it with one of ${ciphers.join(', ')} (lbu.conf: ENCRYPTION=aes-256-cbc)`],
    })
  }
  const inner = cipher === undefined ? name : name.slice(0, -cipher.length - 1)
  return { cipher, unpack: { kind: suffixOf(inner) === 'zst' ? 'unzstd' : 'gunzip' } }
}

/** Whether a file on a medium is taken for an overlay; its signature is none, nor is a copy that somebody set aside. */
export function isOverlayName(name: string): boolean {
  const found = /^[^\p{Cc}]+\.apkovl\.tar\.(?:gz|zst)(?:\.([a-z0-9-]+))?$/u.exec(name)
  return found !== null && (found[1] === undefined || isCipher(found[1]))
}

/** The detached signature beside it: before the query of a URL. */
export function signatureOf(place: string): string {
  return place.startsWith('/') ? `${place}.sig` : place.replace(/^[^?#]*/, (path) => `${path}.sig`)
}

/** The last part of a path, or of a URL's; what follows a ? there is the server's business. */
export function nameOf(place: string): string {
  const path = place.startsWith('/') ? place : place.replace(/[?#].*$/s, '')
  return path.slice(path.lastIndexOf('/') + 1)
}

function suffixOf(name: string): string | undefined {
  return /\.([a-z0-9-]+)$/i.exec(name)?.[1]?.toLowerCase()
}
