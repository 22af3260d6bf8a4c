/** A repository's index as a file: what is drawn from, and what is given to whom we are compared with. */

import { createVerify } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { field } from '../../src/apk/stanza.ts'
import { readIndex } from '../../test/support/machine/apk.ts'
import type { StanzaRepository } from '../../test/support/stanza-source.ts'

export interface Repository extends StanzaRepository {
  readonly file: string
  /** `@tag`, without the sign. */
  readonly tag: string | undefined
  readonly local: true
  readonly description: string
  /** The key that its signature was checked with; undefined: that key is not at hand. */
  readonly signedBy: string | undefined
}

/** `FILE` or `TAG@FILE`, an APKINDEX.tar.gz. Throws where a signature is wrong by a key of `keys`, a directory. */
export function readRepository(where: string, keys: string | undefined): Repository {
  const [, tag, file = where] = /^(?:([\w.-]+)@)?(.+)$/.exec(where) ?? []
  const { stanzas, description, signatures, signed } = readIndex(readFileSync(file), file)
  const signature = signatures.find(({ keyName }) => keyOf(keys, keyName) !== undefined)
  const key = signature === undefined ? undefined : keyOf(keys, signature.keyName)
  if (signature !== undefined && key !== undefined) {
    const verify = createVerify(signature.algorithm === 'RSA' ? 'sha1' : 'sha256').update(signed)
    if (!verify.verify(key, signature.bytes))
      throw new Error(`${file}: the signature by ${signature.keyName} is wrong`)
  }
  return { file, tag, local: true, stanzas, description, signedBy: key && signature?.keyName }
}

function keyOf(keys: string | undefined, name: string): string | undefined {
  const path = keys === undefined ? undefined : join(keys, name)
  return path !== undefined && existsSync(path) ? readFileSync(path, 'utf8') : undefined
}

/** The architecture that most of its packages are for. */
export function architectureOf({ stanzas }: Repository): string {
  const counts = new Map<string, number>()
  for (const stanza of stanzas) {
    const arch = field(stanza, 'A') ?? 'noarch'
    if (arch !== 'noarch') counts.set(arch, (counts.get(arch) ?? 0) + 1)
  }
  return [...counts].sort((a, b) => b[1] - a[1])[0]?.[0] ?? 'x86_64'
}
