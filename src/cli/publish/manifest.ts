/**
 * The manifest of a published directory: what it holds, in text, and that the directory is ours to change.
 *
 *     diskless manifest 1
 *     SHA256 SIZE PATH
 *     …
 *     former
 *     SHA256 SIZE PATH
 *     …
 *     signature: KEY BASE64
 *
 * `former` are files of the publication before, for clients that began with it. The last line is there where the
 * manifest is signed, and no part of what is signed: RSA, PKCS #1 v1.5, over SHA-256. One file, so that list and signature
 * are replaced at once.
 */

import { type KeyObject, sign, verify } from 'node:crypto'
import { CommandError } from '../../../build/error.ts'
import { formatSignature } from '../../apk/lock.ts'
import type { SigningKey } from '../lock/sign.ts'
import type { Digested } from './placed.ts'

export const manifestName = 'manifest'

export interface Manifest {
  /** By path. */
  readonly files: ReadonlyMap<string, Digested>
  readonly former: ReadonlyMap<string, Digested>
}

export interface SignedManifest extends Manifest {
  /** What is signed. */
  readonly text: string
  readonly signature: { readonly keyName: string; readonly bytes: Buffer } | undefined
}

const firstLine = 'diskless manifest 1'

/** The whole file. */
export function formatManifest({ files, former }: Manifest, key: SigningKey | undefined): string {
  const lines = (entries: ReadonlyMap<string, Digested>) =>
    [...entries]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([path, { sha256, size }]) => `${sha256} ${size} ${path}\n`)
      .join('')
  const text = `${firstLine}\n${lines(files)}former\n${lines(former)}`
  if (key === undefined) return text
  return text + formatSignature(key.name, sign('sha256', Buffer.from(text), key.key).toString('base64'))
}

export function isManifest(file: string): boolean {
  return file.startsWith('diskless manifest ')
}

/** Throws a `CommandError`. `shown`: the file's name. */
export function parseManifest(file: string, shown: string): SignedManifest {
  const [, text = file, keyName, base64] = /^([\s\S]*\n)signature: (\S+) ([\w+/=]+)\n$/.exec(file) ?? []
  const [first, ...lines] = text.split('\n').slice(0, -1)
  const middle = lines.indexOf('former')
  if (first !== firstLine || middle === -1) {
    throw new CommandError(`${shown} is no manifest that this diskless wrote, or is damaged`, {
      advice: ['Publish into an empty directory, or with the diskless that wrote it.'],
    })
  }
  const signature =
    keyName === undefined || base64 === undefined
      ? undefined
      : { keyName, bytes: Buffer.from(base64, 'base64') }
  return {
    files: parseLines(lines.slice(0, middle), shown),
    former: parseLines(lines.slice(middle + 1), shown),
    text,
    signature,
  }
}

function parseLines(lines: readonly string[], shown: string): Map<string, Digested> {
  return new Map(
    lines.map((line) => {
      const [, sha256, size, path] = /^([0-9a-f]{64}) (\d{1,15}) (.+)$/.exec(line) ?? []
      if (sha256 === undefined || path === undefined || !isInside(path)) {
        throw new CommandError(`${shown} has a line that is none: ${line}`, {
          advice: ['Publish into an empty directory.'],
        })
      }
      return [path, { sha256, size: Number(size) }]
    }),
  )
}

/** Whoever can write the manifest must not have files outside of the directory removed. */
export function isInside(path: string): boolean {
  return path.split('/').every((part) => part !== '' && part !== '.' && part !== '..') && !/[\n\0]/.test(path)
}

export function isSigned({ text, signature }: SignedManifest, publicKey: KeyObject): boolean {
  return signature !== undefined && verify('sha256', Buffer.from(text), publicKey, signature.bytes)
}
