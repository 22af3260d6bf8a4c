/** Why a server gave no answer, for the person who asked. */

/** What came instead, for a person. */
export class NoAnswer extends Error {
  override readonly name = 'NoAnswer'
}

/** Milliseconds without a byte, and for all of it. */
export const stallMs = 10_000
export const totalMs = 120_000

const reasons: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'it refuses the connection: is the server running, and on this port?',
  ENOTFOUND: 'nobody knows the name here; the machine asks the resolvers of its lease',
  EAI_AGAIN: 'no resolver answers here; the machine asks those of its lease',
  EHOSTUNREACH: 'no way leads there from here',
  ENETUNREACH: 'no way leads there from here',
  ETIMEDOUT: 'nobody answers',
  ECONNRESET: 'it broke the connection',
  CERT_HAS_EXPIRED: 'its certificate has expired',
  ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED:
    'it asks for a certificate of the machine’s, which is not shown from here',
  ERR_TLS_CERT_ALTNAME_INVALID: 'its certificate is for another name',
}

/** `ca`: whom the question trusted; undefined: whom this machine does. */
export function explainError(error: Error, ca: Buffer | undefined): string {
  const inner =
    error instanceof AggregateError
      ? error.errors.find((each): each is Error => each instanceof Error)
      : undefined
  const { code } = { code: undefined, ...(inner ?? error) }
  const known = typeof code === 'string' ? reasons[code] : undefined
  if (known !== undefined) return known
  if (error.name === 'AbortError' || error.name === 'TimeoutError')
    return `it took longer than ${totalMs / 1000} s`
  if (typeof code === 'string' && /CERT|SIGNATURE|ISSUER/.test(code)) {
    return `its certificate is not trusted by ${ca === undefined ? 'this machine (--ca, --initrd)' : 'the authorities given'}: ${error.message}`
  }
  return error.message === '' ? String(code) : error.message
}
