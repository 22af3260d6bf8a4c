/** What a published directory holds, by its manifest: who signed it, which files, the largest. */

import { showBytes } from '../../boot/format.ts'
import { parseManifest } from '../publish/manifest.ts'
import type { Sheet } from '../sheet.ts'
import { clean } from './bytes.ts'
import { moreThan } from './initrd-sheet.ts'
import type { InspectOptions } from './report.ts'
import { checkSignatures, type SignatureFacts, showSignatures } from './signatures.ts'

export interface ManifestFacts {
  readonly size: number
  readonly signatures: readonly SignatureFacts[]
  readonly files: readonly { readonly path: string; readonly bytes: number; readonly sha256: string }[]
  /** Of all of them. */
  readonly bytes: number
  /** Files of the publication before, kept for clients that began with it. */
  readonly former: number
}

/** Throws a CommandError for one that is damaged. */
export function inspectManifest(text: string, { subject, keys }: InspectOptions): ManifestFacts {
  const manifest = parseManifest(text, subject)
  const { signature } = manifest
  const signatures =
    signature === undefined
      ? []
      : [{ keyName: signature.keyName, algorithm: 'sha256' as const, bytes: signature.bytes }]
  const files = [...manifest.files].map(([path, { sha256, size }]) => ({
    path: clean(path),
    bytes: size,
    sha256,
  }))
  return {
    size: Buffer.byteLength(text),
    signatures: checkSignatures(signatures, Buffer.from(manifest.text), keys),
    files,
    bytes: files.reduce((sum, { bytes }) => sum + bytes, 0),
    former: manifest.former.size,
  }
}

const fewFiles = 12

export function manifestSheet(facts: ManifestFacts, { subject, all }: InspectOptions): Sheet {
  const { files, bytes, former, signatures } = facts
  const listed = all ? files : files.toSorted((a, b) => b.bytes - a.bytes).slice(0, fewFiles)
  return {
    title: `${subject}: the manifest of a published directory, ${showBytes(facts.size)}`,
    sections: [
      {
        parts: [
          {
            kind: 'facts',
            rows: [
              ['files', `${files.length}, ${showBytes(bytes)}`],
              ['former', former === 0 ? 'none' : `${former}, for clients that began before`],
              ['signed', ...showSignatures(signatures)],
            ],
          },
        ],
      },
      {
        title: all ? 'Files' : 'Largest files',
        parts: [
          {
            kind: 'table',
            columns: [{ title: '', right: true }, { title: '' }, { title: '' }],
            rows: listed.map(({ path, bytes, sha256 }) => [
              showBytes(bytes),
              path,
              `SHA-256 ${sha256.slice(0, 16)}…`,
            ]),
            ...moreThan(files.length, listed.length),
          },
        ],
      },
    ],
  }
}
