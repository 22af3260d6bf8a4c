/**
 * A download described as data: a source, filters, one sink. The host runs it on a thread of its own; the bytes
 * never enter JavaScript. The same description runs in tests on Node streams and a memory file system.
 */

import type { ErrorCode } from './error.ts'

/** Deadlines in milliseconds. A stall is a time without a byte. */
export interface Deadlines {
  readonly connectMs: number
  readonly stallMs: number
  readonly totalMs: number
}

/** What a server said of the state of a resource (RFC 9110, 8.8). */
export interface Validator {
  readonly etag?: string
  readonly lastModified?: string
}

/**
 * What happens when the connection breaks in the middle of a body: the rest is asked for by Range and If-Range (RFC 9110,
 * 13.1.5), where the server gave a strong entity tag, or a date that is older than its answer. What is not surely the
 * rest of the same thing (200, 206 of another range, length or tag, 412, 416, …) ends the pipeline with TRUNCATED.
 */
export interface Resume {
  /** Milliseconds before each reconnection. There are no more than these in a pipeline, whether they help or not. */
  readonly afterMs: readonly number[]
  /** Codes of what is a break; `TRUNCATED` includes a 5xx to the reconnection. */
  readonly on: readonly ErrorCode[]
}

/** The connection broke, and another one is tried. */
export interface Break {
  /** Bytes that have come. */
  readonly bytes: number
  readonly why: string
  /** The reconnection that follows, from 1, and how many there may be. */
  readonly attempt: number
  readonly of: number
  readonly waitMs: number
}

export type Source =
  | {
      readonly kind: 'http'
      readonly url: string
      readonly deadlines: Deadlines
      /** If-None-Match, If-Modified-Since: an unchanged resource rejects with HTTP, status 304. */
      readonly unlessStill?: Validator
      readonly resume?: Resume
      /**
       * `http://[USER:PASSWORD@]HOST[:PORT]`: asks for everything, redirects included. By CONNECT for https, with
       * the whole URL in the request for http. Its errors begin with `by the proxy URL: `.
       */
      readonly proxy?: string
      /** JSON lines: posted, instead of asking. Redirects are not followed; delivered twice where a kept connection broke. */
      readonly body?: string
    }
  | { readonly kind: 'tftp'; readonly url: string; readonly deadlines: Deadlines }
  | { readonly kind: 'file'; readonly path: string }

export type DigestAlgorithm = 'sha1' | 'sha256' | 'sha512'

export type Filter =
  /** RFC 1952, members one after the other. */
  | { readonly kind: 'gunzip' }
  /** RFC 8878. */
  | { readonly kind: 'unzstd' }
  /** Passes bytes on; at the end they must have this digest (hex), or the pipeline fails with DIGEST. */
  | { readonly kind: 'digest'; readonly algorithm: DigestAlgorithm; readonly expected: string }
  /**
   * `openssl enc -d`: the 16 bytes `Salted__` and salt, then the cipher's blocks (PKCS#7 padding). Key and initial vector
   * from the password by PBKDF2 (SHA-256, 10,000 rounds: `-pbkdf2`) or by EVP_BytesToKey with one round of this
   * digest (SHA-256 since OpenSSL 1.1, MD5 before). A wrong password or not encrypted like this: FORMAT.
   */
  | {
      readonly kind: 'decrypt'
      readonly cipher: 'aes-128-cbc' | 'aes-192-cbc' | 'aes-256-cbc'
      readonly keyDerivation: 'pbkdf2' | 'sha256' | 'md5'
      readonly password: string
    }
  /**
   * Passes bytes on; at the end the detached signature (a file: RSA PKCS#1 v1.5 over their SHA-256 or SHA-512, as
   * `openssl dgst -sha256 -sign` writes it, or that in base64) must be by one of these keys (PEM files' paths by key name), or the
   * pipeline fails with SIGNATURE. Not Ed25519, which is over the whole message and so needs it in memory.
   */
  | {
      readonly kind: 'signature'
      readonly signature: string
      readonly keys: Readonly<Record<string, string>>
    }
  /** Passes bytes on; more than this many fail with TOO_BIG: at once, where the source announces a length and no filter before changes it. */
  | { readonly kind: 'limit'; readonly bytes: number }

