/** `diskless inspect`: what is in a file that machines boot from. */

import { basename } from 'node:path'
import { CommandError } from '../../build/error.ts'
import { readKeys } from '../../build/inputs.ts'
import { chainOf } from '../sys/index.ts'
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
  question: { no: 'a signature is wrong, or is by nobody of --keys' },
  options: {
    keys: {
      type: 'string',
      multiple: true,
      value: 'PLACE',
      about:
        'public keys by which signatures are checked: a file, or a directory of *.rsa.pub; one by nobody of these is then a failure',
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
    const all = values.all ?? false
    const [only, ...more] = positionals
    if (only !== undefined && more.length === 0) {
      const { kind, data, sheet, failed } = await inspectFile(only, { keys, all })
      output.result({ file: only, kind, ...data }, () => printSheet(sheet, output))
      return failed ? 1 : 0
    }
    const results: Result[] = []
    for (const file of positionals) results.push(await tryFile(file, { keys, all }))
    output.result(
      results.map(({ data }) => data),
      () => results.map(({ sheet }) => printSheet(sheet, output)).join('\n'),
    )
    return results.some(({ unread }) => unread) ? 3 : results.some(({ failed }) => failed) ? 1 : 0
  },
})

interface Result extends Omit<Inspection, 'kind'> {
  /** It could not be inspected: there is no answer. */
  readonly unread?: true
}

/** One of several: that one cannot be read is no reason to say nothing of the others. */
async function tryFile(file: string, options: Omit<InspectOptions, 'subject' | 'path'>): Promise<Result> {
  try {
    const { kind, data, ...rest } = await inspectFile(file, options)
    return { ...rest, data: { file, kind, ...data } }
  } catch (error) {
    if (!(error instanceof CommandError)) throw error
    const [first = '', ...causes] = chainOf(error)
    const lines = [first, ...causes]
    return {
      data: { file, error: first, causes, advice: error.advice },
      sheet: { title: basename(file), sections: [{ parts: [{ kind: 'notes', tone: 'fail', lines }] }] },
      failed: false,
      unread: true,
    }
  }
}

/** Throws a CommandError for what cannot be read, or is of no kind that is known. */
export function inspectFile(
  path: string,
  options: Omit<InspectOptions, 'subject' | 'path'>,
): Promise<Inspection> {
  return withFile(path, (bytes) => inspectBytes(bytes, { ...options, path, subject: basename(path) }))
}
