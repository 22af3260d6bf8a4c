/** Which kind of file it is, by its content, whatever it is called; then what is in it. */

import { constants, gunzipSync, zstdDecompressSync } from 'node:zlib'
import { readTar } from '../../../build/archive.ts'
import { CommandError } from '../../../build/error.ts'
import { membersLazily } from '../lock/apk-file.ts'
import { inspectAdb } from './adb.ts'
import { adbSheet, imageSheet, kernelSheet } from './boot-sheets.ts'
import { type Bytes, bytesOf } from './bytes.ts'
import { inspectImage } from './image.ts'
import { inspectInitrd } from './initrd.ts'
import { initrdSheet } from './initrd-sheet.ts'
import { inspectKernel, type KernelFacts } from './kernel.ts'
import { inspectLock } from './lock.ts'
import { inspectManifest, manifestSheet } from './manifest.ts'
import { inspectOverlay } from './overlay.ts'
import { encryptedSheet, overlaySheet } from './overlay-sheet.ts'
import { inspectIndex, inspectPackage } from './packages.ts'
import { type Inspection, type InspectOptions, type Kind, kinds } from './report.ts'
import { foreignPacking, packingOf, unpack } from './segments.ts'
import { indexSheet, lockSheet, packageSheet } from './sheets.ts'
import { isDistrusted, type SignatureFacts } from './signatures.ts'
import { readTop } from './squashfs.ts'

/** What is read as a whole: an index, a package, an overlay. */
const mostWhole = 1 << 30
/** By which a compressed file is recognised: more than a block of zstd, which comes whole or not at all (RFC 8878, 3.1.1.2.4). */
const peekLength = 1 << 18

/** Throws a CommandError: of no kind that is known, cut short, damaged. */
export function inspectBytes(bytes: Bytes, options: InspectOptions): Inspection {
  const { subject } = options
  if (bytes.size === 0) throw new CommandError(`${subject} is empty`)
  const start = bytes.slice(0, 4096)
  const text = start.toString('latin1')
  if (text.startsWith('diskless lock ')) return lock(bytes, options)
  if (text.startsWith('diskless manifest ')) return manifest(bytes, options)
  if (text.startsWith('ADB')) return adb(bytes, options)
  if (text.startsWith('Salted__')) return encrypted(bytes, options)
  const image = inspectImage(bytes, subject)
  if (image !== undefined) {
    const top = image.type === 'squashfs' && options.path !== undefined ? readTop(options.path) : undefined
    return {
      kind: 'image',
      data: { ...image, ...top },
      sheet: imageSheet(image, top, options),
      failed: false,
    }
  }
  const kernel = inspectKernel(bytes)
  if (kernel !== undefined) return kernelOf(kernel, options)
  const packing = packingOf(start)
  if (packing === 'none' || packing === 'xz' || beginsWithZeros(bytes)) return initrd(bytes, options)
  if (packing === undefined && foreignPacking(start) !== undefined) return initrd(bytes, options)
  if (packing === undefined) throw unknown(subject, start)
  const inside = peek(bytes, packing, subject)
  if (packingOf(inside) === 'none') return initrd(bytes, options)
  if (inside.toString('latin1', 257, 262) === 'ustar') return tarball(bytes, packing, options)
  if (inspectKernel(bytesOf(inside)) !== undefined) {
    const unpacked = inspectKernel(bytesOf(unpack[packing](bytes, 0, subject).content))
    if (unpacked !== undefined) return kernelOf({ ...unpacked, size: bytes.size }, options)
  }
  // So little that it may be cut short: that is told rather than that it is nothing.
  if (inside.length < 512) unpack[packing](bytes, 0, subject)
  throw unknown(subject, start, ` (${packing} data of something else)`)
}

function kernelOf(facts: KernelFacts, options: InspectOptions): Inspection {
  return { kind: 'kernel', data: { ...facts }, sheet: kernelSheet(facts, options), failed: false }
}

/** Padding before the first archive: the kernel passes over it. */
function beginsWithZeros(bytes: Bytes): boolean {
  const start = bytes.slice(0, 4096)
  const first = start.findIndex((byte) => byte !== 0)
  return first > 0 && packingOf(start.subarray(first)) !== undefined
}

/** The beginning of what it unpacks to. */
function peek(bytes: Bytes, packing: 'gzip' | 'zstd', subject: string): Buffer {
  const start = bytes.slice(0, peekLength)
  const limits = { maxOutputLength: 1 << 28 }
  try {
    return packing === 'gzip'
      ? gunzipSync(start, { finishFlush: constants.Z_SYNC_FLUSH, ...limits })
      : zstdDecompressSync(start, { finishFlush: constants.ZSTD_e_flush, ...limits })
  } catch (cause) {
    throw new CommandError(`${subject} is damaged: its ${packing} data cannot be unpacked`, { cause })
  }
}