export type Sink =
  /** Written beside its place and renamed when whole. */
  | { readonly kind: 'file'; readonly path: string; readonly mode: number }
  /** Nothing is kept: the filters are what matters. */
  | { readonly kind: 'discard' }
  /** A tar archive (ustar, pax, GNU long names) unpacked under `root`. Fails as `unpack` says below. */
  | { readonly kind: 'tree'; readonly root: string }
  /** Kept in memory as text, at most `bytes` long. */
  | { readonly kind: 'text'; readonly bytes: number }
  /** An apk v2 repository index, kept by the host. No `gunzip` before it: the format is several gzip members. */
  | { readonly kind: 'apk-index' }
  /** An apk v2 package unpacked and checked in a stage of its own under `root`. No `gunzip` before it. */
  | {
      readonly kind: 'apk-stage'
      readonly root: string
      /** The index's `C:` field, `Q1…`: the SHA-1 of the control member, base64. */
      readonly checksum: string
      /** A filter compares all of it with a digest that is as good as `checksum`: that of the data is not computed besides. */
      readonly digested?: true
    }

/** What every pipeline tells: bytes read from the source, what an HTTP server said of the resource's state, the copy. */
export interface Flow {
  readonly bytes: number
  readonly validator?: Validator
  readonly copied?: Copied
}

/** What became of the copy aside: never the reason that a pipeline fails. `sha256`: hex. */
export type Copied =
  | { readonly sha256: string; readonly bytes: number }
  /** It could not be written, or grew too big, and nothing of it is left. */
  | { readonly givenUp: string }

/** What the sink made, by the sink's kind. */
export interface Results {
  file: Flow
  discard: Flow
  /** `paths`: what was unpacked, relative to root, no leading slash, in archive order; directories end in `/`. */
  tree: Flow & { readonly paths: readonly string[] }
  text: Flow & { readonly text: string }
  'apk-index': Flow & { readonly index: IndexHandle }
  'apk-stage': Flow & { readonly stage: StagedPackage }
}

export interface IndexHandle {
  readonly id: number
  readonly packages: number
  /** DESCRIPTION, first line; may be empty. */
  readonly description: string
  /** Names of the keys that signed it, in order: the part after `.SIGN.RSA.` or `.SIGN.RSA256.`. */
  readonly signatures: readonly { readonly keyName: string; readonly algorithm: 'RSA' | 'RSA256' }[]
}

export interface StagedPackage {
  readonly id: number
  /** `.PKGINFO` as it is in the package. */
  readonly pkginfo: string
  /** Which scripts the control member has: `pre-install`, `post-install`, `trigger`, … */
  readonly scripts: readonly string[]
  readonly files: number
  /** Bytes that its files take. */
  readonly installedBytes: number
}

export interface Pipeline<K extends Sink['kind'] = Sink['kind']> {
  readonly source: Source
  /** The source's bytes are written here too, at most so many; there once all went well. The path must be free. */
  readonly aside?: { readonly path: string; readonly bytes: number }
  readonly filters: readonly Filter[]
  readonly sink: Extract<Sink, { kind: K }>
}

export interface Progress {
  /** Bytes read from the source. */
  readonly bytes: number
  /** The length that the source announced. */
  readonly total: number | undefined
}

export interface PipelineOptions {
  readonly signal?: AbortSignal
  /** At most ten calls a second. */
  readonly onProgress?: (progress: Progress) => void
  readonly onBreak?: (broken: Break) => void
}

/** Runs pipelines. Rejects with a `SysError` whose operation is `pipeline.<stage kind>`. */
export interface Pipelines {
  run<K extends Sink['kind']>(pipeline: Pipeline<K>, options?: PipelineOptions): Promise<Results[K]>
}
