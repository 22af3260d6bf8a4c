/**
 * Unpacks a packaged kernel once, into the cache, under its digest: Debian's package, Alpine's package, Alpine's
 * modloop. Only modules, firmware and images are kept.
 */

import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { readAr, readTar } from './archive.ts'
import { decompress, missingProgram, splitCompression } from './compression.ts'
import { CommandError } from './error.ts'
import { makeDirectory } from './make-directory.ts'

/** Unpacked, a distribution's whole kernel package stays under half of this. */
const largestKernel = 2 * 1024 * 1024 * 1024 - 1
const wanted = /^(usr\/)?(lib\/(modules|firmware)\/|boot\/vmlinuz)/

/** The directory that holds the unpacked package. */
export async function unpackKernel(file: string, cache: string): Promise<string> {
  const bytes = readFileSync(file)
  const kind = kindOf(bytes)
  if (kind === undefined) {
    throw new CommandError(`${file} is no kernel that diskless can read`, {
      advice: ['It is neither a Debian package, nor an Alpine package (apk v2), nor a modloop (squashfs).'],
    })
  }
  const digest = createHash('sha256').update(bytes).digest('hex')
  const place = join(cache, `kernel-${digest.slice(0, 32)}`)
  if (existsSync(place)) return place
  makeDirectory(cache)
  const partial = mkdtempSync(`${place}.partial-`)
  try {
    const whole = join(partial, 'tree')
    if (kind === 'modloop') unsquash(file, whole)
    else
      unpackTar(
        kind === 'deb' ? debianData(bytes, file) : decompress(bytes, 'gz', file, largestKernel),
        file,
        whole,
      )
    renameSync(whole, place)
  } finally {
    rmSync(partial, { recursive: true, force: true })
  }
  return place
}

function kindOf(bytes: Buffer): 'deb' | 'apk' | 'modloop' | undefined {
  if (bytes.toString('latin1', 0, 7) === '!<arch>') return 'deb'
  if (bytes[0] === 0x1f && bytes[1] === 0x8b) return 'apk'
  if (bytes.toString('latin1', 0, 4) === 'hsqs') return 'modloop'
  return undefined
}

function debianData(bytes: Buffer, file: string): Buffer {
  for (const [name, content] of readAr(bytes, file)) {
    const { plain, compression } = splitCompression(name)
    if (plain === 'data.tar') return decompress(content, compression, file, largestKernel)
  }
  throw new CommandError(`${file} holds no data.tar: not a Debian package`)
}

function unpackTar(archive: Buffer, file: string, root: string): void {
  mkdirSync(root)
  for (const member of readTar(archive, file)) {
    if (!wanted.test(member.name)) continue
    const path = join(root, member.name)
    if (member.kind === 'symlink') {
      // Firmware trees link inside themselves; `build` and `source` lead to places that are not here.
      if (!isInside(member.name, member.target)) continue
      mkdirSync(dirname(path), { recursive: true })
      symlinkSync(member.target, path)
    } else {
      mkdirSync(dirname(path), { recursive: true })
      writeFileSync(path, member.bytes, { flag: 'wx' })
      utimesSync(path, member.mtime, member.mtime)
    }
  }
}

function isInside(name: string, target: string): boolean {
  if (target.startsWith('/')) return false
  const depth = [...dirname(name).split('/'), ...target.split('/')].reduce(
    (level, part) =>
      level < 0 || part === '.' || part === '' ? level : part === '..' ? level - 1 : level + 1,
    0,
  )
  return depth > 0
}

function unsquash(file: string, root: string): void {
  const result = spawnSync('unsquashfs', ['-no-progress', '-no-xattrs', '-dest', root, file], {
    encoding: 'utf8',
  })
  if (result.error !== undefined)
    throw missingProgram('unsquashfs', 'squashfs-tools', 'squashfs-tools', result.error)
  if (result.status !== 0) {
    throw new CommandError(`unsquashfs could not unpack ${file}`, { cause: new Error(result.stderr.trim()) })
  }
}
