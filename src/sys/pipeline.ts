/**
 * A download described as data: a source, filters, one sink. The host runs it on a thread of its own; the bytes
 * never enter JavaScript. The same description runs in tests on Node streams and a memory file system.
 */

/** Deadlines in milliseconds. A stall is a time without a byte. */
export interface Deadlines {
  readonly connectMs: number
  readonly stallMs: number
  readonly totalMs: number
}

export type Source =
  | { readonly kind: 'http'; readonly url: string; readonly deadlines: Deadlines }
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
  /** Passes bytes on; more than this many fail with TOO_BIG. */
  | { readonly kind: 'limit'; readonly bytes: number }

export type Sink =
  /** Written beside its place and renamed when whole. */
  | { readonly kind: 'file'; readonly path: string; readonly mode: number }
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
    }

/** What the sink made, by the sink's kind. */
export interface Results {
  file: { readonly bytes: number }
  /** `paths`: what was unpacked, relative to root, no leading slash, in archive order; directories end in `/`. */
  tree: { readonly bytes: number; readonly paths: readonly string[] }
  text: { readonly bytes: number; readonly text: string }
  'apk-index': { readonly bytes: number; readonly index: IndexHandle }
  'apk-stage': { readonly bytes: number; readonly stage: StagedPackage }
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
}

/** Runs pipelines. Rejects with a `SysError` whose operation is `pipeline.<stage kind>`. */
export interface Pipelines {
  run<K extends Sink['kind']>(pipeline: Pipeline<K>, options?: PipelineOptions): Promise<Results[K]>
}
