/** `diskless inspect`: what is in a file that machines boot from. */

import { basename } from 'node:path'
import { readKeys } from '../../build/inputs.ts'
import { defineCommand } from './define.ts'
import { withFile } from './inspect/bytes.ts'
import { inspectBytes } from './inspect/recognise.ts'
import { type Inspection, type InspectOptions, kinds } from './inspect/report.ts'
import { printSheet } from './sheet.ts'

const description = {
  name: 'inspect',
  about: 'says what is in an initrd, an overlay, an index, a lock, a package, a kernel',
  forms: ['FILE… [OPTIONS]'],
  positionals: { name: 'FILE', least: 1, most: 64, complete: 'file' },
  options: {
    keys: {
      type: 'string',
      multiple: true,
      value: 'PLACE',
      about:
        'public keys by which signatures are checked: a file, or a directory of *.rsa.pub; one that is wrong, or by nobody of these, is then a failure',
      complete: 'file',
    },
    all: { type: 'boolean', about: 'every module, package, user: not the largest alone' },
  },
  notes: [
    `The kind is told by the content, whatever the file is called: ${Object.values(kinds).join('; ')}.`,
    'Nothing is unpacked to disk, and nothing in a file is believed: one that is cut short or damaged is told with where.',
  ],
  examples: [
    { command: 'diskless inspect /srv/boot/initrd', about: 'whose init, which kernel’s modules, which keys' },
    {
      command: 'diskless inspect --keys /srv/keys APKINDEX.tar.gz',
      about: 'who signed an index, and whether that is true',
    },
    {
      command: 'diskless inspect --json *.apkovl.tar.gz',
      about: 'of every machine’s overlay: world, users, services',
    },
  ],
} as const

export const inspectCommand = defineCommand({
  ...description,
  async run({ values, positionals }, output) {
    const keys = values.keys === undefined ? new Map<string, Buffer>() : readKeys(values.keys)
    const inspected: { readonly file: string; readonly inspection: Inspection }[] = []
    for (const file of positionals) {
      inspected.push({ file, inspection: await inspectFile(file, { keys, all: values.all ?? false }) })
    }
    const data = inspected.map(({ file, inspection }) => ({
      file,
      kind: inspection.kind,
      ...inspection.data,
    }))
    output.result(data.length === 1 ? data[0] : data, () =>
      inspected.map(({ inspection }) => printSheet(inspection.sheet, output)).join('\n'),
    )
    return inspected.some(({ inspection }) => inspection.failed) ? 1 : 0
  },
})

/** Throws a BuildError for what cannot be read, or is of no kind that is known. */
export function inspectFile(path: string, options: Omit<InspectOptions, 'subject'>): Promise<Inspection> {
  return withFile(path, (bytes) => inspectBytes(bytes, { ...options, subject: basename(path) }))
}
