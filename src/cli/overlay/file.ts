/** An overlay's file: read and written whole, compressed and encrypted as its name says, a signature beside it. */

import { randomBytes, sign } from 'node:crypto'
import { existsSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { basename, dirname, resolve } from 'node:path'
import { constants, gzipSync, zstdCompressSync } from 'node:zlib'
import { decompress } from '../../../build/compression.ts'
import { CommandError, errnoOf } from '../../../build/error.ts'
import { readInput } from '../../../build/inputs.ts'
import { formatOf, isOverlayName, signatureOf } from '../../overlay/name.ts'
import { UsageError } from '../command.ts'
import type { SigningKey } from '../lock/sign.ts'
import { askPassword } from './ask.ts'
import type { Contents, Entry } from './entry.ts'
import { decrypt, type Encryption, encrypt, isEncrypted } from './openssl.ts'
import { readTar } from './tar-read.ts'
import { writeTar } from './tar-write.ts'

/** What a file and what it unpacks to may have, in bytes: an overlay is configuration, and all of it is in memory here. */
const mostBytes = 512 * 1024 * 1024
const derivations: readonly Encryption['keyDerivation'][] = ['pbkdf2', 'sha256', 'md5']

export type Derivation = Encryption['keyDerivation']

/** The password of encrypted overlays: asked for once, when the first one needs it. */
export class Passphrase {
  private readonly file: string | undefined
  private known: string | undefined

  /** Without a file, a person is asked. */
  constructor(file: string | undefined) {
    this.file = file
  }

  async of(path: string, isNew: boolean): Promise<string> {
    this.known ??= this.file === undefined ? await this.ask(path, isNew) : firstLine(this.file)
    return this.known
  }

  private async ask(path: string, isNew: boolean): Promise<string> {
    const advice = 'Without a terminal, its first line counts: --passphrase-file FILE.'
    const password = await askPassword(`Password of the overlay ${path}: `, advice)
    if (password === '') throw new CommandError('an empty password keeps nothing secret')
    if (isNew && (await askPassword('The same again: ', advice)) !== password) {
      throw new CommandError('these were two different passwords')
    }
    return password
  }
}

/** A password, or the like, that somebody keeps in a file. Throws where it is empty. */
export function firstLine(path: string): string {
  const [line = ''] = readInput(path).toString('utf8').split(/\r?\n/, 1)
  if (line !== '') return line
  throw new CommandError(`the first line of ${path} is empty: the password is to be there`)
}

export interface OverlayFile {
  readonly contents: Map<string, Entry>
  /** How it was encrypted; undefined: not at all. */
  readonly keyDerivation: Derivation | undefined
}

export async function readOverlayFile(path: string, passphrase: Passphrase): Promise<OverlayFile> {
  const { cipher, unpack } = formatOf(resolve(path), path)
  if ((statSync(path, { throwIfNoEntry: false })?.size ?? 0) > mostBytes) {
    throw new CommandError(`${path} is larger than ${mostBytes >> 20} MiB: no overlay is`)
  }
  const bytes = readInput(path)
  const read = (packed: Buffer) =>
    readTar(decompress(packed, unpack.kind === 'gunzip' ? 'gz' : 'zst', path, mostBytes), path)
  if (cipher === undefined) {
    if (isEncrypted(bytes)) {
      throw new CommandError(`${path} is encrypted, and its name does not say how`, {
        advice: ['Its name should end in the cipher: .tar.gz.aes-256-cbc'],
      })
    }
    return { contents: read(bytes), keyDerivation: undefined }
  }
  if (!isEncrypted(bytes)) {
    throw new CommandError(`${path} is not what openssl enc writes, or cut off at once`, {
      advice: [`It does not begin with Salted__ and a salt, and its name says ${cipher}.`],
    })
  }
  const password = await passphrase.of(path, false)
  let cause: unknown
  for (const keyDerivation of derivations) {
    const plain = decrypt(bytes, { cipher, keyDerivation, password })
    try {
      if (plain !== undefined) return { contents: read(plain), keyDerivation }
    } catch (error) {
      // One wrong password in 256 leaves a padding that looks right.
      cause = error
    }
  }
  throw new CommandError(`the password does not open ${path}, or the file is damaged`, {
    cause,
    advice: [`By hand: openssl enc -d -${cipher} -in ${path} | tar tz (with -pbkdf2, if it was made so).`],
  })
}

export interface Saving {
  readonly passphrase: Passphrase
  /** Of a file whose name says that it is encrypted. */
  readonly keyDerivation: Derivation
  readonly key: SigningKey | undefined
}

export interface Saved {
  /** Of the file, packed. */
  readonly bytes: number
  /** The path of the signature. */
  readonly signature: string | undefined
}

/** In place of what is there, whole or not at all. */
export async function writeOverlayFile(
  path: string,
  contents: Contents,
  { passphrase, keyDerivation, key }: Saving,
): Promise<Saved> {
  const { cipher, unpack } = formatOf(resolve(path), path)
  const archive = writeTar(contents)
  const packed = unpack.kind === 'gunzip' ? gzip(archive) : zstd(archive)
  const bytes =
    cipher === undefined
      ? packed
      : encrypt(packed, { cipher, keyDerivation, password: await passphrase.of(path, true) }, randomBytes(8))
  const signature = signatureOf(resolve(path))
  const signed = key === undefined ? undefined : sign('sha256', bytes, key.key)
  replaceAll([[path, bytes], ...(signed === undefined ? [] : [[signature, signed] as const])])
  return { bytes: bytes.length, signature: signed === undefined ? undefined : signature }
}

/** All are written before the first takes its place. */
function replaceAll(files: readonly (readonly [string, Buffer])[]): void {
  const fresh = (path: string) => `${path}.${process.pid}.new`
  try {
    for (const [path, bytes] of files) {
      const mode = statSync(path, { throwIfNoEntry: false })?.mode ?? 0o644
      writeFileSync(fresh(path), bytes, { mode: mode & 0o777 })
    }
    for (const [path] of files) renameSync(fresh(path), path)
  } catch (cause) {
    for (const [path] of files) rmSync(fresh(path), { force: true })
    const [first] = files
    const full = errnoOf(cause) === 'ENOSPC'
    throw new CommandError(`${first?.[0]} could not be written; what was there is as it was`, {
      cause,
      advice: full ? ['The disk is full.'] : [],
    })
  }
}

/** Whoever signs nothing must not leave the signature of another content beside it. */
export function refuseStaleSignature(path: string, key: SigningKey | undefined): void {
  const signature = signatureOf(resolve(path))
  if (key !== undefined || !existsSync(signature)) return
  throw new CommandError(`${signature} would no longer fit what it lies beside`, {
    advice: [`Sign anew, --sign KEY, or take ${basename(signature)} away first.`],
  })
}

/** Init tells what it has by its name; one that it would not take for an overlay helps nobody. */
export function checkOutput(path: string): void {
  formatOf(resolve(path), path)
  if (!isOverlayName(basename(path))) {
    throw new UsageError(
      `${path}: an overlay is called NAME.apkovl.tar.gz (or .tar.zst); with .aes-256-cbc behind it, it is encrypted`,
    )
  }
  if (statSync(dirname(resolve(path)), { throwIfNoEntry: false })?.isDirectory() !== true) {
    throw new CommandError(`${dirname(resolve(path))}, where the overlay is to be, is no directory`)
  }
}

/** The byte that names the operating system, as of Unix everywhere. */
function gzip(archive: Buffer): Buffer {
  const packed = gzipSync(archive, { level: 9 })
  packed[9] = 3
  return packed
}

function zstd(archive: Buffer): Buffer {
  const params = { [constants.ZSTD_c_compressionLevel]: 19, [constants.ZSTD_c_checksumFlag]: 1 }
  return zstdCompressSync(archive, { params })
}
