/**
 * What a failed operation on the machine looks like.
 *
 * Every error that leaves `Sys` is a `SysError`: a code to decide on, the operation, its subject, and the
 * words of whoever refused (the kernel, a server). Code that adds meaning wraps it in a `BootError`.
 */

/** A kernel errno name (`ENOENT`, `ENOSPC`, …) or one of ours for what has no errno. */
export type ErrorCode =
  | `E${string}`
  /** A deadline passed: the subject says which one. */
  | 'TIMEOUT'
  /** The caller's AbortSignal fired. */
  | 'ABORTED'
  /** A name could not be resolved. */
  | 'DNS'
  /** A TLS handshake or certificate was refused. */
  | 'TLS'
  /** The server answered, with a status that is not a success; `status` holds it. */
  | 'HTTP'
  /** The stream ended before its announced length, or before its format's end. */
  | 'TRUNCATED'
  /** The data is not of the format that it should have. */
  | 'FORMAT'
  /** A digest did not match. */
  | 'DIGEST'
  /** A signature is missing, by an unknown key, or wrong. */
  | 'SIGNATURE'
  /** A name in an archive would be written outside its root. */
  | 'ESCAPE'
  /** More data than the caller allowed. */
  | 'TOO_BIG'

/** The wire form, as the host writes it. */
export interface SysErrorFields {
  readonly code: ErrorCode
  /** The operation, as in `Sys`: `mounts.mount`, `pipeline.http`. */
  readonly operation: string
  /** What it was done to: a path, a URL without its password, a link's name. */
  readonly subject: string
  /** One line for a person, without operation and subject. */
  readonly message: string
  /** The HTTP status, where the code is `HTTP`. */
  readonly status?: number
  /** Seconds that a server asked us to wait (Retry-After). */
  readonly retryAfter?: number
  /** Further lines: the kernel's own messages during a mount. */
  readonly detail?: readonly string[]
}

export class SysError extends Error {
  override readonly name = 'SysError'
  readonly code: ErrorCode
  readonly operation: string
  readonly subject: string
  readonly status: number | undefined
  readonly retryAfter: number | undefined
  readonly detail: readonly string[]

  constructor(fields: SysErrorFields) {
    super(`${fields.subject}: ${fields.message}`)
    this.code = fields.code
    this.operation = fields.operation
    this.subject = fields.subject
    this.status = fields.status
    this.retryAfter = fields.retryAfter
    this.detail = fields.detail ?? []
  }
}

/** True for a `SysError` with one of these codes. */
export function hasCode(error: unknown, ...codes: ErrorCode[]): error is SysError {
  return error instanceof SysError && codes.includes(error.code)
}

/**
 * A failure that a person will read: what was tried (`message`), what came back (`cause`), what to do (`advice`).
 */
export class BootError extends Error {
  override readonly name = 'BootError'
  readonly advice: readonly string[]

  constructor(message: string, options: { cause?: unknown; advice?: readonly string[] } = {}) {
    super(message, options.cause === undefined ? {} : { cause: options.cause })
    this.advice = options.advice ?? []
  }
}

/** The messages from the outermost error to its first cause; at most ten. */
export function chainOf(error: unknown): string[] {
  const chain: string[] = []
  for (let at: unknown = error; at !== undefined && at !== null && chain.length < 10; ) {
    const text = at instanceof Error ? at.message : String(at)
    if (!chain.at(-1)?.includes(text)) chain.push(text)
    if (at instanceof SysError) chain.push(...at.detail)
    at = at instanceof Error ? at.cause : undefined
  }
  return chain
}
