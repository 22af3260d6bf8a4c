/** A file of the published directory, before it is there. */

import { createHash } from 'node:crypto'
import { lstatSync, readdirSync, statSync } from 'node:fs'
import { basename, join } from 'node:path'
import { CommandError, errnoOf } from '../../../build/error.ts'
import { sha256Of } from '../../../build/root-image.ts'

export interface Digested {
  /** Lower-case hex. */
  readonly sha256: string
  /** Bytes. */
  readonly size: number
}

export type Content =
  | { readonly kind: 'bytes'; readonly bytes: Buffer }
  /** Absolute. It must still be what it was when it was read for its digest. */
  | { readonly kind: 'file'; readonly source: string }

export interface Placed extends Digested {
  /** In the directory, with slashes. */
  readonly path: string
  readonly content: Content
}

export function placeText(path: string, text: string): Placed {
  return placeBytes(path, Buffer.from(text))
}

export function placeBytes(path: string, bytes: Buffer): Placed {
  const sha256 = createHash('sha256').update(bytes).digest('hex')
  return { path, sha256, size: bytes.length, content: { kind: 'bytes', bytes } }
}

/** `what`: for the person whose file is not there. */
export async function placeFile(path: string, source: string, what: string): Promise<Placed> {
  return { path, ...(await digestOf(source, what)), content: { kind: 'file', source } }
}

/** Half of the digest: nobody finds a second file for it, and TFTP's and firmware's paths are short. */
const strongDigits = 32

/** At a name that no other content ever has. `name`: the source's own unless given. */
export async function placeByDigest(source: string, what: string, name = basename(source)): Promise<Placed> {
  const digest = await digestOf(source, what)
  const directory = digest.sha256.slice(0, strongDigits)
  return { path: `files/${directory}/${urlName(name)}`, ...digest, content: { kind: 'file', source } }
}

/** Whether a path of the directory is of `placeByDigest`. */
export function isByDigest(path: string): boolean {
  return /^files\/[0-9a-f]{32}\//.test(path)
}

/** The files of a tree, at `top`. A link to a file is that file. Rejects with a `CommandError`. */
export async function placeTree(top: string, directory: string, what: string): Promise<readonly Placed[]> {
  const placed: Placed[] = []
  for (const name of list(directory, what)) {
    const source = join(directory, name)
    const status = lstatSync(source)
    if (status.isDirectory()) placed.push(...(await placeTree(`${top}/${name}`, source, what)))
    else placed.push(await placeFile(`${top}/${name}`, source, what))
  }
  return placed
}

export function list(directory: string, what: string): readonly string[] {
  try {
    return readdirSync(directory).sort()
  } catch (cause) {
    throw new CommandError(`${what}, ${directory}, could not be read`, { cause })
  }
}

/** What a URL and a kernel command line can name without quoting. */
function urlName(name: string): string {
  return name.replace(/[^\w.+:@~-]/g, '_')
}

async function digestOf(source: string, what: string): Promise<Digested> {
  try {
    const status = statSync(source)
    if (!status.isFile()) throw new CommandError(`${what}, ${source}, is no file`)
    return { sha256: await sha256Of(source), size: status.size }
  } catch (cause) {
    if (errnoOf(cause) === undefined) throw cause
    throw new CommandError(`${what}, ${source}, could not be read`, {
      cause,
      advice: errnoOf(cause) === 'ENOENT' ? ['Correct its name in the configuration, or make the file.'] : [],
    })
  }
}
