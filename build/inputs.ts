/** Reads and checks what a site puts into its initrd: keys, keymaps, what is known of the modloop. */

import { createHash, createVerify } from 'node:crypto'
import { createReadStream, readdirSync, readFileSync, statSync } from 'node:fs'
import { basename, join } from 'node:path'
import { decompress } from './compression.ts'
import { CommandError, errnoOf } from './error.ts'
import { inspectImage } from './root-image.ts'

export function readInput(path: string): Buffer {
  try {
    return readFileSync(path)
  } catch (cause) {
    throw new CommandError(`the file ${path} could not be read`, { cause })
  }
}

/** Keys from files, and from directories those named *.rsa.pub. */
export function readKeys(places: readonly string[]): Map<string, Buffer> {
  const keys = new Map<string, Buffer>()
  for (const place of places) {
    try {
      const files = statSync(place).isDirectory()
        ? readdirSync(place)
            .filter((name) => name.endsWith('.rsa.pub'))
            .sort()
            .map((name) => join(place, name))
        : [place]
      if (files.length === 0) throw new CommandError(`${place} holds no key: none is named *.rsa.pub`)
      for (const path of files) keys.set(basename(path), checkKey(readFileSync(path), path))
    } catch (cause) {
      if (errnoOf(cause) === undefined) throw cause
      throw new CommandError(`the keys at ${place} could not be read`, { cause })
    }
  }
  return keys
}

function checkKey(bytes: Buffer, path: string): Buffer {
  if (bytes.includes('PRIVATE KEY')) {
    throw new CommandError(`${path} is a private key, which must never be in an initrd`, {
      advice: ['Name the public one. A repository’s ends in .rsa.pub.'],
    })
  }
  if (!bytes.includes('-----BEGIN PUBLIC KEY-----')) throw new CommandError(`${path} is no public key in PEM`)
  return bytes
}

/** Public keys of those who sign overlays. */
export function readOverlayKeys(paths: readonly string[]): Map<string, Buffer> {
  return byName(paths, (path) => checkKey(readInput(path), path))
}

/** Two files of one name would be one in the initrd. */
function byName(paths: readonly string[], read: (path: string) => Buffer): Map<string, Buffer> {
  const files = new Map<string, Buffer>()
  for (const path of paths) {
    const name = basename(path)
    if (files.has(name)) throw new CommandError(`${path}: there is another file of the name ${name}`)
    files.set(name, read(path))
  }
  return files
}

/** Keymaps as busybox' dumpkmap writes them, by file name: NAME.bmap or NAME.bmap.gz; keymap=NAME chooses one. */
export function readKeymaps(paths: readonly string[]): Map<string, Buffer> {
  return byName(paths, (path) => {
    const [, name, compressed] = /^([\w@.-]+?)\.bmap(\.gz)?$/.exec(basename(path)) ?? []
    if (name === undefined || name === 'ask') {
      throw new CommandError(`${path}: a keymap's file is called NAME.bmap or NAME.bmap.gz`, {
        advice: ["Alpine's package kbd-bkeymaps has them; busybox dumpkmap writes the present one."],
      })
    }
    const bytes = readInput(path)
    const plain = decompress(bytes, compressed === undefined ? 'none' : 'gz', path, 1024 * 1024)
    // loadkmap's magic and its 256 flags; then at least one table.
    if (plain.toString('latin1', 0, 7) !== 'bkeymap' || plain.length < 7 + 256 + 256) {
      throw new CommandError(`${path} is no keymap in busybox' format`, {
        advice: [
          'One for loadkeys(1) is made into one: loadkeys -b FILE > NAME.bmap',
          "Alpine's package kbd-bkeymaps has them ready.",
        ],
      })
    }
    return bytes
  })
}

/** What init compares the modloop with that it fetches or finds. */
export interface Modloop {
  readonly sha256: string
  /** Bytes. */
  readonly size: number
}

/**
 * Alpine signs a modloop's SHA-1 and keeps the signatures in its initramfs, named `MODLOOP.SIGN.RSA.KEY`. Those that are
 * by one of `keys` are checked here, as init will compare the SHA-256 alone.
 */
export async function readModloop(
  path: string,
  signatures: ReadonlyMap<string, Buffer>,
  keys: ReadonlyMap<string, Buffer>,
): Promise<Modloop> {
  const { type, size } = inspectImage(path, [
    'A modloop is a squashfs of modules, as Alpine has it beside its kernel: modloop-lts, modloop-virt.',
  ])
  if (type !== 'squashfs') throw new CommandError(`${path} is no modloop: it is ${type}, not squashfs`)
  const hash = createHash('sha256')
  const checks = [...signatures].flatMap(([name, signature]) => {
    const key = keys.get(name.slice(name.indexOf('.SIGN.RSA.') + '.SIGN.RSA.'.length))
    const signed = name.startsWith(`${basename(path)}.SIGN.RSA.`)
    return key === undefined || !signed ? [] : [{ name, signature, key, verifier: createVerify('RSA-SHA1') }]
  })
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) {
    hash.update(chunk)
    for (const { verifier } of checks) verifier.update(chunk)
  }
  for (const { name, signature, key, verifier } of checks) {
    if (!verifier.verify(key, signature)) {
      throw new CommandError(`${path} is not what ${name} signs`, {
        advice: ['The two are of different builds of the kernel, or one of them is damaged.'],
      })
    }
  }
  return { sha256: hash.digest('hex'), size }
}

export function readModloopSignatures(paths: readonly string[]): Map<string, Buffer> {
  return byName(paths, (path) => {
    const bytes = readInput(path)
    if (!/^.+\.SIGN\.RSA\..+$/.test(basename(path)) || bytes.length < 64 || bytes.length > 4096) {
      throw new CommandError(`${path} is no signature of a modloop`, {
        advice: ["They are called MODLOOP.SIGN.RSA.KEY, and Alpine's initramfs has them in var/cache/misc."],
      })
    }
    return bytes
  })
}