function initrd(bytes: Bytes, options: InspectOptions): Inspection {
  const facts = inspectInitrd(bytes, options.subject)
  return { kind: 'initrd', data: { ...facts }, sheet: initrdSheet(facts, options), failed: false }
}

/** An index, a package, or an overlay: what the archive's first names say. */
function tarball(bytes: Bytes, packing: 'gzip' | 'zstd', options: InspectOptions): Inspection {
  const { subject, keys } = options
  const whole = wholeOf(bytes, subject)
  const kind = packing === 'gzip' ? apkKind(whole, subject) : undefined
  if (kind === 'index') {
    const facts = inspectIndex(whole, subject, keys)
    return { kind, data: { ...facts }, sheet: indexSheet(facts, options), failed: distrusted(facts, options) }
  }
  if (kind === 'package') {
    const facts = inspectPackage(whole, subject, keys)
    const failed = distrusted(facts, options) || facts.dataIsRight === false
    return { kind, data: { ...facts }, sheet: packageSheet(facts, options), failed }
  }
  const { content } = unpack[packing](bytes, 0, subject)
  const facts = inspectOverlay(content, bytes.size, packing, subject)
  return { kind: 'overlay', data: { ...facts }, sheet: overlaySheet(facts, options), failed: false }
}

function distrusted(
  { signatures }: { readonly signatures: readonly SignatureFacts[] },
  { keys }: InspectOptions,
) {
  return isDistrusted(signatures, keys)
}

function apkKind(bytes: Buffer, subject: string): Kind | undefined {
  let seen = 0
  for (const { content } of membersLazily(bytes, subject)) {
    const [first] = namesOf(content, subject)
    if (first === '.PKGINFO') return 'package'
    if (first === 'DESCRIPTION' || first === 'APKINDEX') return 'index'
    seen += 1
    if (first?.startsWith('.SIGN.') !== true || seen > 2) return undefined
  }
  throw new CommandError(`${subject} is cut short: there is a signature, and nothing behind it`)
}

function* namesOf(content: Buffer, subject: string): Generator<string, undefined> {
  for (const { name } of readTar(content, subject)) yield name
}

function wholeOf(bytes: Bytes, subject: string): Buffer {
  if (bytes.size <= mostWhole) return bytes.slice(0, bytes.size)
  throw new CommandError(`${subject} has ${bytes.size} bytes, more than are read here of such a file`)
}

function encrypted(bytes: Bytes, options: InspectOptions): Inspection {
  const facts = { size: bytes.size, encrypted: true, salt: bytes.slice(8, 8).toString('hex') }
  if (bytes.size < 32 || bytes.size % 16 !== 0) {
    throw new CommandError(
      `${options.subject} is cut short or damaged: openssl enc writes blocks of 16 bytes, and it has ${bytes.size} bytes`,
    )
  }
  return { kind: 'overlay', data: facts, sheet: encryptedSheet(facts, options), failed: false }
}

function lock(bytes: Bytes, options: InspectOptions): Inspection {
  const facts = inspectLock(wholeOf(bytes, options.subject).toString('utf8'), options)
  return {
    kind: 'lock',
    data: { ...facts },
    sheet: lockSheet(facts, options),
    failed: distrusted(facts, options),
  }
}

function manifest(bytes: Bytes, options: InspectOptions): Inspection {
  const facts = inspectManifest(wholeOf(bytes, options.subject).toString('utf8'), options)
  // A directory may be published without a signature; a key that is given is a wish for one.
  return {
    kind: 'manifest',
    data: { ...facts },
    sheet: manifestSheet(facts, options),
    failed: distrusted(facts, options),
  }
}

function adb(bytes: Bytes, options: InspectOptions): Inspection {
  const facts = inspectAdb(bytes)
  return {
    kind: facts.schema === 'index' ? 'index' : 'package',
    data: { ...facts },
    sheet: adbSheet(facts, options),
    failed: false,
  }
}

/** What people have lying beside it, by how it begins. */
const others: readonly (readonly [start: string, what: string])[] = [
  ['!<arch>\n', 'a Debian package: diskless build --kernel takes one of a kernel'],
  ['\x7fELF', 'a program, a library or a kernel module'],
  ['PK\x03\x04', 'a zip archive'],
  ['-----BEGIN', 'a key or a certificate: openssl pkey -pubin -text -in FILE, openssl x509 -text -in FILE'],
  ['#!', 'a script'],
  ['<', 'a page of a web server, perhaps its error'],
]

function unknown(subject: string, start: Buffer, found = ''): CommandError {
  const text = start.toString('latin1')
  const other = others.find(([beginning]) => text.startsWith(beginning))?.[1]
  return new CommandError(`${subject} is nothing that diskless boots from${found}`, {
    advice: [
      other === undefined ? `It begins with ${start.toString('hex', 0, 16)}.` : `It looks like ${other}.`,
      'inspect understands, by their content:',
      ...Object.values(kinds).map((what) => `  ${what}`),
    ],
  })
}
