/**
 * Writes the initrd: the compressed archive, and behind it, where there is one, the image of a root. What an earlier
 * build left is taken when nothing that goes into it has changed; nothing is half-written, as a server may be handing
 * the files out.
 */

import { createHash } from 'node:crypto'
import {
  closeSync,
  createReadStream,
  existsSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { compressInitrd, type Level } from './compression.ts'
import { frameFile, paddingAfter, writeCpio } from './cpio.ts'
import { CommandError, errnoOf } from './error.ts'
import type { Tell } from './host.ts'
import type { Placed } from './initrd.ts'
import { readOwnJson } from './own-json.ts'
import { measure, type Report } from './report.ts'
import { type RootImage, sha256Of } from './root-image.ts'
import { writeWhole } from './write-whole.ts'

export interface InitrdRequest {
  readonly out: string
  readonly tree: ReadonlyMap<string, Placed>
  readonly level: Level
  readonly image: RootImage | undefined
  readonly tell: Tell | undefined
}

export interface WrittenInitrd {
  readonly path: string
  readonly report: Report
  /** False when it was there already, from the same input. */
  readonly changed: boolean
}

/** What an earlier build wrote beside its initrd. */
interface Made {
  /** The digest of what went in, and of the compressed archive that came out; its length is in the report. */
  readonly input: string
  readonly digest: string
  readonly report: Report
  /** The digest of the whole file, and of the image in it, with its place. */
  readonly whole: string
  readonly image: string
}

export async function writeInitrd({ out, tree, level, image, tell }: InitrdRequest): Promise<WrittenInitrd> {
  const archive = writeCpio(tree)
  const path = join(out, 'initrd')
  const record = join(out, '.initrd.json')
  const input = createHash('sha256').update(`2 ${level}\n`).update(archive).digest('hex')
  const appended = image?.placed === 'appended' ? image : undefined
  const content = appended === undefined ? '' : `${await sha256Of(appended.source)} ${appended.destination}`

  const known = existsSync(record) && existsSync(path) ? readOwnJson<Made>(record) : undefined
  if (known?.input === input && known.image === content && known.whole === (await sha256Of(path))) {
    return { path, report: known.report, changed: false }
  }
  // The archive takes long to compress, and is still good when only the image is another one.
  const kept = known?.input === input ? readStart(path, known) : undefined
  if (kept === undefined) tell?.(`Compressing ${(archive.length / 1e6).toFixed(1)} MB (zstd ${level})`)
  const compressed = kept ?? (await compressInitrd(archive, level))
  const report = (kept && known?.report) ?? (await measure(tree, archive.length, compressed.length))
  const whole = await replaceWithStream(path, pieces(compressed, appended))
  const digest = createHash('sha256').update(compressed).digest('hex')
  const made: Made = { input, digest, report, whole, image: content }
  replace(record, JSON.stringify(made))
  return { path, report, changed: true }
}

/** The compressed archive of an earlier build; undefined when somebody changed it. */
function readStart(path: string, { digest, report }: Made): Buffer | undefined {
  const start = Buffer.alloc(report.compressed)
  const descriptor = openSync(path, 'r')
  try {
    readSync(descriptor, start, 0, start.length, 0)
  } finally {
    closeSync(descriptor)
  }
  return createHash('sha256').update(start).digest('hex') === digest ? start : undefined
}

async function* pieces(compressed: Buffer, image: RootImage | undefined): AsyncGenerator<Buffer> {
  yield compressed
  if (image === undefined) return
  const { before, after } = frameFile(image.destination.slice(1), 0o644, image.size)
  yield Buffer.alloc(paddingAfter(compressed.length))
  yield before
  yield* readImage(image)
  yield after
}

async function* readImage({ source, size }: RootImage): AsyncGenerator<Buffer> {
  let length = 0
  for await (const chunk of createReadStream(source, { highWaterMark: 1 << 20 })) {
    const bytes = Buffer.from(chunk)
    length += bytes.length
    yield bytes
  }
  if (length !== size)
    throw new CommandError(`${source} changed while it was read: ${size} bytes became ${length}`)
}

/** Resolves with the SHA-256 of what was written. */
async function replaceWithStream(path: string, content: AsyncIterable<Buffer>): Promise<string> {
  const partial = `${path}.${process.pid}`
  const hash = createHash('sha256')
  try {
    const file = await open(partial, 'w')
    try {
      for await (const chunk of content) {
        hash.update(chunk)
        await file.writeFile(chunk)
      }
    } finally {
      await file.close()
    }
    renameSync(partial, path)
  } catch (cause) {
    rmSync(partial, { force: true })
    if (errnoOf(cause) === undefined) throw cause
    throw new CommandError(`${path} could not be written (${errnoOf(cause)})`, { cause })
  }
  return hash.digest('hex')
}

/** Copies the image to where iPXE fetches it, unless it is there already. */
export async function placeBeside(out: string, image: RootImage): Promise<void> {
  const path = join(out, image.fileName)
  const present = existsSync(path) && statSync(path).size === image.size
  if (present && (await sha256Of(path)) === (await sha256Of(image.source))) return
  await replaceWithStream(path, readImage(image))
}

/** What is the same stays, with its date. */
export function replace(path: string, content: Buffer | string): void {
  const bytes = Buffer.from(content)
  if (!existsSync(path) || !readFileSync(path).equals(bytes)) writeWhole(path, bytes)
}
